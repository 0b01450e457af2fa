import { createHook } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { ALL_OPERATIONS } from '#lib/events/change-streams.js';
import { settlesSoon, until } from '../../waiting.js';
import { at, endOf, LaneHandler, settle, stopClock, StreamBench } from '../stream-bench.js';

const LATE = { attempts: 3, minDelayMs: 60_000, maxDelayMs: 60_000 };

stopClock();

describe('draining with calls in lanes', () => {
  it('lets end what runs and what was taken, and begins nothing after the transaction in hand', async () => {
    const handler = new LaneHandler({ concurrency: 2 });
    const bench = new StreamBench([handler.spec]);
    const { connection, dispatcher } = bench;
    connection.rows(at(1), '1', '2', '1b').begin(at(2)).insert(3, '3');
    const draining = dispatcher.drain();
    connection.insert(4, '4').commit(at(2)).rows(at(3), '5');
    await handler.finish('1', '2');
    expect(await settlesSoon(draining)).toBe(false);
    await handler.finishAll();
    expect(handler.begun.toSorted()).toEqual(['1', '1b', '2', '3', '4']);
    expect(await settlesSoon(draining)).toBe(true);
    expect(connection.confirmable).toBe(endOf(at(2)));
  });

  it('waits for the Commit of a transaction that is half there, also where its lanes are done', async () => {
    const handler = new LaneHandler();
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.begin(at(1)).insert(1, '1');
    await handler.finish('1');
    const draining = dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    connection.commit(at(1));
    expect(await settlesSoon(draining)).toBe(true);
    expect(connection.confirmable).toBe(endOf(at(1)));
  });

  it('gives up what waits for another try, and all that waits behind it; the rest is done', async () => {
    const handler = new LaneHandler({ retry: LATE, concurrency: 2 });
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '1b', '3').begin(at(4)).insert(4, '4');
    await handler.fail('2');
    const draining = dispatcher.drain();
    await handler.finishAll();
    expect(handler.begun.toSorted()).toEqual(['1', '1b', '2', '3', '4']);
    expect(await settlesSoon(draining)).toBe(true);
    expect([connection.confirmable, dispatcher.desk.blockedHandler]).toEqual([endOf(at(1)), null]);
  });

  it('is no attempt where a call fails; its place is for what else was taken, and the drain ends', async () => {
    const handler = new LaneHandler({ onExhausted: 'skip', retry: { attempts: 1 }, concurrency: 2 });
    const { connection, dispatcher, errors } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').rows(at(2), '2', '3', '4', '2b').begin(at(3)).insert(5, '5');
    const draining = dispatcher.drain();
    await handler.fail('2');
    await handler.fail('1');
    await handler.finishAll();
    expect(handler.begun.toSorted()).toEqual(['1', '2', '3', '4', '5']);
    expect(await settlesSoon(draining)).toBe(true);
    expect(dispatcher.desk).toMatchObject({ failures: 0, skipped: 0 });
    expect([errors, connection.confirmable]).toEqual([[], 0n]);
  });

  it('is not held up by what a barrier waits for in vain', async () => {
    const handler = new LaneHandler({ retry: LATE });
    const bench = new StreamBench([handler.spec, { id: 'Outbox.onMessage', kind: 'message', run: () => undefined }]);
    bench.connection.begin(at(1)).insert(1, '1').message().insert(2, '2').commit(at(1));
    await handler.fail('1');
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });

  it('does not begin a transaction whose first change waits at a barrier', async () => {
    const handler = new LaneHandler();
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').begin(at(2)).truncate();
    const draining = dispatcher.drain();
    await handler.finish('1');
    expect(await settlesSoon(draining)).toBe(true);
    expect([handler.begun, connection.confirmable]).toEqual([['1'], endOf(at(1))]);
    expect(dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0 });
  });
});

