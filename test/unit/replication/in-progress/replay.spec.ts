import { tmpdir } from 'node:os';
import { expect, it } from '@jest/globals';
import { InProgressTransaction } from '#lib/replication/in-progress/in-progress-transaction.js';
import { Replay, type ReplayTarget } from '#lib/replication/in-progress/replay.js';
import { insert } from '../../../support/pgoutput-encoder.js';
import { turns } from '../../waiting.js';

const place = { folder: tmpdir, chunkBytes: 4096 };
const COUNT = 300;

function kept(): InProgressTransaction {
  const transaction = new InProgressTransaction(7, place, (what) => new Error(what));
  for (let at = 0; at < COUNT; at++) {
    const message = insert(1, [String(at)]);
    transaction.add(message, 0, message.length, 0, at, false);
  }
  return transaction;
}

/** Closes the replay while it takes one message, as a handler does that halts the app. */
class ClosingTarget implements ReplayTarget {
  readonly isFull = false;
  isBusy = false;
  taken = 0;
  ends: string[] = [];
  replay: Replay | undefined;

  constructor(private readonly closesAt: number) {}

  message(): void {
    if (++this.taken !== this.closesAt) return;
    const until = performance.now() + 15;
    while (performance.now() < until);
    this.replay!.close();
  }
  described(): void {}
  turn(): void {}
  leave(): void {}
  done(): void {
    this.ends.push('done');
  }
  failed(error: Error): void {
    this.ends.push(error.message);
  }
}

it.each([
  ['where its slice is over', 64, false],
  ['where the target is busy', 10, true],
  ['with its last message', COUNT, false],
])('what closes it while it takes a message ends it for good: %s', async (_, closesAt, isBusy) => {
  const target = new ClosingTarget(closesAt);
  target.isBusy = isBusy;
  const replay = (target.replay = new Replay(kept(), target));
  replay.start();
  // Busy: one message each time.
  for (let turn = 0; turn < 100 && target.taken < closesAt; turn++) {
    await turns(1);
    replay.freed();
  }
  expect(replay.isOver).toBe(true);
  await turns(20);
  replay.freed();
  replay.goOn();
  expect([target.taken, target.ends]).toEqual([closesAt, []]);
});
