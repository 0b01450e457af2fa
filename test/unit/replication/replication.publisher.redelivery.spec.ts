import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { begin, commit, insert, logicalMessage, relation, truncation } from '../../support/pgoutput-encoder.js';
import { PublisherBench, type Connection } from './fake-sink.js';
import { identity } from '../../support/history.js';

const COLUMNS = [{ name: 'id', isKey: true }];
const ORDERS = relation({ id: 1, table: 'orders', columns: COLUMNS });
const ITEMS = relation({ id: 2, table: 'items', columns: COLUMNS });

let bench: PublisherBench;
beforeEach(() => {
  bench = new PublisherBench();
  bench.sink.prefixes = ['outbox'];
});

/** One row for each place in the log, numbered from `first` on; Begin shares the place of the first. */
function sendRows(connection: Connection, commitLsn: bigint, places: readonly bigint[], first = 1): void {
  connection.send(places[0] ?? commitLsn, begin(commitLsn)).send(0n, ORDERS);
  places.forEach((place, index) => connection.send(place, insert(1, [String(first + index)])));
}

describe('on a new connection', () => {
  it('what was settled is neither handed over nor told again, and may be confirmed at once', () => {
    const first = bench.connect();
    sendRows(first, 0x200n, [0x100n, 0x110n]);
    first.send(0x200n, commit(0x200n, 0x230n));
    bench.sink.settleAll();

    const second = bench.connect();
    sendRows(second, 0x200n, [0x100n, 0x110n]);
    second.send(0x200n, commit(0x200n, 0x230n));
    sendRows(second, 0x300n, [0x240n], 3);
    second.send(0x300n, commit(0x300n, 0x330n));
    expect(bench.sink.rows).toEqual([1, 2, 3]);
    expect(bench.sink.commits.map(({ lsn }) => lsn)).toEqual(['0/200', '0/300']);
    expect(second.tracker).toMatchObject({ confirmable: 0x230n, unsettled: 1 });
  });

  it('what was settled is confirmed when the stream has passed what its handlers have written', () => {
    const first = bench.connect();
    sendRows(first, 0x200n, [0x100n]);
    first.send(0x200n, commit(0x200n, 0x230n)).send(0x250n, logicalMessage(false, 0x250n, 'outbox', 'hello'));
    bench.sink.settleAll();
    bench.sink.writtenUpTo = 0x400n;
    const alone = bench.connect().send(0x250n, logicalMessage(false, 0x250n, 'outbox', 'hello'));
    expect(alone.tracker).toMatchObject({ confirmable: 0n, unsettled: 0 });
    const second = bench.connect();
    sendRows(second, 0x200n, [0x100n]);
    second.send(0x200n, commit(0x200n, 0x230n));
    expect(second.tracker).toMatchObject({ confirmable: 0n, unsettled: 0 });
    second.tracker.keepalive(0x3ffn);
    expect(second.tracker.confirmable).toBe(0n);
    second.tracker.keepalive(0x400n);
    expect(second.tracker.confirmable).toBeGreaterThanOrEqual(0x230n);
  });

  it('a transaction that was settled late, by the old connection, is not handed over either', () => {
    const first = bench.connect();
    sendRows(first, 0x200n, [0x100n]);
    first.send(0x200n, commit(0x200n, 0x230n));
    const second = bench.connect();
    bench.sink.settleAll();
    sendRows(second, 0x200n, [0x100n]);
    second.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.rows).toEqual([1]);
    expect(second.tracker.confirmable).toBe(0x230n);
  });

  it('what others had confirmed before is not handed over, where the server has forgotten it and sends it again', () => {
    bench.progress.confirmedUpTo(0x230n);
    sendRows(bench.connect(), 0x300n, [0x240n]);

    const second = bench.connect();
    second.send(0x1f0n, logicalMessage(false, 0x1f0n, 'outbox', 'old'));
    sendRows(second, 0x200n, [0x100n], 7);
    second.send(0x200n, commit(0x200n, 0x230n));
    sendRows(second, 0x300n, [0x240n, 0x250n]);
    second.send(0x300n, commit(0x300n, 0x330n));
    expect(bench.sink.rows).toEqual([1, 2]);
    expect(bench.sink.messages).toEqual([]);
    expect(bench.sink.commits.map(({ lsn }) => lsn)).toEqual(['0/300']);
  });

  it('a half-delivered transaction goes on behind the last change that was handed over', () => {
    sendRows(bench.connect(), 0x200n, [0x100n, 0x110n]);
    const second = bench.connect();
    sendRows(second, 0x200n, [0x100n, 0x110n, 0x120n]);
    second.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.rows).toEqual([1, 2, 3]);
    expect(bench.sink.changes.map(({ id }) => id)).toEqual(['0/200/0', '0/200/1', '0/200/2']);
    expect(bench.sink.commits[0]!.size).toBe(3);
  });

  it('a transaction that lacked nothing but its Commit is told by it, and waits for its settling', () => {
    sendRows(bench.connect(), 0x200n, [0x100n]);
    const second = bench.connect();
    sendRows(second, 0x200n, [0x100n]);
    second.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.rows).toEqual([1]);
    expect(bench.sink.commits).toHaveLength(1);
    expect(second.tracker.confirmable).toBe(0n);
    bench.sink.settleAll();
    expect(second.tracker.confirmable).toBe(0x230n);
  });

  it('another transaction is handed over whole, although its changes lie before that one in the log', () => {
    sendRows(bench.connect(), 0x200n, [0x150n]);
    sendRows(bench.connect(), 0x300n, [0x100n, 0x150n], 2);
    expect(bench.sink.rows).toEqual([1, 2, 3]);
  });

  it('exactly what was handed over is left out, for every place to break and every mix of places in the log', () => {
    const gaps = fc.array(fc.nat(2), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(gaps, fc.nat(12), fc.nat(12), fc.boolean(), (steps, one, two, isFar) => {
        bench = new PublisherBench();
        let place = isFar ? 0xffff_fffcn : 0x8000_0000n;
        const places = steps.map((gap) => (place += BigInt(gap)));
        for (const broken of [one, two]) sendRows(bench.connect(), 0x9_0000_0000n, places.slice(0, broken));
        const last = bench.connect();
        sendRows(last, 0x9_0000_0000n, places);
        last.send(0x9_0000_0000n, commit(0x9_0000_0000n, 0x9_0000_0030n));
        expect(bench.sink.rows).toEqual(places.map((_, index) => index + 1));
        expect(bench.sink.changes.map(({ index }) => index)).toEqual(places.map((_, index) => index));
      }),
    );
  });
});