describe('abandoning calls in lanes', () => {
  it('aborts their signals; what they still bring is ignored, and all of it comes again', async () => {
    const handler = new LaneHandler({ concurrency: 2 });
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1', '2', '1b').rows(at(2), '3');
    bench.dispatcher.abandon();
    expect(handler.contexts.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    await handler.finish('1');
    await handler.fail('2');
    expect(bench.dispatcher.desk.failures).toBe(0);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0, heldTransactions: 0 });
    bench.dispatcher.begin();
    const again = bench.reconnect().rows(at(1), '1', '2', '1b').rows(at(2), '3');
    await handler.finish('1', '2');
    await handler.finish('1b', '3');
    expect(again.confirmable).toBe(endOf(at(2)));
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0, heldTransactions: 0 });
  });

  it('leaves no timer: neither of a try nor of an array that is being filled', async () => {
    const failing = new LaneHandler({ id: 'A.onChange', retry: LATE });
    const filling = new LaneHandler({ id: 'B.onChange', batch: { size: 5, maxWaitMs: 60_000 } });
    // Those of this test, told by their length: the process has others, of the test runner and of other tests.
    const made: Record<string, unknown>[] = [];
    const hook = createHook({
      init: (_id, type, _by, timer) => void (type === 'Timeout' && made.push(timer as never)),
    });
    const timers = (): number =>
      made.filter((each) => each['_idleTimeout'] === 60_000 && each['_destroyed'] === false).length;
    hook.enable();
    const bench = new StreamBench([failing.spec, filling.spec]);
    bench.connection.rows(at(1), '1');
    await failing.fail('1');
    expect(timers()).toBe(2);
    bench.dispatcher.abandon();
    hook.disable();
    expect(timers()).toBe(0);
    expect([failing.begun, filling.begun]).toEqual([['1'], []]);
  });
});

describe('a new run', () => {
  it('counts nothing of calls that an earlier one had begun, and begins nothing because of them', async () => {
    const handler = new LaneHandler({
      concurrency: 1,
      batch: { size: 1 },
      onExhausted: 'skip',
      retry: { attempts: 1 },
    });
    const other = new LaneHandler({ id: 'Other.onChange' });
    const bench = new StreamBench([handler.spec, other.spec]);
    bench.connection.rows(at(1), '1', '2').rows(at(2), '3');
    await settle();
    expect([handler.running, other.running]).toEqual([['1'], ['1', '2', '3']]);
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    await other.finish('1', '2');
    await other.fail('3');
    await handler.finish('1');
    expect(handler.running).toEqual([]);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0, heldTransactions: 0 });
    expect(bench.dispatcher.desk).toMatchObject({ failures: 0, skipped: 0 });
    expect([bench.dispatcher.changesHandled, bench.connection.confirmable]).toEqual([0, 0n]);
  });

  it('goes on behind what was finished in all lanes, and shows observers nothing twice', async () => {
    const handler = new LaneHandler({ concurrency: 4 });
    const bench = new StreamBench([handler.spec]);
    const shown: string[] = [];
    const commits: string[] = [];
    bench.streams.changes(new TablePattern(['*']), ALL_OPERATIONS).subscribe(({ id }) => shown.push(id));
    bench.streams.transactions().subscribe(({ lsn }) => commits.push(lsn));
    bench.connection = bench.reconnect();
    bench.connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    await handler.finish('1', '3');
    const draining = bench.dispatcher.drain();
    bench.dispatcher.abandon();
    await draining;
    bench.dispatcher.begin();
    // The position has moved over the first: the third was ahead of it, and is handled again.
    const again = bench.reconnect().rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    await until(() => handler.begun.length === 5);
    await handler.finish('2', '3');
    expect(handler.begun).toEqual(['1', '2', '3', '2', '3']);
    expect(again.confirmable).toBe(endOf(at(3)));
    expect([shown.length, commits.length]).toEqual([3, 3]);
  });

  it('of a drain that ended well begins with what was never handed over, in the middle of nothing', async () => {
    const handler = new LaneHandler();
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1', '2').rows(at(2), '3');
    const draining = bench.dispatcher.drain();
    await handler.finish('3', '1', '2');
    await draining;
    await settle();
    bench.dispatcher.begin();
    const again = bench.reconnect().rows(at(1), '1', '2').rows(at(2), '3').rows(at(3), '4');
    await handler.finish('4');
    expect(handler.begun).toEqual(['1', '2', '3', '4']);
    expect(again.confirmable).toBe(endOf(at(3)));
  });
});
