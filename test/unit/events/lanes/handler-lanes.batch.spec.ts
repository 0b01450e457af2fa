import { describe, expect, it } from '@jest/globals';
import { ParkChange } from '#lib/errors/verdict.error.js';
import type { RowChange } from '#lib/changes/change.js';
import { failedItems } from '#lib/events/lanes/batch-results.js';
import { sleep } from '../../../support/wait.js';
import { until } from '../../waiting.js';
import { at, endOf, LaneHandler, settle, stopClock, StreamBench, tagOf } from '../stream-bench.js';

const ONCE = { attempts: 1 };
const failure = new Error('not this one');

stopClock();

describe('arrays', () => {
  it('hold what one read has brought, up to the size, over transactions', async () => {
    const handler = new LaneHandler({ batch: { size: 3 } });
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '1b').rows(at(2), '2').rows(at(3), '3');
    await settle();
    expect(handler.running).toEqual(['1,1b,2']);
    connection.rows(at(4), '4');
    await handler.finish('1,1b,2');
    expect([handler.running, connection.confirmable]).toEqual([['3,4'], endOf(at(2))]);
    await handler.finish('3,4');
    expect(connection.confirmable).toBe(endOf(at(4)));
  });

  it('come one at a time and in order without `concurrency`, whatever their keys are', async () => {
    const handler = new LaneHandler({ batch: { size: 2 }, tables: ['orders', 'items'] });
    const { connection } = new StreamBench([handler.spec]);
    connection.begin(at(1)).insert(1, '1').insert(2, '2', 'items').insert(3, '3').insert(1, '1b').commit(at(1));
    await settle();
    expect(handler.running).toEqual(['1,2']);
    await handler.finish('1,2');
    expect(handler.running).toEqual(['3,1b']);
  });

  it('of different keys run side by side with `concurrency`; those of one key stay in order', async () => {
    const handler = new LaneHandler({ batch: { size: 2 }, concurrency: 2 });
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '1b', '1c', '2', '3');
    await settle();
    expect(handler.running).toEqual(['1,1b', '2,3']);
    await handler.finish('1,1b');
    expect(handler.running).toEqual(['2,3', '1c']);
  });

  it('are filled with what can run: what waits for a call that runs does not count', async () => {
    const handler = new LaneHandler({ batch: { size: 3 }, concurrency: 2 });
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1');
    await settle();
    connection.rows(at(2), '1b', '1c', '1d', '2', '3', '4');
    await settle();
    expect(handler.running).toEqual(['1', '2,3,4']);
  });

  it('wait for `maxWaitMs` to be filled, no longer, and not where they are full', async () => {
    const handler = new LaneHandler({ batch: { size: 2, maxWaitMs: 40 } });
    const { connection } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1');
    await sleep(10);
    expect(handler.begun).toEqual([]);
    connection.rows(at(2), '2');
    await settle();
    expect(handler.running).toEqual(['1,2']);
    await handler.finish('1,2');
    const before = Date.now();
    connection.rows(at(3), '3');
    await until(() => handler.running.length > 0);
    expect(Date.now() - before).toBeGreaterThan(30);
    expect(handler.running).toEqual(['3']);
  });

  it('do not wait where something waits for them: a barrier, a drain, or room for what comes', async () => {
    const patient = { batch: { size: 10, maxWaitMs: 60_000 } };
    const handler = new LaneHandler(patient);
    const bench = new StreamBench([handler.spec], { limits: { changes: 3, bytes: 1_000_000 } });
    bench.connection.begin(at(1)).insert(1, '1').truncate().commit(at(1));
    expect(handler.running).toEqual(['1']);
    await handler.finish('1');
    await handler.finish('truncate');
    bench.connection.rows(at(2), '2', '3', '4');
    expect(handler.running).toEqual(['2,3,4']);
    await handler.finish('2,3,4');
    bench.connection.rows(at(3), '5').begin(at(4)).insert(6, '6');
    const draining = bench.dispatcher.drain();
    await handler.finish('5,6');
    // The rest of the transaction in hand comes only now, when nothing is left in the lanes.
    bench.connection.insert(7, '7').commit(at(4));
    await settle();
    await handler.finish('7');
    await draining;
    expect(bench.connection.confirmable).toBe(endOf(at(4)));
  });
});

