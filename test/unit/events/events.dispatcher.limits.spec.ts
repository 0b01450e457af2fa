import { describe, expect, it } from '@jest/globals';
import type { Transaction } from '#lib/interfaces/transaction.interface.js';
import { waitFor } from '../../support/wait.js';
import { turns } from '../waiting.js';
import { Deferred, DispatcherBench, idOf } from './dispatcher-bench.js';
import { stopClock } from './stream-bench.js';

/** A bench whose handler waits for `release`, one change at a time. */
function slowBench(limits: { changes: number; bytes: number }) {
  const waits: Deferred[] = [];
  const bench = new DispatcherBench(
    [
      {
        run: () => {
          const wait = new Deferred();
          waits.push(wait);
          return wait.promise;
        },
      },
    ],
    { limits },
  );
  const release = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      // The dispatcher may have given the event loop a turn.
      await waitFor(() => waits.length > 0, 'the next call');
      waits.shift()!.resolve();
      await turns(1);
    }
  };
  return { bench, release };
}

describe('what is received and unfinished', () => {
  // A turn of the event loop between a change and its Commit would leave that one in the queue, where it counts.
  stopClock();

  it('is counted in changes and bytes', async () => {
    const { bench, release } = slowBench({ changes: 10, bytes: 10_000 });
    bench.transaction(0x100n).change(1, 'orders', 70).change(2, 'orders', 30).commit();
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 2, pendingBytes: 100 });
    await release(1);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 1, pendingBytes: 30 });
    await release(1);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });

  it.each([
    ['changes', { changes: 4, bytes: 1_000_000 }],
    ['bytes', { changes: 1_000, bytes: 400 }],
  ])('is full at the limit of %s, and has room again when half of it is done', async (_what, limits) => {
    const { bench, release } = slowBench(limits);
    bench.deliver(1, 2, 3);
    expect(bench.dispatcher.isFull).toBe(false);
    bench.deliver(4);
    expect(bench.dispatcher.isFull).toBe(true);
    await release(1);
    expect({ isFull: bench.dispatcher.isFull, rooms: bench.rooms }).toEqual({ isFull: false, rooms: 0 });
    await release(1);
    expect(bench.rooms).toBe(1);
    await release(2);
    expect(bench.rooms).toBe(1);
  });

  it('is full with Commits as well, which weigh nothing and may be any number', async () => {
    const wait = new Deferred();
    const bench = new DispatcherBench([{ kind: 'transaction', id: 'Audit.onCommit', run: () => wait.promise }], {
      limits: { changes: 4, bytes: 1_000_000 },
    });
    const transactions = [1n, 2n, 3n, 4n, 5n].map((lsn) => bench.transaction(lsn * 0x100n).commit());
    expect(bench.dispatcher.isFull).toBe(true);
    wait.resolve();
    await turns(6);
    expect(transactions.map(({ settled }) => settled)).toEqual([1, 1, 1, 1, 1]);
    expect({ isFull: bench.dispatcher.isFull, rooms: bench.rooms }).toEqual({ isFull: false, rooms: 1 });
  });

  it('has room again at once where a limit of one was reached', async () => {
    const { bench, release } = slowBench({ changes: 1, bytes: 1_000_000 });
    bench.deliver(1);
    expect(bench.dispatcher.isFull).toBe(true);
    await release(1);
    expect({ isFull: bench.dispatcher.isFull, rooms: bench.rooms }).toEqual({ isFull: false, rooms: 1 });
  });

  it('tells of no room where there was always some', async () => {
    const { bench, release } = slowBench({ changes: 10, bytes: 1_000_000 });
    bench.deliver(1, 2, 3);
    await release(3);
    expect(bench.rooms).toBe(0);
  });

  it('has room for the next connection where what waited was dropped', async () => {
    const { bench, release } = slowBench({ changes: 4, bytes: 1_000_000 });
    bench.deliver(1, 2, 3, 4);
    bench.dispatcher.abort();
    expect(bench.dispatcher.isFull).toBe(false);
    expect(bench.dispatcher.queue.pendingChanges).toBe(1);
    await release(1);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });
});

describe('a whole transaction', () => {
  function wholeBench(limits?: { changes: number; bytes: number }) {
    const seen: { ids: unknown[]; size: number }[] = [];
    const bench = new DispatcherBench(
      [
        {
          kind: 'transaction',
          id: 'Audit.onCommit',
          run: async (transaction: Transaction) => {
            const ids: unknown[] = [];
            for await (const change of transaction.changes) ids.push(idOf(change));
            seen.push({ ids, size: transaction.size });
          },
        },
      ],
      limits === undefined ? {} : { limits },
    );
    return { bench, seen };
  }

  it('is given all changes of the tables that the app hears, in order', async () => {
    const { bench, seen } = wholeBench();
    const transaction = bench.transaction(0x100n).change(1).change(2, 'items').change(3).commit();
    await turns();
    expect(seen).toEqual([{ ids: [1, 2, 3], size: 3 }]);
    expect(transaction.settled).toBe(1);
  });

  it('does not have the changes of another', async () => {
    const { bench, seen } = wholeBench();
    bench.deliver(1, 2);
    bench.transaction(0x900n).commit();
    await turns(6);
    expect(seen.map(({ ids }) => ids)).toEqual([[1], [2], []]);
  });

  it('of exactly the limits is still handled', async () => {
    const { bench, seen } = wholeBench({ changes: 2, bytes: 200 });
    bench.transaction(0x100n).change(1).change(2).commit();
    await turns();
    expect(seen).toHaveLength(1);
    expect(bench.faults).toEqual([]);
  });

  it.each([
    ['changes', { changes: 2, bytes: 1_000_000 }],
    ['bytes', { changes: 1_000, bytes: 250 }],
  ])('that is larger than the limit of %s is given whole all the same', async (_what, limits) => {
    const { bench, seen } = wholeBench(limits);
    const transaction = bench.transaction(0x100n).change(1).change(2).change(3).change(4).commit();
    await turns();
    expect(seen).toEqual([{ ids: [1, 2, 3, 4], size: 4 }]);
    expect(transaction.settled).toBe(1);
    expect(bench.faults).toEqual([]);
  });
});