describe('several changes of one WAL record', () => {
  it('are told apart by their ordinal', () => {
    const changes = [0x100n, 0x100n, 0x100n, 0x110n, 0x110n];
    sendRows(bench.connect(), 0x200n, changes.slice(0, 2));
    expect(bench.sink.changes.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
    sendRows(bench.connect(), 0x200n, changes);
    expect(bench.sink.rows).toEqual([1, 2, 3, 4, 5]);
    expect(bench.sink.changes.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 0, 1]);
  });

  it('keep their ordinals where a Relation message stands between them on one connection only', () => {
    const first = bench.connect().send(0x100n, begin(0x200n)).send(0n, ORDERS);
    first
      .send(0x100n, insert(1, ['1']))
      .send(0n, ITEMS)
      .send(0x100n, insert(2, ['2']));
    const second = bench.connect().send(0n, ORDERS).send(0n, ITEMS).send(0x100n, begin(0x200n));
    second
      .send(0x100n, insert(1, ['1']))
      .send(0x100n, insert(2, ['2']))
      .send(0x100n, insert(2, ['3']));
    expect(bench.sink.rows).toEqual([1, 2, 3]);
  });

  it('are one for each table of a truncate', () => {
    const first = bench.connect().send(0n, ORDERS).send(0n, ITEMS).send(0x100n, begin(0x200n));
    bench.sink.routes.get('public.items')!.mask = 0;
    first.send(0x100n, truncation([1, 2]));
    expect(bench.sink.rows).toEqual(['truncate orders']);
    const second = bench.connect().send(0n, ORDERS).send(0n, ITEMS).send(0x100n, begin(0x200n));
    second.send(0x100n, truncation([1, 2]));
    expect(bench.sink.rows).toEqual(['truncate orders', 'truncate items']);
  });

  it('count also where nobody wanted them, so that the others keep their places', () => {
    const first = bench.connect().send(0n, ORDERS).send(0n, ITEMS).send(0x100n, begin(0x200n));
    const unwanted = bench.sink.routes.get('public.items')!;
    unwanted.mask = 0;
    first.send(0x100n, insert(2, ['1'])).send(0x100n, insert(1, ['2']));
    expect(bench.sink.rows).toEqual([2]);
    const second = bench.connect().send(0n, ORDERS).send(0n, ITEMS).send(0x100n, begin(0x200n));
    second
      .send(0x100n, insert(2, ['1']))
      .send(0x100n, insert(1, ['2']))
      .send(0x100n, insert(1, ['3']));
    expect(bench.sink.rows).toEqual([2, 3]);
  });
});