describe('what a handler says of the items of its array', () => {
  it('leads to another try of those that failed, and only of those', async () => {
    const retry = { attempts: 5, minDelayMs: 1, maxDelayMs: 1 };
    const handler = new LaneHandler({ batch: { size: 3 }, retry });
    const { connection, dispatcher } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    await settle();
    await handler.finishWith('1,2,3', ['done', failure, failure]);
    expect(connection.confirmable).toBe(endOf(at(1)));
    await until(() => handler.running.includes('2,3'));
    const results = await Promise.allSettled([Promise.reject(failure), Promise.resolve(1)]);
    await handler.finishWith('2,3', results);
    await until(() => handler.running.includes('2'));
    expect(handler.contexts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    await handler.finish('2');
    expect([connection.confirmable, dispatcher.desk.failures]).toEqual([endOf(at(3)), 2]);
  });

  it('is all done with anything else: nothing, another length, values of its own', () => {
    const items = ['a', 'b'];
    for (const value of [undefined, null, 'ok', 7, {}, [], [failure], [failure, failure, failure], [1, 2]]) {
      expect(failedItems(value, items)).toBeNull();
    }
    expect(failedItems([{ status: 'rejected', total: 7 }, { status: 'fulfilled' }], items)).toBeNull();
    expect([...failedItems([undefined, { status: 'rejected', reason: failure }], items)!]).toEqual([['b', failure]]);
    expect([...failedItems([new DOMException('late'), failure], items)!.keys()]).toEqual(items);
    expect([...failedItems([undefined, { status: 'rejected', reason: undefined }], items)!]).toEqual([
      ['b', undefined],
    ]);
  });

  it('judges each by what was said of the first', async () => {
    const handler = new LaneHandler({ batch: { size: 3 } });
    const { connection, store } = new StreamBench([handler.spec]);
    connection.rows(at(1), '1', '2', '3');
    await settle();
    await handler.finishWith('1,2,3', [new ParkChange(), undefined, failure]);
    expect(await store.count({})).toBe(2);
    expect(connection.confirmable).toBe(endOf(at(1)));
  });
});

describe('an array that has failed for good', () => {
  /** Fails for every array with '2' in it. */
  function poisoned(onExhausted: 'park' | 'skip' | 'block', isAsync: boolean) {
    const seen: string[] = [];
    let isMended = false;
    const run = (changes: readonly RowChange[]): void => {
      const name = changes.map(tagOf).join();
      seen.push(name);
      if (!isMended && /\b2\b/.test(name)) throw new Error('the poison');
    };
    const bench = new StreamBench([
      {
        batch: { size: 4 },
        onExhausted,
        retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 1 },
        run: isAsync ? async (changes: readonly RowChange[]) => run(changes) : run,
      },
    ]);
    return { bench, seen, mend: () => (isMended = true) };
  }

  it.each([true, false])('is taken apart: each alone, in order, under skip (asynchronous: %s)', async (isAsync) => {
    const { bench, seen } = poisoned('skip', isAsync);
    bench.connection.rows(at(1), '1', '2', '2b', '3', '4');
    await until(() => bench.connection.confirmable === endOf(at(1)));
    expect(seen).toEqual(['1,2,2b,3', '1,2,2b,3', '1', '2', '2', '2b', '3', '4']);
    expect(bench.dispatcher.desk.skipped).toBe(1);
  });

  it('parks the one to blame and what has its key, and hands over the others', async () => {
    const { bench, seen } = poisoned('park', true);
    bench.connection.rows(at(1), '1', '2', '2b', '3').rows(at(2), '2c', '4');
    await until(() => bench.connection.confirmable === endOf(at(2)));
    expect(seen.slice(2)).toEqual(['1', '2', '2', '3', '4']);
    const parked = await bench.store.list({});
    const tags = parked.map(({ change }) => (change as unknown as { record: { tag: string } }).record.tag);
    expect(tags).toEqual(['2', '2b', '2c']);
    expect(parked.map(({ attempts }) => attempts)).toEqual([2, 0, 0]);
  });

  it('blocks at the one to blame alone', async () => {
    const { bench, seen, mend } = poisoned('block', true);
    bench.connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    await until(() => seen.length > 8);
    expect(new Set(seen.slice(3))).toEqual(new Set(['2']));
    expect([bench.dispatcher.desk.blockedHandler, bench.connection.confirmable]).toEqual([
      'Orders.onChange',
      endOf(at(1)),
    ]);
    mend();
    await until(() => bench.connection.confirmable === endOf(at(3)));
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
  });

  it('may be long, and synchronous', async () => {
    let alone = 0;
    const run = (changes: readonly RowChange[]): void => {
      if (changes.length === 1) alone++;
      else throw new Error('too many');
    };
    const bench = new StreamBench([{ batch: { size: 20_000 }, retry: ONCE, onExhausted: 'skip', run }], {
      limits: { changes: 100_000, bytes: 100_000_000 },
    });
    bench.connection.rows(at(1), ...Array.from({ length: 20_000 }, (_, id) => String(id)));
    await until(() => bench.connection.confirmable === endOf(at(1)));
    expect([alone, bench.dispatcher.desk.skipped]).toEqual([20_000, 0]);
  });
});
