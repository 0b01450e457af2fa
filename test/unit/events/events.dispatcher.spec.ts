import { describe, expect, it } from '@jest/globals';
import { Observable, of } from 'rxjs';
import type { RowChange } from '#lib/changes/change.js';
import type { LogicalMessage } from '#lib/interfaces/transaction.interface.js';
import { turns, until } from '../waiting.js';
import { Deferred, DispatcherBench, type HandlerSpec, idOf } from './dispatcher-bench.js';
import { stopClock } from './stream-bench.js';

/** A handler that notes what it is given. */
function noting(seen: unknown[], name = '', more: Partial<HandlerSpec> = {}): HandlerSpec {
  return { id: name, ...more, run: (change: RowChange) => void seen.push(`${name}${idOf(change)}`) };
}

describe('a synchronous handler', () => {
  stopClock();

  it('has run before change() returns: it costs no promise', () => {
    const seen: unknown[] = [];
    const bench = new DispatcherBench([noting(seen)]);
    const transaction = bench.transaction(0x100n).change(1);
    expect(seen).toEqual(['1']);
    transaction.change(2).commit();
    expect(seen).toEqual(['1', '2']);
    expect(transaction.settled).toBe(1);
  });

  it('is given the change and its context, on its own instance', () => {
    const instance = { name: 'orders' };
    const calls: unknown[][] = [];
    function run(this: unknown, ...args: unknown[]): void {
      calls.push([this, ...args]);
    }
    const bench = new DispatcherBench([{ id: 'Orders.onChange', instance, run: run as HandlerSpec['run'] }]);
    const transaction = bench.transaction(0x100n).change(1).commit();
    const [self, change, context] = calls[0]!;
    expect(self).toBe(instance);
    expect(change).toBe(transaction.changes[0]);
    expect(context).toMatchObject({ app: 'default', handler: 'Orders.onChange', attempt: 1 });
    expect((context as { transaction: unknown }).transaction).toBe(transaction.info);
    expect((context as { signal: AbortSignal }).signal.aborted).toBe(false);
  });

  it('may return anything that is no promise', () => {
    const results = [undefined, null, 7, 'text', { some: 'object' }, [], () => undefined];
    const bench = new DispatcherBench([{ run: (change: RowChange) => results[idOf(change)] }]);
    const transactions = bench.deliver(...results.keys());
    expect(transactions.map(({ settled }) => settled)).toEqual(results.map(() => 1));
  });
});

describe('order', () => {
  it('of one change is that of discovery, one handler after the other', async () => {
    const seen: unknown[] = [];
    const wait = new Deferred();
    const slow: HandlerSpec = {
      id: 'slow',
      run: async (change: RowChange) => {
        seen.push(`slow begins ${idOf(change)}`);
        await wait.promise;
        seen.push(`slow ends ${idOf(change)}`);
      },
    };
    const bench = new DispatcherBench([noting(seen, 'first '), slow, noting(seen, 'last ')]);
    bench.deliver(1);
    await turns();
    expect(seen).toEqual(['first 1', 'slow begins 1']);
    wait.resolve();
    await turns();
    expect(seen).toEqual(['first 1', 'slow begins 1', 'slow ends 1', 'last 1']);
  });

  it('of changes is that of the log: the next one waits for all handlers of this one', async () => {
    const seen: number[] = [];
    const waits = [1, 2, 3].map(() => new Deferred());
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          seen.push(idOf(change));
          return waits[idOf(change) - 1]!.promise;
        },
      },
    ]);
    const transactions = bench.deliver(1, 2, 3);
    for (const [index, wait] of waits.entries()) {
      await turns();
      expect(seen).toHaveLength(index + 1);
      expect(transactions.map(({ settled }) => settled)).toEqual([1, 2, 3].map((id) => (id <= index ? 1 : 0)));
      wait.resolve();
    }
    await turns();
    expect(seen).toEqual([1, 2, 3]);
    expect(transactions.every(({ settled }) => settled === 1)).toBe(true);
  });

  it('holds where synchronous and asynchronous handlers take turns', async () => {
    const seen: number[] = [];
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          const id = idOf(change);
          if (id % 3 === 0) return void seen.push(id);
          return new Promise<void>((resolve) => {
            setTimeout(() => {
              seen.push(id);
              resolve();
            }, id % 2);
          });
        },
      },
    ]);
    const ids = Array.from({ length: 200 }, (_, index) => index + 1);
    const transactions = bench.deliver(...ids);
    await until(() => transactions.every(({ settled }) => settled === 1), 'all transactions');
    expect(seen).toEqual(ids);
  });

  it('holds for messages among changes', async () => {
    const seen: unknown[] = [];
    const bench = new DispatcherBench([
      { run: async (change: RowChange) => void seen.push(idOf(change)) },
      { kind: 'message', prefix: 'outbox', run: async (message: LogicalMessage) => void seen.push(message.prefix) },
    ]);
    bench.transaction(0x100n).change(1).message().change(2).commit();
    const isSettled = bench.message(0x150n);
    bench.deliver(3);
    await turns(20);
    expect(seen).toEqual([1, 'outbox', 2, 'outbox', 3]);
    expect(isSettled()).toBe(true);
  });
});

describe('settling', () => {
  it('comes after the last handler of the last change, and once', async () => {
    const wait = new Deferred();
    const bench = new DispatcherBench([
      { run: (change: RowChange) => (idOf(change) === 2 ? wait.promise : undefined) },
    ]);
    const transaction = bench.transaction(0x100n).change(1).change(2).commit();
    await turns();
    expect(transaction.settled).toBe(0);
    wait.resolve();
    await turns();
    expect(transaction.settled).toBe(1);
    expect(bench.dispatcher.changesHandled).toBe(2);
  });

  it('needs no handler', () => {
    const bench = new DispatcherBench([]);
    expect(bench.transaction(0x100n).change(1, 'elsewhere').commit().settled).toBe(1);
  });

  it('waits for an Observable to complete, with or without a value', async () => {
    let complete = () => undefined as void;
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          if (idOf(change) === 1) return of(1, 2, 3);
          return new Observable<never>((subscriber) => void (complete = () => subscriber.complete()));
        },
      },
    ]);
    const [first, second] = bench.deliver(1, 2);
    await turns();
    expect([first!.settled, second!.settled]).toEqual([1, 0]);
    complete();
    await turns();
    expect(second!.settled).toBe(1);
  });

  it('waits for anything that can be awaited', async () => {
    let go = () => undefined as void;
    // eslint-disable-next-line unicorn/no-thenable
    const bench = new DispatcherBench([{ run: () => ({ then: (resolve: () => void) => void (go = resolve) }) }]);
    const [transaction] = bench.deliver(1);
    await turns();
    expect(transaction!.settled).toBe(0);
    go();
    go();
    await turns();
    expect(transaction!.settled).toBe(1);
  });
});

describe('what is asked for', () => {
  it('are the messages of prefixes that somebody handles', () => {
    const bench = new DispatcherBench([{ kind: 'message', prefix: 'outbox', run: () => undefined }]);
    expect(['outbox', 'other'].map((prefix) => bench.dispatcher.wantsMessage(prefix))).toEqual([true, false]);
  });
});
