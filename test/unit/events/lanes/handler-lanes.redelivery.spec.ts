import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RowChange } from '#lib/changes/change.js';
import { settlesSoon } from '../../waiting.js';
import {
  at,
  endOf,
  LaneHandler,
  settle,
  stopClock,
  StreamBench,
  tagOf,
  type StreamConnection,
} from '../stream-bench.js';
import { identity } from '../../../support/history.js';

stopClock();

describe('a new connection while calls run in lanes', () => {
  it('hands nothing over again that was handed over: what runs, runs on and settles there', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const bench = new StreamBench([handler.spec]);
    const send = (connection: StreamConnection): StreamConnection =>
      connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3', '1b');
    const first = send(bench.connection);
    await handler.finish('2');
    const second = send(bench.reconnect());
    expect(handler.begun).toEqual(['1', '2', '3']);
    expect([second.confirmable, second.unsettled]).toEqual([0n, 2]);
    second.rows(at(4), '4');
    await handler.finish('3', '4');
    expect([second.confirmable, first.confirmable]).toEqual([0n, 0n]);
    await handler.finish('1');
    expect(second.confirmable).toBe(endOf(at(2)));
    await handler.finish('1b');
    expect([second.confirmable, second.unsettled]).toEqual([endOf(at(4)), 0]);
    expect(handler.begun).toEqual(['1', '2', '3', '4', '1b']);
    expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, heldTransactions: 0 });
  });

  it('knows what ended between the connections, and while it was being read', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    await handler.finish('3');
    const second = bench.reconnect();
    second.begin(at(1)).insert(1, '1');
    await handler.finish('1');
    second.commit(at(1)).begin(at(2)).insert(2, '2').commit(at(2));
    await handler.finish('2');
    second.rows(at(3), '3');
    expect([second.confirmable, second.unsettled]).toEqual([endOf(at(3)), 0]);
    expect(handler.begun).toEqual(['1', '2', '3']);
  });

  it('goes on in the middle of a transaction of which calls run', async () => {
    const handler = new LaneHandler({ concurrency: 2 });
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1').begin(at(2)).insert(2, '2').insert(3, '3').insert(2, '2b');
    const second = bench.reconnect().rows(at(1), '1').rows(at(2), '2', '3', '2b', '4');
    await handler.finish('2');
    await handler.finishAll();
    expect(handler.begun.toSorted()).toEqual(['1', '2', '2b', '3', '4']);
    expect(second.confirmable).toBe(endOf(at(2)));
  });

  it('tells observers of nothing twice', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const bench = new StreamBench([handler.spec]);
    const lsns: string[] = [];
    bench.streams.transactions().subscribe(({ lsn }) => lsns.push(lsn));
    bench.connection.rows(at(1), '1').rows(at(2), '2');
    bench.reconnect().rows(at(1), '1').rows(at(2), '2').rows(at(3), '3');
    expect(lsns).toEqual(['0/10000', '0/20000', '0/30000']);
  });

  it('forgets what another process has confirmed meanwhile', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const bench = new StreamBench([handler.spec]);
    bench.connection.rows(at(1), '1').rows(at(2), '2');
    bench.progress.confirmedUpTo(endOf(at(1)));
    bench.dispatcher.confirmedUpTo(endOf(at(1)));
    expect(bench.dispatcher.queue.heldTransactions).toBe(1);
    const second = bench.reconnect().rows(at(2), '2');
    await handler.finish('1');
    expect(second.confirmable).toBe(0n);
    await handler.finish('2');
    expect(second.confirmable).toBe(endOf(at(2)));
  });

  it('to another history takes nothing of the old one for its own, although its calls still run', async () => {
    const handler = new LaneHandler({ concurrency: 9 });
    const bench = new StreamBench([handler.spec]);
    bench.progress.enter(identity('7000', '1', at(9)));
    bench.reconnect().rows(at(1), '1').rows(at(2), '2');
    bench.dispatcher.abort();
    bench.progress.enter(identity('7000', '2', at(9)));
    bench.dispatcher.forget();
    expect(bench.dispatcher.queue.heldTransactions).toBe(0);
    const second = bench.reconnect().rows(at(1), '1 of another history').rows(at(2), '2 of another history');
    // Of the same key: in order still.
    expect(handler.running).toEqual(['1', '2']);
    await handler.finish('1', '2');
    expect(second.confirmable).toBe(0n);
    await handler.finish('2 of another history');
    const third = bench.reconnect().rows(at(1), '1 of another history').rows(at(2), '2 of another history');
    await handler.finish('1 of another history');
    expect(third.confirmable).toBe(endOf(at(2)));
    expect(handler.begun).toHaveLength(4);
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
  });
});

