import { HISTORY, streamOf } from '../../../support/history.js';
import { describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { until } from '../../waiting.js';
import { at, endOf, LaneHandler, settle, stopClock, StreamBench, tagOf, VARCHAR } from '../stream-bench.js';

describe('concurrency', () => {
  stopClock();

  it('runs as many calls side by side as it says, and begins the next one when one of them ends', async () => {
    const handler = new LaneHandler({ concurrency: 3 });
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2', '3', '4', '5');
    expect(handler.running).toEqual(['1', '2', '3']);
    await handler.finish('2');
    expect(handler.running).toEqual(['1', '3', '4']);
    await handler.finish('1', '3');
    expect(handler.running).toEqual(['4', '5']);
    expect(connection.confirmable).toBe(0n);
    await handler.finish('5', '4');
    expect(connection.confirmable).toBe(endOf(at(1)));
    expect(dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0, heldTransactions: 0 });
    expect(dispatcher.changesHandled).toBe(5);
  });

  it('keeps the changes of one key in order, one after the other, over transactions', async () => {
    const handler = new LaneHandler();
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2').begin(at(2)).update(1, '1b').delete(1).insert(1, '1c').commit(at(2));
    expect(handler.running).toEqual(['1', '2']);
    await handler.finish('1');
    expect(handler.running).toEqual(['2', '1b']);
    await handler.finish('1b');
    expect(handler.running).toEqual(['2', '-1']);
    await handler.finish('-1');
    expect(handler.running).toEqual(['2', '1c']);
  });

  it('has a change of the key wait for both keys, and both keys wait for it', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2', '3');
    connection.begin(at(2)).update(2, 'from 1 to 2', 1).insert(1, '1b').update(2, '2b').insert(4, '4').commit(at(2));
    expect(handler.running).toEqual(['1', '2', '3', '4']);
    await handler.finish('1');
    expect(handler.running).toEqual(['2', '3', '4']);
    await handler.finish('2');
    expect(handler.running).toEqual(['3', '4', 'from 1 to 2']);
    await handler.finish('from 1 to 2');
    expect(handler.running).toEqual(['3', '4', '1b', '2b']);
  });

  it('tells equal keys of two tables apart', () => {
    const handler = new LaneHandler({ tables: ['orders', 'items'] });
    const { connection } = new StreamBench([handler.spec]);
    connection.begin(at(1)).insert(1, 'order').insert(1, 'item', 'items').commit(at(1));
    expect(handler.running).toEqual(['order', 'item']);
  });

  it('of one handler leaves the others in order', async () => {
    const seen: string[] = [];
    const handler = new LaneHandler();
    const bench = new StreamBench([
      handler.spec,
      { id: 'Audit.onChange', run: (change: RowChange) => void seen.push(tagOf(change)) },
    ]);
    bench.connection.rows(at(1), '1', '2');
    expect(seen).toEqual(['1', '2']);
    expect(bench.connection.confirmable).toBe(0n);
    await handler.finish('1', '2');
    expect(bench.connection.confirmable).toBe(endOf(at(1)));
  });

  it('settles what is done in whatever order, and the position moves over the finished prefix only', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3').rows(at(4), '4');
    await handler.finish('2', '4');
    expect(connection.confirmable).toBe(0n);
    expect(dispatcher.queue.heldTransactions).toBe(4);
    await handler.finish('1');
    expect(connection.confirmable).toBe(endOf(at(2)));
    expect(dispatcher.queue.heldTransactions).toBe(2);
    await handler.finish('3');
    expect(connection.confirmable).toBe(endOf(at(4)));
    expect(dispatcher.queue.heldTransactions).toBe(0);
  });

  it('holds a transaction that serial handlers have passed until its lanes have', async () => {
    const handler = new LaneHandler();
    const { connection } = new StreamBench([handler.spec]);
    connection.begin(at(1)).insert(1, '1').insert(7, 'nobody wants it', 'notes').commit(at(1));
    connection.begin(at(2)).insert(8, 'nor this', 'notes').commit(at(2));
    expect([connection.confirmable, connection.unsettled]).toEqual([0n, 1]);
    await handler.finish('1');
    expect([connection.confirmable, connection.unsettled]).toEqual([endOf(at(2)), 0]);
  });

  it('has room for as many transactions ahead of an unfinished one as there may be changes', async () => {
    const handler = new LaneHandler({ concurrency: 2 });
    const bench = new StreamBench([handler.spec], { limits: { changes: 4, bytes: 1_000_000 } });
    bench.connection.rows(at(1), '1');
    for (const number of [2, 3]) {
      bench.connection.rows(at(number), String(number));
      await handler.finish(String(number));
    }
    expect(bench.dispatcher.isFull).toBe(false);
    bench.connection.rows(at(4), '4');
    await handler.finish('4');
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 1, heldTransactions: 4 });
    expect([bench.dispatcher.isFull, bench.rooms]).toEqual([true, 0]);
    await handler.finish('1');
    expect([bench.dispatcher.isFull, bench.rooms]).toEqual([false, 1]);
    expect(bench.connection.confirmable).toBe(endOf(at(4)));
  });

  it('gives synchronous handlers no promise and no lane to wait in', () => {
    const seen: string[] = [];
    const bench = new StreamBench([{ concurrency: 4, run: (change: RowChange) => void seen.push(tagOf(change)) }]);
    bench.connection.rows(at(1), '1', '1b', '2');
    expect(seen).toEqual(['1', '1b', '2']);
    expect(bench.connection.confirmable).toBe(endOf(at(1)));
  });
});

