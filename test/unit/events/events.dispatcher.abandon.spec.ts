import { describe, expect, it } from '@jest/globals';
import { turns, until } from '../waiting.js';
import { DispatcherBench, WaitingHandler } from './dispatcher-bench.js';

describe('abandoning', () => {
  it("aborts the signal of the handler in hand, ends the draining, and ignores the handler's late result", async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    const wait = handler.waitAt(1);
    const transactions = bench.deliver(1, 2);
    const draining = bench.dispatcher.drain();
    expect(handler.signals[0]!.aborted).toBe(false);
    bench.dispatcher.abandon();
    await draining;
    expect(handler.signals[0]!.aborted).toBe(true);
    wait.resolve();
    await turns();
    expect(handler.seen).toEqual([1]);
    expect(transactions.map(({ settled }) => settled)).toEqual([0, 0]);
    expect(bench.dispatcher.queue.pendingChanges).toBe(0);
  });

  it.each(['resolve', 'reject'] as const)(
    'ignores a late result in the next run too, where the same change is in hand again: %s',
    async (end) => {
      const handler = new WaitingHandler();
      const bench = new DispatcherBench([handler.spec]);
      const late = handler.waitAt(1);
      bench.deliver(1);
      bench.dispatcher.abandon();
      bench.dispatcher.begin();
      const again = handler.waitAt(1);
      const [transaction] = bench.deliver(1);
      late[end](undefined as never);
      await turns();
      expect(transaction!.settled).toBe(0);
      expect(bench.dispatcher.desk.failures).toBe(0);
      expect(handler.signals.map(({ aborted }) => aborted)).toEqual([true, false]);
      again.resolve();
      await turns();
      expect(transaction!.settled).toBe(1);
    },
  );

  it('says to the next run which change was the last to be finished', async () => {
    const handler = new WaitingHandler();
    const bench = new DispatcherBench([handler.spec]);
    handler.waitAt(2);
    const transaction = bench.transaction(0x100n).change(1).change(2).change(3);
    expect(bench.dispatcher.handedOver).toBe(transaction.changes[1]);
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    expect(bench.dispatcher.handedOver).toBe(transaction.changes[0]);
  });

  it('ends the tries of a handler that fails', async () => {
    let attempts = 0;
    const bench = new DispatcherBench([{ run: () => Promise.reject(new Error(`${++attempts}`)) }]);
    bench.deliver(1);
    await until(() => attempts > 2);
    bench.dispatcher.abandon();
    const before = attempts;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(attempts).toBe(before);
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
  });
});