/** What happens to a stream of transactions, in whatever order. */
type Step = { readonly kind: 'send' | 'cut' | 'finish'; readonly which: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'send' as const,
    'send' as const,
    'send' as const,
    'cut' as const,
    'finish' as const,
    'finish' as const,
  ),
  which: fc.nat(100),
});
const transactions = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 });

describe('whatever is cut, and ends, in whatever order', () => {
  /** Each row is told apart by its transaction and place in it. */
  function rowsOf(all: readonly (readonly number[])[]): { lsn: bigint; rows: { id: number; tag: string }[] }[] {
    return all.map((ids, number) => ({
      lsn: at(number + 1),
      rows: ids.map((id, place) => ({ id, tag: `${number + 1}.${place}` })),
    }));
  }

  it('each change is handed over once, keys stay in order, and nothing unfinished is passed', async () => {
    await fc.assert(
      fc.asyncProperty(transactions, fc.array(step, { maxLength: 60 }), fc.boolean(), async (ids, steps, hasSerial) => {
        const all = rowsOf(ids);
        const handler = new LaneHandler({ concurrency: 3 });
        const serial: string[] = [];
        const other = { id: 'Other.onChange', run: (change: RowChange) => void serial.push(tagOf(change)) };
        const bench = new StreamBench(hasSerial ? [handler.spec, other] : [handler.spec]);
        const place = { transaction: 0, message: 0 };

        const sendOne = (): void => {
          const transaction = all[place.transaction];
          if (transaction === undefined) return;
          const { connection } = bench;
          const { lsn, rows } = transaction;
          if (place.message === 0) connection.begin(lsn);
          else if (place.message <= rows.length)
            connection.insert(rows[place.message - 1]!.id, rows[place.message - 1]!.tag);
          else connection.commit(lsn);
          place.message++;
          if (place.message > rows.length + 1) Object.assign(place, { transaction: place.transaction + 1, message: 0 });
        };
        const check = (): void => {
          const { confirmable } = bench.connection;
          for (const { lsn, rows } of all) {
            if (!rows.every(({ tag }) => handler.ended.includes(tag))) expect(confirmable).toBeLessThan(endOf(lsn));
          }
        };

        let confirmed = 0n;
        for (const { kind, which } of steps) {
          if (kind === 'send') for (let count = 0; count < which % 6; count++) sendOne();
          else if (kind === 'finish' && handler.running.length > 0) {
            await handler.finish(handler.running[which % handler.running.length]!);
          } else if (kind === 'cut') {
            // The server may have been told of what may be confirmed, or not.
            if (which % 2 === 0 && bench.connection.confirmable > confirmed) confirmed = bench.connection.confirmable;
            bench.progress.confirmedUpTo(confirmed);
            bench.dispatcher.confirmedUpTo(confirmed);
            bench.reconnect();
            Object.assign(place, { transaction: all.filter(({ lsn }) => endOf(lsn) <= confirmed).length, message: 0 });
          }
          check();
        }
        while (place.transaction < all.length) sendOne();
        await handler.finishAll();
        await settle();
        const tags = all.flatMap(({ rows }) => rows.map(({ tag }) => tag));
        expect(handler.begun.toSorted()).toEqual(tags.toSorted());
        if (hasSerial) expect(serial).toEqual(tags);
        for (const id of [0, 1, 2, 3, 4, 5]) {
          const mine = all.flatMap(({ rows }) => rows.filter((row) => row.id === id).map(({ tag }) => tag));
          expect(handler.begun.filter((tag) => mine.includes(tag))).toEqual(mine);
        }
        expect(bench.connection.confirmable === endOf(all.at(-1)!.lsn) || confirmed === endOf(all.at(-1)!.lsn)).toBe(
          true,
        );
        expect(bench.connection.unsettled).toBe(0);
        expect(bench.dispatcher.queue).toMatchObject({ pendingChanges: 0, pendingBytes: 0, heldTransactions: 0 });
      }),
      { numRuns: 150, interruptAfterTimeLimit: 25_000 },
    );
  }, 30_000);
});
