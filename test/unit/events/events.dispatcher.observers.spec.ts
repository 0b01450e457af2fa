import { afterEach, describe, expect, it } from '@jest/globals';
import { config } from 'rxjs';
import type { RowChange } from '#lib/changes/change.js';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { ALL_OPERATIONS } from '#lib/events/change-streams.js';
import type { TransactionSummary } from '#lib/interfaces/transaction.interface.js';
import { turns, until } from '../waiting.js';
import { Deferred, DispatcherBench, idOf } from './dispatcher-bench.js';
import { stopClock } from './stream-bench.js';

function watch(bench: DispatcherBench, tables = ['*']): number[] {
  const seen: number[] = [];
  bench.streams.changes(new TablePattern(tables), ALL_OPERATIONS).subscribe((change) => seen.push(idOf(change)));
  return seen;
}

stopClock();

afterEach(() => {
  config.onUnhandledError = null;
});

describe('observers', () => {
  it('see each change once, when it is handed to its handlers, however often these are tried', async () => {
    let failures = 3;
    const bench = new DispatcherBench([
      {
        run: async () => {
          if (failures-- > 0) throw new Error('again');
        },
      },
    ]);
    const seen = watch(bench);
    const transactions = bench.deliver(1, 2);
    expect(seen).toEqual([1]);
    await until(() => transactions[1]!.settled === 1);
    expect(seen).toEqual([1, 2]);
  });

  it('see a change that no handler takes', () => {
    const bench = new DispatcherBench([]);
    const seen = watch(bench, ['elsewhere']);
    bench.transaction(0x100n).change(1, 'elsewhere').change(2, 'orders').commit();
    expect(seen).toEqual([1]);
  });

  it('see it before its handlers, in the order of the log', async () => {
    const order: string[] = [];
    const bench = new DispatcherBench([{ run: (change: RowChange) => void order.push(`handler ${idOf(change)}`) }]);
    bench.streams.changes(new TablePattern(['*']), ALL_OPERATIONS).subscribe((change) => {
      order.push(`observer ${idOf(change)}`);
    });
    bench.deliver(1, 2);
    expect(order).toEqual(['observer 1', 'handler 1', 'observer 2', 'handler 2']);
  });

  it('hold nothing back by what they throw: handlers, other observers and the position are untouched', async () => {
    const uncaught: unknown[] = [];
    config.onUnhandledError = (error) => uncaught.push(error);
    const handled: number[] = [];
    const bench = new DispatcherBench([{ run: (change: RowChange) => void handled.push(idOf(change)) }]);
    const fault = new Error('an observer of the user');
    bench.streams.changes(new TablePattern(['*']), ALL_OPERATIONS).subscribe(() => {
      throw fault;
    });
    const seen = watch(bench);
    const transactions = bench.deliver(1, 2);
    expect({ handled, seen }).toEqual({ handled: [1, 2], seen: [1, 2] });
    expect(transactions.map(({ settled }) => settled)).toEqual([1, 1]);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
    await until(() => uncaught.length === 2);
    expect(uncaught).toEqual([fault, fault]);
  });

  it('see a change once in a process, although it is handed over again after a stop and a start', async () => {
    const bench = new DispatcherBench([{ run: () => new Deferred().promise }]);
    const seen = watch(bench);
    bench.deliver(1);
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    bench.deliver(1);
    await turns();
    expect(seen).toEqual([1]);
  });

  it('see what comes behind it again, also after several stops', async () => {
    const wait = new Deferred();
    const bench = new DispatcherBench([
      { run: (change: RowChange) => (idOf(change) === 2 ? wait.promise : undefined) },
    ]);
    const seen = watch(bench);
    for (let round = 0; round < 3; round++) {
      const transaction = bench.transaction(0x100n).change(1);
      transaction.change(2).change(3).commit();
      bench.dispatcher.abandon();
      bench.dispatcher.begin();
    }
    expect(seen).toEqual([1, 2]);
    wait.resolve();
    bench.transaction(0x100n).change(1).change(2).change(3).commit();
    bench.deliver(4);
    await turns();
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('see the changes of another history, wherever these stand', () => {
    const bench = new DispatcherBench([]);
    const seen = watch(bench);
    bench.deliver(5);
    bench.dispatcher.forget();
    bench.deliver(3);
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    bench.dispatcher.forget();
    bench.deliver(2);
    expect(seen).toEqual([5, 3, 2]);
  });

  it('see a summary of each transaction, when its changes have been handed to the handlers', async () => {
    const wait = new Deferred();
    const bench = new DispatcherBench([
      { run: (change: RowChange) => (idOf(change) === 1 ? wait.promise : undefined) },
    ]);
    const summaries: TransactionSummary[] = [];
    bench.streams.transactions().subscribe((summary) => summaries.push(summary));
    bench.transaction(0x100n).change(1).change(2).commit();
    await turns();
    expect(summaries).toEqual([]);
    wait.resolve();
    await turns();
    expect(summaries).toHaveLength(1);
    expect(summaries[0]).toMatchObject({ app: 'default', lsn: '0/100', size: 2 });
    expect(summaries[0]!.count('orders', 'insert')).toBe(2);
  });

  it('of transactions make the stream tell every transaction, and no longer when they leave', () => {
    const bench = new DispatcherBench([]);
    expect(bench.dispatcher.watchesTransactions).toBe(false);
    const subscription = bench.streams.transactions().subscribe();
    expect(bench.dispatcher.watchesTransactions).toBe(true);
    subscription.unsubscribe();
    expect(bench.dispatcher.watchesTransactions).toBe(false);
  });
});
