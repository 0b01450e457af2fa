import { HISTORY, streamOf } from '../../support/history.js';
import { describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { settlesSoon, turns, until } from '../waiting.js';
import { Deferred, DispatcherBench, idOf, WaitingHandler } from './dispatcher-bench.js';

function restart({ dispatcher }: DispatcherBench): void {
  dispatcher.abandon();
  dispatcher.begin();
}

describe('a new run', () => {
  it('hands a Commit and a message over again that were in hand when the last one ended', async () => {
    let calls = 0;
    const hanging = () => {
      calls++;
      return new Deferred().promise;
    };
    const bench = new DispatcherBench([
      { kind: 'transaction', id: 'Audit.onCommit', run: hanging },
      { kind: 'message', id: 'Outbox.onMessage', run: hanging },
    ]);
    const transaction = bench.transaction(0x100n).change(1).commit();
    restart(bench);
    const again = bench.transaction(0x100n).commit();
    await turns();
    expect([calls, transaction.settled, again.settled]).toEqual([2, 0, 0]);
    restart(bench);
    const message = bench.message(0x150n);
    restart(bench);
    const messageAgain = bench.message(0x150n);
    await turns();
    expect([calls, message(), messageAgain()]).toEqual([4, false, false]);
  });

  it('gives a handler of whole transactions what was finished before, and each change once', async () => {
    const seen: unknown[][] = [];
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([
      handler.spec,
      {
        kind: 'transaction',
        id: 'Audit.onCommit',
        run: async (transaction: { changes: AsyncIterable<unknown> }) => {
          const ids: number[] = [];
          for await (const change of transaction.changes) ids.push(idOf(change));
          seen.push(ids);
        },
      },
    ]);
    handler.waitAt(2);
    const first = bench.transaction(0x100n).change(1).change(2);
    restart(bench);
    expect(bench.dispatcher.handedOver).toBe(first.changes[0]);
    handler.waits.clear();
    bench.transaction(0x100n).change(2).change(3).commit();
    await turns();
    expect(seen).toEqual([[1, 2, 3]]);
  });

  it('goes on behind a message of a transaction that was finished', () => {
    const bench = new DispatcherBench([{ kind: 'message', id: 'Outbox.onMessage', run: () => undefined }]);
    bench.transaction(0x100n).change(1).message();
    const { handedOver } = bench.dispatcher;
    expect(handedOver).toMatchObject({ prefix: 'outbox', commitLsn: 0x100n });
    restart(bench);
    expect(bench.dispatcher.handedOver).toBe(handedOver);
  });

  it('begins with the first attempt', async () => {
    const attempts: number[] = [];
    const bench = new DispatcherBench([
      {
        run: (_change: RowChange, { attempt }: PgListenerContext) => {
          attempts.push(attempt);
          return Promise.reject(new Error('again'));
        },
      },
    ]);
    bench.deliver(1);
    await until(() => attempts.length === 2);
    restart(bench);
    bench.deliver(1);
    await turns();
    bench.dispatcher.abandon();
    expect(attempts.slice(0, 3)).toEqual([1, 2, 1]);
  });

  it('owes nothing to a try that the last one was waiting for: what is in hand is drained', async () => {
    const wait = new Deferred();
    let failures = 1;
    const bench = new DispatcherBench([
      {
        retry: { minDelayMs: 10_000, maxDelayMs: 10_000 },
        run: () => (failures-- > 0 ? Promise.reject(new Error('again')) : wait.promise),
      },
    ]);
    bench.deliver(1);
    await until(() => bench.dispatcher.desk.failures === 1);
    restart(bench);
    const [transaction] = bench.deliver(1);
    const draining = bench.dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    wait.resolve();
    await draining;
    expect(transaction!.settled).toBe(1);
  });

  it('owes nothing to a transaction that the last one had open', async () => {
    const bench = new DispatcherBench([]);
    bench.transaction(0x100n).change(1);
    restart(bench);
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });

  it('owes nothing to a turn of the event loop that the last one was waiting for', async () => {
    const seen: number[] = [];
    let isWaiting = false;
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          seen.push(idOf(change));
          if (isWaiting) return new Deferred().promise;
          const end = performance.now() + 1;
          while (performance.now() < end);
          return undefined;
        },
      },
    ]);
    let id = 0;
    while (seen.length === id) bench.deliver(++id);
    restart(bench);
    isWaiting = true;
    bench.deliver(20_001);
    await turns();
    bench.deliver(20_002);
    expect(seen.at(-1)).toBe(20_001);
  });
});

describe('abandoning twice', () => {
  it('counts what was in hand once', () => {
    const bench = new DispatcherBench([{ run: () => new Deferred().promise }]);
    bench.deliver(1, 2);
    bench.dispatcher.abandon();
    bench.dispatcher.abandon();
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });
});

describe('standing by', () => {
  const failing = { retry: { minDelayMs: 20, maxDelayMs: 20 }, onExhausted: 'block' as const };

  it.each([
    ['in turn', {}],
    ['in a lane', { concurrency: 4 }],
  ])('gives up what waits for its next try %s: the next stream begins with it', async (_where, more) => {
    const seen: number[] = [];
    const bench = new DispatcherBench([
      { ...failing, ...more, run: (change: RowChange) => (seen.push(idOf(change)), Promise.reject(new Error('no'))) },
    ]);
    const [transaction] = bench.deliver(1);
    await until(() => bench.dispatcher.desk.failures === 1);
    bench.dispatcher.abort();
    bench.dispatcher.standBy();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(seen).toEqual([1]);
    expect(transaction!.settled).toBe(0);
    bench.dispatcher.hold();
    expect(bench.dispatcher.handedOver).toBeNull();
    await bench.dispatcher.open(streamOf(HISTORY));
    bench.deliver(2);
    await until(() => seen.includes(2));
    await bench.dispatcher.drain();
  });

  it('lets a handler finish that runs', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    const wait = handler.waitAt(1);
    bench.deliver(1);
    bench.dispatcher.abort();
    bench.dispatcher.standBy();
    expect(handler.signals[0]!.aborted).toBe(false);
    wait.resolve();
    await turns();
    expect(bench.dispatcher.changesHandled).toBe(1);
  });
});