describe('logical messages on a new connection', () => {
  it('of a transaction are places like changes', () => {
    const outbox = logicalMessage(true, 0x110n, 'outbox', 'hello');
    sendRows(bench.connect(), 0x200n, [0x100n]);
    const second = bench.connect();
    sendRows(second, 0x200n, [0x100n]);
    second.send(0x110n, outbox);
    const third = bench.connect();
    sendRows(third, 0x200n, [0x100n]);
    third.send(0x110n, outbox).send(0x120n, insert(1, ['2']));
    expect(bench.sink.rows).toEqual([1, 2]);
    expect(bench.sink.messages).toHaveLength(1);
  });

  it('do not shift the places of rows: a row may begin where the record of a message ends', () => {
    const first = bench.connect().send(0x100n, begin(0x200n)).send(0n, ORDERS);
    first.send(0x110n, logicalMessage(true, 0x110n, 'outbox', 'hello'));
    expect(bench.sink.messages).toHaveLength(1);
    bench.sink.handedOver = bench.sink.messages[0]!;
    const second = bench.connect().send(0x100n, begin(0x200n)).send(0n, ORDERS);
    second.send(0x110n, logicalMessage(true, 0x110n, 'outbox', 'hello')).send(0x110n, insert(1, ['1']));
    expect(bench.sink.messages).toHaveLength(1);
    expect(bench.sink.changes[0]).toMatchObject({ walLow: 0x110, ordinal: 0 });
  });

  it('outside of a transaction come again until they are settled, and then no more', () => {
    const outbox = logicalMessage(false, 0x150n, 'outbox', 'hello');
    bench.connect().send(0x150n, outbox);
    bench.connect().send(0x150n, outbox);
    expect(bench.sink.messages).toHaveLength(2);
    bench.sink.settleAll();
    const third = bench.connect().send(0x150n, outbox);
    expect(bench.sink.messages).toHaveLength(2);
    expect(third.tracker).toMatchObject({ confirmable: 0x150n, unsettled: 0 });
  });
});

describe('on a connection to another history', () => {
  it('nothing that the old one settles afterwards is taken for settled here', () => {
    bench.progress.enter(identity('7000', '1', 0x10000n));
    const first = bench.connect();
    sendRows(first, 0x500n, [0x400n]);
    first.send(0x500n, commit(0x500n, 0x530n));

    // A standby is promoted; its history branches off before that commit. The old handler finishes only now.
    bench.progress.enter(identity('7000', '2', 0x10000n));
    bench.sink.handedOver = null;
    const second = bench.connect();
    bench.sink.settleAll();
    sendRows(second, 0x480n, [0x410n], 2);
    second.send(0x480n, commit(0x480n, 0x4b0n));
    expect(bench.sink.rows).toEqual([1, 2]);
    expect(second.tracker.confirmable).toBe(0n);
  });
});
