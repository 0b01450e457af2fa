import { describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { Transaction } from '#lib/interfaces/transaction.interface.js';
import { settlesSoon, turns } from '../waiting.js';
import { Deferred, DispatcherBench, type HandlerSpec, idOf } from './dispatcher-bench.js';

function waitingAt(id: number, wait: Deferred, seen: number[]): HandlerSpec {
  return {
    run: (change: RowChange) => {
      seen.push(idOf(change));
      return idOf(change) === id ? wait.promise : undefined;
    },
  };
}

/** Notes the ids of each whole transaction. */
function wholeTransactions(seen: unknown[][], wait?: Promise<void>): HandlerSpec {
  return {
    kind: 'transaction',
    id: 'Audit.onCommit',
    run: async (transaction: Transaction) => {
      const ids: unknown[] = [];
      for await (const change of transaction.changes) ids.push(idOf(change));
      seen.push(ids);
      await wait;
    },
  };
}

describe('when a connection breaks', () => {
  it('what waits is dropped, and what is in hand runs on and counts', async () => {
    const seen: number[] = [];
    const wait = new Deferred();
    const bench = new DispatcherBench([waitingAt(1, wait, seen)]);
    const transaction = bench.transaction(0x100n).change(1).change(2).commit();
    bench.dispatcher.abort();
    expect(bench.dispatcher.queue.pendingChanges).toBe(1);
    wait.resolve();
    await turns();
    expect(seen).toEqual([1]);
    expect(transaction.settled).toBe(0);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
    expect(bench.dispatcher.handedOver).toBe(transaction.changes[0]);
    expect(bench.dispatcher.changesHandled).toBe(1);
  });

  it('what comes on the next connection waits behind what is in hand', async () => {
    const seen: number[] = [];
    const wait = new Deferred();
    const bench = new DispatcherBench([waitingAt(1, wait, seen)]);
    const old = bench.transaction(0x100n).change(1).change(2);
    bench.dispatcher.abort();
    const again = bench.transaction(0x100n);
    again.change(2).change(3).commit();
    expect(seen).toEqual([1]);
    wait.resolve();
    await turns();
    expect(seen).toEqual([1, 2, 3]);
    expect([old.settled, again.settled]).toEqual([0, 1]);
  });

  it('a transaction whose rest went to another process leaves nothing to the next one', async () => {
    const seen: unknown[][] = [];
    const bench = new DispatcherBench([wholeTransactions(seen)]);
    bench.transaction(0x100n).change(1).change(2);
    bench.dispatcher.abort();
    bench.transaction(0x200n).commit();
    await turns();
    expect(seen).toEqual([[]]);
  });

  it('draining does not wait for the rest of a transaction, which may never come', async () => {
    const bench = new DispatcherBench([{ run: () => undefined }]);
    bench.transaction(0x100n).change(1);
    bench.dispatcher.abort();
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });

  it('draining ends when the connection breaks with nothing in hand', async () => {
    const bench = new DispatcherBench([{ run: () => undefined }]);
    bench.transaction(0x100n).change(1);
    const drained = bench.dispatcher.drain();
    expect(await settlesSoon(drained)).toBe(false);
    bench.dispatcher.abort();
    expect(await settlesSoon(drained)).toBe(true);
  });

  it('a Commit in hand is not handed over again, and both units settle when it is done', async () => {
    const wait = new Deferred();
    const seen: unknown[][] = [];
    const bench = new DispatcherBench([wholeTransactions(seen, wait.promise)]);
    const summaries: string[] = [];
    bench.streams.transactions().subscribe(({ lsn }) => summaries.push(lsn));
    const old = bench.transaction(0x100n).change(1).commit();
    bench.dispatcher.abort();
    const again = bench.transaction(0x100n).commit();
    await turns();
    expect([old.settled, again.settled]).toEqual([0, 0]);
    wait.resolve();
    await turns();
    expect([old.settled, again.settled]).toEqual([1, 1]);
    expect(seen).toEqual([[1]]);
    expect(summaries).toEqual(['0/100']);
  });

  it('a message in hand is not handed over again, and settles when it is done', async () => {
    const wait = new Deferred();
    let calls = 0;
    const run = () => {
      calls++;
      return wait.promise;
    };
    const bench = new DispatcherBench([{ kind: 'message', id: 'Outbox.onMessage', run }]);
    const old = bench.message(0x50n);
    bench.dispatcher.abort();
    const again = bench.message(0x50n);
    const other = bench.message(0x60n);
    await turns();
    expect([old(), again(), other()]).toEqual([false, false, false]);
    wait.resolve();
    await turns();
    expect([old(), again(), other()]).toEqual([true, true, true]);
    expect(calls).toBe(2);
  });

  it('a whole transaction is still whole for its handlers, each change once', async () => {
    const seen: unknown[][] = [];
    const bench = new DispatcherBench([wholeTransactions(seen)]);
    bench.transaction(0x100n).change(1).change(2);
    bench.dispatcher.abort();
    bench.transaction(0x100n).change(3).commit();
    await turns();
    expect(seen).toEqual([[1, 2, 3]]);
  });
});

describe('when positions mean nothing any more', () => {
  it('nothing that was handed over is remembered', () => {
    const bench = new DispatcherBench([]);
    bench.transaction(0x100n).change(1);
    bench.dispatcher.forget();
    expect(bench.dispatcher.handedOver).toBeNull();
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    expect(bench.dispatcher.handedOver).toBeNull();
  });

  it('a Commit and a message at the place of earlier ones are handed over', async () => {
    const seen: unknown[][] = [];
    let messages = 0;
    const bench = new DispatcherBench([
      wholeTransactions(seen),
      { kind: 'message', id: 'Outbox.onMessage', run: () => void messages++ },
    ]);
    bench.transaction(0x100n).change(1).commit();
    bench.message(0x150n);
    await turns();
    bench.dispatcher.forget();
    bench.transaction(0x100n).change(7).commit();
    bench.message(0x150n);
    await turns();
    expect(seen).toEqual([[1], [7]]);
    expect(messages).toBe(2);
  });

  it('a change that was in hand then does not turn up in another transaction', async () => {
    const seen: unknown[][] = [];
    const wait = new Deferred();
    const bench = new DispatcherBench([waitingAt(1, wait, []), wholeTransactions(seen)]);
    bench.transaction(0x500n).change(1);
    bench.dispatcher.abort();
    bench.dispatcher.forget();
    wait.resolve();
    await turns();
    bench.transaction(0x200n).commit();
    await turns();
    expect(seen).toEqual([[]]);
  });

  it('a change that was finished before does not turn up in another transaction either', async () => {
    const seen: unknown[][] = [];
    const bench = new DispatcherBench([wholeTransactions(seen)]);
    bench.transaction(0x500n).change(1);
    bench.dispatcher.abort();
    bench.dispatcher.forget();
    bench.transaction(0x200n).commit();
    await turns();
    expect(seen).toEqual([[]]);
  });

  it('draining does not wait for the Commit of a transaction that is gone', async () => {
    const bench = new DispatcherBench([]);
    bench.transaction(0x500n).change(1);
    bench.dispatcher.abort();
    bench.dispatcher.forget();
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });
});
