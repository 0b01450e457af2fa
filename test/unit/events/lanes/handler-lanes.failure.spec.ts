import { describe, expect, it } from '@jest/globals';
import type { RowChange } from '#lib/changes/change.js';
import { HaltApp, ParkChange, SkipChange } from '#lib/errors/verdict.error.js';
import { WHOLE_TABLE } from '#lib/interfaces/parked-store.interface.js';
import { turns, until } from '../../waiting.js';
import { Deferred } from '../dispatcher-bench.js';
import { BrokenHandler, ParkingBench } from '../parked/parking-bench.js';
import { at, endOf, LaneHandler, settle, stopClock, StreamBench, tagOf } from '../stream-bench.js';

const SOON = { attempts: 3, minDelayMs: 5, maxDelayMs: 5 };
const ONCE = { attempts: 1 };

stopClock();

describe('a failing call in a lane', () => {
  it('gives its place to others while it waits, keeps its key, and counts its tries', async () => {
    const handler = new LaneHandler({ concurrency: 2, retry: SOON });
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1', '2', '1b', '3', '4');
    expect(handler.running).toEqual(['1', '2']);
    await handler.fail('1');
    expect(handler.running).toEqual(['2', '3']);
    await handler.finish('3');
    await until(() => handler.running.length === 2);
    // Its turn comes when it is due and there is a place: before what was never tried, or behind it.
    await handler.finish('2');
    await until(() => handler.running.includes('1'));
    expect(handler.begun).not.toContain('1b');
    const again = handler.contexts[handler.begun.lastIndexOf('1')]!;
    expect(again).toMatchObject({ attempt: 2, handler: 'Orders.onChange' });
    await handler.finish('1');
    expect(handler.running).toContain('1b');
    expect(bench.dispatcher.desk.failures).toBe(1);
  });

  it("blocks, loudly, only its key and the position, under 'block'", async () => {
    const handler = new LaneHandler({ retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 1 } });
    const { connection, dispatcher, errors } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').rows(at(2), '1b').rows(at(3), '2');
    await handler.fail('1');
    await until(() => handler.running.includes('1'));
    expect(dispatcher.desk.blockedHandler).toBeNull();
    await handler.fail('1');
    expect(dispatcher.desk.blockedHandler).toBe('Orders.onChange');
    expect(errors.at(-1)).toMatch(/the position holds/);
    await handler.finish('2');
    await until(() => handler.running.includes('1'));
    expect([handler.begun.includes('1b'), connection.confirmable]).toEqual([false, 0n]);
    await handler.finish('1');
    expect(dispatcher.desk.blockedHandler).toBeNull();
    await handler.finish('1b');
    expect(connection.confirmable).toBe(endOf(at(3)));
  });

  it("passes, counted, under 'skip' and with SkipChange", async () => {
    const handler = new LaneHandler({ onExhausted: 'skip', retry: ONCE });
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2', '1b', '2b');
    await handler.fail('1');
    await handler.fail('2', new SkipChange());
    expect(handler.running).toEqual(['1b', '2b']);
    expect(dispatcher.desk.skipped).toBe(2);
    await handler.finish('1b', '2b');
    expect(connection.confirmable).toBe(endOf(at(1)));
  });

  it("is parked under 'park', and what follows for its keys waits behind it; others go on", async () => {
    const handler = new LaneHandler({ onExhausted: 'park', retry: ONCE, concurrency: 9 });
    const { connection, dispatcher, store } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2').begin(at(2)).update(3, 'from 1 to 3', 1).insert(4, '4').commit(at(2));
    await handler.fail('1');
    connection.rows(at(3), '3b', '5').begin(at(4)).truncate().insert(3, '3c').commit(at(4));
    await handler.finish('2', '4', '5');
    const parked = await store.list({});
    expect(parked.map(({ keys, attempts }) => [keys, attempts])).toEqual([
      [['1'], 1],
      [['1', '3'], 0],
      [['3'], 0],
      [[WHOLE_TABLE], 0],
      [['3'], 0],
    ]);
    expect(parked[3]!.operation).toBe('truncate');
    expect(handler.begun).toEqual(['1', '2', '4', '5']);
    expect(connection.confirmable).toBe(endOf(at(4)));
    expect(dispatcher.parking.size).toBe(5);
  });

  it('is settled when it is durably parked, not before; what follows for its key waits, and others go on', async () => {
    const handler = new BrokenHandler({ concurrency: 2 }, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    const gate = (bench.store.parkGate = new Deferred());
    const [first, second, other] = [bench.update(1, 1), bench.update(2, 1), bench.update(3, 3)];
    await turns(10);
    expect([first, second, other].map(({ settled }) => settled)).toEqual([0, 0, 1]);
    expect(handler.seen).toEqual(['update 1', 'update 3']);
    gate.resolve();
    await until(() => first.settled === 1 && second.settled === 1);
    expect(await bench.store.texts()).toEqual(['update 1', 'update 1']);
  });

  it('is parked with ParkChange whatever its policy is', async () => {
    const handler = new LaneHandler();
    const { connection, store } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '1b');
    await handler.fail('1', new ParkChange());
    expect(await store.count({})).toBe(2);
    expect(connection.confirmable).toBe(endOf(at(1)));
  });

  it.each([
    ["under 'halt'", { onExhausted: 'halt' as const, retry: ONCE }, new Error('no more')],
    ['with HaltApp', {}, new HaltApp()],
  ])('halts the app %s: nothing more is begun, what runs is given up and comes again', async (_when, policy, error) => {
    const handler = new LaneHandler(policy);
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1', '2', '3', '4', '1b');
    await handler.fail('1', error);
    expect(bench.faults.map((fault) => (fault as { code?: string }).code)).toEqual(['PG_LISTENER_HANDLER_HALT']);
    expect(handler.contexts[1]!.signal.aborted).toBe(true);
    await handler.finish('2', '3');
    expect(handler.begun).toEqual(['1', '2', '3']);
    expect([bench.connection.confirmable, bench.connection.unsettled]).toEqual([0n, 1]);
    bench.dispatcher.begin();
    const again = bench.reconnect().rows(at(1), '1', '2', '3', '4', '1b');
    await handler.finish('1', '2', '3');
    await handler.finish('4', '1b');
    expect(again.confirmable).toBe(endOf(at(1)));
  });

  it('of a synchronous handler halts before the next handler is called, and comes again whole', async () => {
    const seen: string[] = [];
    const wholes: string[] = [];
    let isBroken = true;
    const bench = new StreamBench([
      {
        id: 'First.onChange',
        concurrency: 2,
        onExhausted: 'halt',
        retry: ONCE,
        run: (change: RowChange) => {
          if (isBroken && tagOf(change) === '2') throw new Error('no more');
        },
      },
      { id: 'Second.onChange', run: (change: RowChange) => void seen.push(tagOf(change)) },
      {
        id: 'Whole.onCommit',
        kind: 'transaction',
        run: async (transaction: { changes: AsyncIterable<RowChange> }) => {
          for await (const change of transaction.changes) wholes.push(tagOf(change));
        },
      },
    ]);
    bench.connection.rows(at(1), '1', '2', '3');
    expect([seen, bench.faults.length]).toEqual([['1'], 1]);
    isBroken = false;
    bench.dispatcher.begin();
    bench.reconnect().rows(at(1), '1', '2', '3');
    await settle();
    expect(wholes).toEqual(['1', '2', '3']);
    expect(bench.connection.confirmable).toBe(endOf(at(1)));
  });
});