describe('the event loop', () => {
  /** Keeps the thread busy. */
  function work(ms: number): void {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }

  it.each([
    ['synchronous', (): unknown => work(1)],
    ['quick asynchronous', async (): Promise<void> => work(1)],
  ])('gets its turns while %s calls that had to wait follow each other', async (_what, run) => {
    const first = new LaneHandler();
    let calls = 0;
    const bench = new StreamBench([
      {
        concurrency: 2,
        run: (change: RowChange, context: PgListenerContext) => {
          if (tagOf(change) === '1') return first.spec.run(change as never, context);
          calls++;
          return run();
        },
      },
    ]);
    // All of one key, behind a call that takes its time.
    bench.connection.rows(at(1), '1', ...Array.from({ length: 200 }, () => '1b'));
    const turns: number[] = [];
    const timer = setInterval(() => turns.push(calls), 1);
    await first.finish('1');
    await until(() => calls === 200);
    clearInterval(timer);
    expect(turns.filter((at) => at > 0 && at < 200).length).toBeGreaterThan(2);
    await until(() => bench.connection.confirmable === endOf(at(1)));
  });
});

describe('barriers', () => {
  stopClock();
  const audit: string[] = [];
  function benchWith(handler: LaneHandler, kind?: 'transaction' | 'message'): StreamBench {
    audit.length = 0;
    const other = { kind, id: 'Other.onIt', run: () => void audit.push(`${kind} after ${handler.ended.join()}`) };
    return new StreamBench(kind === undefined ? [handler.spec] : [handler.spec, other as never]);
  }

  it('a truncate waits for all lanes, and everything waits for it', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const { connection } = benchWith(handler);
    connection.begin(at(1)).insert(1, '1').insert(2, '2').truncate().insert(3, '3').commit(at(1));
    expect(handler.running).toEqual(['1', '2']);
    await handler.finish('1');
    expect(handler.running).toEqual(['2']);
    await handler.finish('2');
    expect(handler.running).toEqual(['truncate']);
    await handler.finish('truncate');
    expect(handler.running).toEqual(['3']);
    await handler.finish('3');
    expect(connection.confirmable).toBe(endOf(at(1)));
  });

  it('a message waits for all lanes, and everything waits for it', async () => {
    const handler = new LaneHandler();
    const { connection } = benchWith(handler, 'message');
    connection.begin(at(1)).insert(1, '1').message().insert(2, '2').commit(at(1)).lonelyMessage(at(2));
    expect([audit, handler.running]).toEqual([[], ['1']]);
    await handler.finish('1');
    expect([audit, handler.running]).toEqual([['message after 1'], ['2']]);
    await handler.finish('2');
    expect(audit).toEqual(['message after 1', 'message after 1,2']);
    expect(connection.confirmable).toBe(at(2));
  });

  it('a handler of whole transactions waits for the lanes of its own, and the next one waits for it', async () => {
    const handler = new LaneHandler();
    const { connection } = benchWith(handler, 'transaction');
    connection.rows(at(1), '1', '2').rows(at(2), '3');
    expect([audit, handler.running]).toEqual([[], ['1', '2']]);
    await handler.finish('2', '1');
    expect([audit, handler.running]).toEqual([['transaction after 2,1'], ['3']]);
  });

  it('without a handler of whole transactions a Commit is none', () => {
    const handler = new LaneHandler();
    benchWith(handler).connection.rows(at(1), '1').rows(at(2), '2');
    expect(handler.running).toEqual(['1', '2']);
  });

  it('a table that is described anew waits for all lanes, for its keys may be others', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const { connection } = benchWith(handler);
    connection.rows(at(1), '1').describe('orders', VARCHAR);
    connection.begin(at(2)).insert(2, '2').insert(3, '3').commit(at(2));
    expect(handler.running).toEqual(['1']);
    await handler.finish('1');
    expect(handler.running).toEqual(['2', '3']);
    // The same description again, as on a new connection, is none.
    connection.describe('orders', VARCHAR).rows(at(3), '4');
    expect(handler.running).toEqual(['2', '3', '4']);
  });

  it('a table that is described anew is one also where the barrier comes again on the next connection', async () => {
    const handler = new LaneHandler();
    const bench = benchWith(handler);
    bench.connection.rows(at(1), '1').describe('orders', VARCHAR).rows(at(2), '2');
    const second = bench.reconnect().rows(at(1), '1').describe('orders', VARCHAR).rows(at(2), '2');
    expect(handler.running).toEqual(['1']);
    await handler.finish('1');
    expect(handler.begun).toEqual(['1', '2']);
    await handler.finish('2');
    expect(second.confirmable).toBe(endOf(at(2)));
  });

  it('wait for a call that waits for its next try', async () => {
    const handler = new LaneHandler({ retry: { minDelayMs: 20, maxDelayMs: 20 } });
    const { connection } = benchWith(handler, 'message');
    connection.begin(at(1)).insert(1, '1').message().commit(at(1));
    await handler.fail('1');
    expect(audit).toEqual([]);
    await until(() => handler.running.length === 1);
    await handler.finish('1');
    expect(audit).toEqual(['message after 1,1']);
  });

  it('may follow each other in any number, with arrays in between that are to be filled', async () => {
    let calls = 0;
    let messages = 0;
    const bench = new StreamBench(
      [
        { batch: { size: 10, maxWaitMs: 60_000 }, run: () => void calls++ },
        { kind: 'message', id: 'Outbox.onMessage', run: () => void messages++ },
      ],
      { limits: { changes: 100_000, bytes: 100_000_000 } },
    );
    bench.dispatcher.hold();
    bench.connection.begin(at(1));
    for (let id = 0; id < 5_000; id++) bench.connection.insert(id, String(id)).message();
    bench.connection.commit(at(1));
    await bench.dispatcher.open(streamOf(HISTORY));
    await until(() => messages === 5_000);
    await settle();
    expect([calls, bench.connection.confirmable]).toEqual([5_000, endOf(at(1))]);
  });
});
