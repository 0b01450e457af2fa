import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Insert } from '#lib/changes/change.js';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { CommittedTransaction, TransactionInfo, TransactionTally } from '#lib/changes/transaction.js';
import { Route } from '#lib/events/handler-registry.js';
import { ChangeWork, describeWork, type Work } from '#lib/events/work.js';
import { WorkQueue } from '#lib/events/work-queue.js';

const INFO = new TransactionInfo('default', 0x100n, 1, new Date(0));
const ROUTE = new Route(
  { schema: 'public', table: 'orders', keyColumns: ['id'], signature: '' },
  { insert: [], update: [], delete: [], truncate: [] },
  0,
);
const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 3 };

function changeOf(bytes: number): Work {
  return new ChangeWork(new Insert(INFO, ROUTE.table, PLACE, { id: 4_711 }), ROUTE, bytes, null);
}
const COMMIT: Work = {
  kind: 'commit',
  transaction: new CommittedTransaction(INFO, new TransactionTally()),
  unit: { settle: () => undefined },
};

describe('WorkQueue', () => {
  it('gives first what came first, over any sequence of adding and taking', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (steps) => {
        const queue = new WorkQueue({ changes: 10, bytes: 1_000 });
        const expected: Work[] = [];
        for (const isAdding of steps) {
          if (isAdding) {
            const work = changeOf(1);
            queue.add(work);
            expected.push(work);
          } else if (!queue.isEmpty) {
            expect(queue.take()).toBe(expected.shift());
          }
          expect(queue.isEmpty).toBe(expected.length === 0);
        }
      }),
    );
  });

  it('keeps its order over many thousand entries', () => {
    const queue = new WorkQueue({ changes: 10, bytes: 1_000 });
    const works = Array.from({ length: 20_000 }, (_, index) => changeOf(index));
    works.slice(0, 10_000).forEach((work) => queue.add(work));
    const taken = Array.from({ length: 9_000 }, () => queue.take());
    works.slice(10_000).forEach((work) => queue.add(work));
    while (!queue.isEmpty) taken.push(queue.take());
    expect(taken).toEqual(works);
  });

  it('forgets what waits and goes on counting what is in hand', () => {
    const queue = new WorkQueue({ changes: 3, bytes: 1_000 });
    for (const bytes of [10, 20, 30]) queue.received(bytes);
    queue.add(changeOf(20));
    queue.add(COMMIT);
    queue.add(changeOf(30));
    expect(queue.isFull).toBe(true);
    queue.clear();
    expect(queue).toMatchObject({ pendingChanges: 1, pendingBytes: 10, isEmpty: true, isFull: false });
    expect(queue.finished(10)).toBe(false);
    expect(queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });

  it('is full with commits too: any number of them may come behind a handler that blocks', () => {
    const queue = new WorkQueue({ changes: 4, bytes: 1_000 });
    for (let count = 0; count < 4; count++) queue.add(COMMIT);
    expect(queue).toMatchObject({ isFull: true, pendingChanges: 0 });
    queue.take();
    expect([queue.isFull, queue.hasRoomAgain()]).toEqual([false, false]);
    queue.take();
    expect([queue.hasRoomAgain(), queue.hasRoomAgain()]).toEqual([true, false]);
  });

  it('begins anew after forgetting, also where some had been taken before', () => {
    const queue = new WorkQueue({ changes: 3, bytes: 1_000 });
    [changeOf(1), changeOf(2)].forEach((work) => queue.add(work));
    queue.take();
    queue.clear();
    expect(queue.isEmpty).toBe(true);
    const next = changeOf(3);
    queue.add(next);
    expect([queue.isEmpty, queue.take(), queue.isEmpty]).toEqual([false, next, true]);
  });

  it('tells of room once, when half of both limits is free again', () => {
    const queue = new WorkQueue({ changes: 4, bytes: 100 });
    for (const bytes of [90, 1, 1, 1]) queue.received(bytes);
    expect([queue.finished(1), queue.finished(1), queue.finished(1)]).toEqual([false, false, false]);
    expect([queue.finished(90), queue.pendingChanges]).toEqual([true, 0]);
    queue.received(5);
    expect(queue.finished(5)).toBe(false);
  });
});

describe('the description of work', () => {
  it('says what and where, and no value', () => {
    const content = Buffer.from('secret');
    const message = new LogicalMessageEvent(INFO, { transactional: true, lsn: 1n, prefix: 'outbox', content });
    expect(describeWork(changeOf(1))).toBe('insert of public.orders (0/100/3)');
    expect(describeWork({ kind: 'message', message, bytes: 1, unit: null })).toBe(
      'the message with prefix "outbox" (0/100)',
    );
    expect(describeWork(COMMIT)).toBe('the transaction committed at 0/100');
  });
});
