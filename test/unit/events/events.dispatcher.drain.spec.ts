import { describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import { settlesSoon, turns, until } from '../waiting.js';
import { Deferred, DispatcherBench, idOf, WaitingHandler } from './dispatcher-bench.js';

describe('draining', () => {
  it('is over at once where nothing is in hand, and nothing is taken afterwards', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    bench.deliver(1);
    await bench.dispatcher.drain();
    const [late] = bench.deliver(2);
    expect(handler.seen).toEqual([1]);
    expect(late!.settled).toBe(0);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
  });

  it('finishes the transaction in hand, what of it waits and what is still to come, and begins none after it', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    const wait = handler.waitAt(1);
    const first = bench.transaction(0x100n).change(1).change(2);
    const draining = bench.dispatcher.drain();
    first.change(3).commit();
    const [second] = bench.deliver(4);
    expect(await settlesSoon(draining)).toBe(false);
    wait.resolve();
    await draining;
    expect(handler.seen).toEqual([1, 2, 3]);
    expect([first.settled, second!.settled]).toEqual([1, 0]);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
  });

  it('waits for the Commit of a transaction that is half there', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    const transaction = bench.transaction(0x100n).change(1);
    const draining = bench.dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    transaction.commit();
    await draining;
    expect(transaction.settled).toBe(1);
  });

  it('waits for the Commit behind a message of a transaction as well', async () => {
    const bench = new DispatcherBench([{ kind: 'message', id: 'Outbox.onMessage', run: () => undefined }]);
    const transaction = bench.transaction(0x100n).message();
    const draining = bench.dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    transaction.commit();
    await draining;
    expect(transaction.settled).toBe(1);
  });

  it('waits for a handler in hand that failed before and is tried just now', async () => {
    const wait = new Deferred();
    let failures = 1;
    const run = () => (failures-- > 0 ? Promise.reject(new Error('again')) : wait.promise);
    const bench = new DispatcherBench([{ run }]);
    const [transaction] = bench.deliver(1);
    await until(() => failures < 0);
    const draining = bench.dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    wait.resolve();
    await draining;
    expect(transaction!.settled).toBe(1);
  });

  it('does not count a failure: no attempt, no word in the log, and the change comes again', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    const wait = handler.waitAt(1);
    const [transaction] = bench.deliver(1);
    const draining = bench.dispatcher.drain();
    wait.reject(new Error('the pool is closed'));
    await draining;
    expect(bench.dispatcher.desk.failures).toBe(0);
    expect(bench.errors).toEqual([]);
    expect(transaction!.settled).toBe(0);
    handler.waits.clear();
    bench.dispatcher.begin();
    expect(bench.dispatcher.handedOver).toBeNull();
    expect(bench.deliver(1)[0]!.settled).toBe(1);
  });

  it('does not count what a synchronous handler throws either', async () => {
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          if (idOf(change) === 2) throw new Error('the pool is closed');
        },
      },
    ]);
    const transaction = bench.transaction(0x100n).change(1);
    const draining = bench.dispatcher.drain();
    transaction.change(2).commit();
    await draining;
    expect(bench.dispatcher.desk.failures).toBe(0);
    expect(transaction.settled).toBe(0);
  });

  it('does not wait for the next try of a handler that failed before', async () => {
    const bench = new DispatcherBench([
      { retry: { minDelayMs: 10_000, maxDelayMs: 10_000 }, run: () => Promise.reject(new Error('again')) },
    ]);
    bench.deliver(1);
    await until(() => bench.dispatcher.desk.failures === 1);
    await bench.dispatcher.drain();
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
  });

  it('finishes a message that is in hand, and begins nothing after it', async () => {
    const seen: number[] = [];
    const wait = new Deferred();
    const bench = new DispatcherBench([
      { kind: 'message', id: 'Outbox.onMessage', run: () => wait.promise },
      { run: (change: RowChange) => void seen.push(idOf(change)) },
    ]);
    const isSettled = bench.message(0x50n);
    bench.deliver(1);
    const draining = bench.dispatcher.drain();
    wait.resolve();
    await draining;
    expect(isSettled()).toBe(true);
    expect(seen).toEqual([]);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });

  it('of an app that a handler of messages stops itself leaves it able to start again', async () => {
    let draining: Promise<void> | undefined;
    const seen: number[] = [];
    const bench = new DispatcherBench([
      {
        kind: 'message',
        id: 'Control.onMessage',
        run: async () => {
          draining ??= bench.dispatcher.drain();
          await turns(1);
        },
      },
      { run: (change: RowChange) => void seen.push(idOf(change)) },
    ]);
    bench.message(0x50n);
    await until(() => draining !== undefined);
    expect(await settlesSoon(draining!)).toBe(true);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
    bench.dispatcher.begin();
    bench.deliver(1);
    await turns();
    expect(seen).toEqual([1]);
  });

  it('of an app that a synchronous handler of messages stops itself counts nothing twice', async () => {
    let draining: Promise<void> | undefined;
    const bench = new DispatcherBench([
      { kind: 'message', id: 'Control.onMessage', run: () => void (draining ??= bench.dispatcher.drain()) },
    ]);
    bench.message(0x50n);
    expect(await settlesSoon(draining!)).toBe(true);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });
});

describe('draining while the event loop has its turn', () => {
  /** Keeps the handler busy until a change has to wait for the turn of the event loop, between two transactions. */
  async function busyBench(): Promise<{ bench: DispatcherBench; seen: number[] }> {
    const seen: number[] = [];
    const bench = new DispatcherBench([
      {
        run: (change: RowChange) => {
          seen.push(idOf(change));
          const end = performance.now() + 1;
          while (performance.now() < end);
        },
      },
    ]);
    for (let id = 1; id < 10_000; id++) {
      const transaction = bench.transaction(BigInt(id) * 0x100n).change(id);
      if (seen.length < id) return { bench, seen };
      transaction.commit();
      while (transaction.settled === 0) await turns(1);
    }
    throw new Error('the event loop never had a turn');
  }

  it('begins no further transaction', async () => {
    const { bench, seen } = await busyBench();
    const before = seen.length;
    await settlesSoon(bench.dispatcher.drain());
    expect(seen).toHaveLength(before);
  });

  it('is over soon where nothing waits', async () => {
    const { bench } = await busyBench();
    bench.dispatcher.abort();
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });
});
