import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DecodeError } from '#lib/errors/decode.error.js';
import { openSpillFiles } from '../../events/whole/captured-changes.js';
import {
  begin,
  beginPrepare,
  commit,
  commitPrepared,
  inPart,
  insert,
  logicalMessage,
  origin,
  prepare,
  relation,
  rollbackPrepared,
  streamAbort,
  streamCommit,
  streamPrepare,
  streamStart,
  streamStop,
  truncation,
} from '../../../support/pgoutput-encoder.js';
import { turns, until } from '../../waiting.js';
import { PublisherBench, type Connection } from '../fake-sink.js';

const ORDERS = relation({ id: 1, table: 'orders', columns: [{ name: 'id', isKey: true }] });
/** What `orders` is after somebody has added a column in front. */
const ALTERED = relation({ id: 1, table: 'orders', columns: [{ name: 'extra' }, { name: 'id', isKey: true }] });

let bench: PublisherBench;
let connection: Connection;

beforeEach(() => {
  bench = new PublisherBench();
  bench.sink.prefixes = ['outbox'];
  connection = bench.connect();
});
afterEach(() => {
  connection.publisher.streamed.close();
  expect(openSpillFiles(tmpdir())).toEqual([]);
});

/** One part of transaction 700: messages with the LSN of each and, where it is not 700's, the sub-transaction. */
function part(isFirst: boolean, ...messages: readonly (readonly [lsn: bigint, message: Buffer, xid?: number])[]): void {
  connection.send(messages[0]![0], streamStart(700, isFirst));
  for (const [lsn, message, xid = 700] of messages) connection.send(lsn, inPart(xid, message));
  connection.send(messages.at(-1)![0], streamStop());
}
const end = (xid = 700, commitLsn = 0x900n): Connection =>
  connection.send(commitLsn, streamCommit(xid, commitLsn, commitLsn + 0x30n));

describe('a transaction in progress', () => {
  it('is nobody’s before its Stream Commit, and then as if it had come whole', () => {
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])], [0x100n, insert(1, ['2'])]);
    part(
      false,
      [0x200n, insert(1, ['3'])],
      [0x210n, truncation([1], 3)],
      [0x220n, logicalMessage(true, 0x220n, 'outbox', 'm')],
    );
    expect([bench.sink.changes, bench.sink.messages, bench.sink.commits]).toEqual([[], [], []]);
    expect(connection.tracker).toMatchObject({ unsettled: 0, confirmable: 0n });
    end();
    const streamed = { ...bench.sink };

    bench = new PublisherBench();
    bench.sink.prefixes = ['outbox'];
    const whole = bench.connect();
    whole.send(0x100n, begin(0x900n, 700)).send(0n, ORDERS);
    whole
      .send(0x100n, insert(1, ['1']))
      .send(0x100n, insert(1, ['2']))
      .send(0x200n, insert(1, ['3']));
    whole.send(0x210n, truncation([1], 3)).send(0x220n, logicalMessage(true, 0x220n, 'outbox', 'm'));
    whole.send(0x900n, commit(0x900n, 0x930n));
    expect(streamed.changes).toEqual(bench.sink.changes);
    expect(streamed.messages).toEqual(bench.sink.messages);
    expect(streamed.commits).toEqual(bench.sink.commits);
    expect(streamed.sizes).toEqual(bench.sink.sizes);
    expect(connection.tracker.unsettled).toBe(1);
    for (const unit of streamed.units) unit.settle();
    expect(connection.tracker.confirmable).toBe(0x930n);
  });

  it('does not hold the position back: what others commit between its parts may be confirmed', () => {
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])]);
    connection
      .send(0x200n, begin(0x300n, 701))
      .send(0n, ORDERS)
      .send(0x200n, insert(1, ['2']));
    connection.send(0x300n, commit(0x300n, 0x330n));
    bench.sink.settleAll();
    connection.tracker.keepalive(0x400n);
    expect([bench.sink.rows, connection.tracker.confirmable]).toEqual([[2], 0x400n]);
    end();
    expect(bench.sink.rows).toEqual([2, 1]);
    expect(connection.tracker.confirmable).toBe(0x400n);
  });

  it('is dropped by its Stream Abort, and a sub-transaction by its own', () => {
    part(
      true,
      [0n, ORDERS],
      [0x100n, insert(1, ['1'])],
      [0x110n, insert(1, ['2']), 710],
      [0x120n, insert(1, ['3']), 711],
    );
    connection.send(0x130n, streamAbort(700, 711));
    part(false, [0x140n, insert(1, ['4']), 712], [0x150n, insert(1, ['5'])]);
    connection.send(0x160n, streamAbort(700, 712));
    connection
      .send(0x170n, streamStart(800))
      .send(0n, inPart(800, ORDERS))
      .send(0x170n, inPart(800, insert(1, ['6'])));
    connection.send(0x170n, streamStop());
    expect(connection.publisher.streamed.held.transactions).toBe(2);
    connection.send(0x180n, streamAbort(800, 800));
    // Of one that never came, or of a part of it.
    connection.send(0x190n, streamAbort(801, 801)).send(0x190n, streamAbort(801, 802));
    end();
    expect(bench.sink.changes.map(({ index, walLow }) => [index, walLow])).toEqual([
      [0, 0x100],
      [1, 0x110],
      [2, 0x150],
    ]);
    expect(bench.sink.rows).toEqual([1, 2, 5]);
    expect(connection.publisher.streamed.held.transactions).toBe(0);
  });

  it('that was rolled back to its beginning is nobody’s, and may be confirmed', () => {
    part(true, [0n, ORDERS, 710], [0x110n, insert(1, ['2']), 710]);
    connection.send(0x130n, streamAbort(700, 710));
    end();
    expect([bench.sink.rows, bench.sink.commits]).toEqual([[], []]);
    expect(connection.tracker).toMatchObject({ unsettled: 0, confirmable: 0x930n });
  });

  it('tells its origin to its changes', () => {
    connection.send(0x100n, streamStart(700)).send(0x100n, origin('elsewhere')).send(0n, inPart(700, ORDERS));
    connection.send(0x100n, inPart(700, insert(1, ['1']))).send(0x100n, streamStop());
    end();
    expect(bench.sink.changes[0]!.transaction.origin).toBe('elsewhere');
  });

  it('that was handed over on an earlier connection as a whole is not handed over again in parts', () => {
    connection
      .send(0x100n, begin(0x900n, 700))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']))
      .send(0x100n, insert(1, ['2']));
    connection = bench.connect();
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])], [0x100n, insert(1, ['2'])], [0x120n, insert(1, ['3'])]);
    end();
    expect(bench.sink.rows).toEqual([1, 2, 3]);
    bench.sink.settleAll();
    connection = bench.connect();
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])], [0x120n, insert(1, ['3'])]);
    end();
    expect(bench.sink.rows).toEqual([1, 2, 3]);
    expect(connection.tracker.confirmable).toBe(0x930n);
  });
});

describe('a table that is described anew', () => {
  const ids = (): unknown[] => bench.sink.changes.map((change) => ('record' in change ? change.record : null));

  it('within the transaction is read as it was when each row was sent', () => {
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])], [0n, ALTERED], [0x110n, insert(1, ['7', '2'])]);
    part(false, [0n, ORDERS], [0x120n, insert(1, ['3'])], [0n, ORDERS], [0x130n, insert(1, ['4'])]);
    end();
    expect(ids()).toEqual([{ id: 1 }, { extra: 7, id: 2 }, { id: 3 }, { id: 4 }]);
  });

  it('in a sub-transaction that is rolled back is described so all the same', () => {
    part(true, [0n, ORDERS, 710], [0x100n, insert(1, ['1']), 710]);
    connection.send(0x110n, streamAbort(700, 710));
    part(false, [0x120n, insert(1, ['2'])]);
    end();
    expect(ids()).toEqual([{ id: 2 }]);
    // Nor does the server say it again to what follows.
    connection.send(0xa00n, begin(0xb00n)).send(0xa00n, insert(1, ['3']));
    expect(ids()).toEqual([{ id: 2 }, { id: 3 }]);
  });

  it('between the parts, by others, is read by each as it was told, and by all that follow as it was told last', () => {
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])]);
    connection
      .send(0x200n, begin(0x300n, 701))
      .send(0n, ALTERED)
      .send(0x200n, insert(1, ['7', '2']));
    connection.send(0x300n, commit(0x300n, 0x330n));
    part(false, [0x310n, insert(1, ['3'])]);
    const { sink } = bench;
    const asked = sink.asked.length;
    end();
    expect(ids()).toEqual([{ extra: 7, id: 2 }, { id: 1 }, { id: 3 }]);
    // Routes follow handlers and subscribers by the description that was asked for last: it must be that of now.
    expect(sink.asked.length - asked).toBe(2);
    connection.send(0xa00n, begin(0xb00n)).send(0xa00n, insert(1, ['7', '4']));
    expect(ids().at(-1)).toEqual({ extra: 7, id: 4 });
  });
});

describe('logical messages', () => {
  const message = (isTransactional: boolean, text: string): Buffer =>
    logicalMessage(isTransactional, 0x50n, 'outbox', text);
  const texts = (): string[] => bench.sink.messages.map(({ text }) => text);

  it('that are no transaction’s come at once, between parts and in them, whatever becomes of the transaction', () => {
    part(true, [0n, ORDERS], [0x100n, insert(1, ['1'])], [0x110n, message(false, 'in it')], [0x120n, insert(1, ['2'])]);
    connection.send(0x130n, message(false, 'between'));
    expect(texts()).toEqual(['in it', 'between']);
    connection.send(0x140n, streamAbort(700, 700));
    expect([texts(), bench.sink.rows]).toEqual([['in it', 'between'], []]);
  });

  it('of a transaction come with it', () => {
    part(true, [0x110n, message(true, 'kept')]);
    expect(texts()).toEqual([]);
    end();
    // In its own record: 0x50 is where that ends.
    expect(bench.sink.messages[0]).toMatchObject({ text: 'kept', xid: 700, walLow: 0x4f });
  });

  it('beside a savepoint that was rolled back are wanted again, in one piece: nobody can tell what went with it', () => {
    part(true, [0n, ORDERS], [0x100n, message(true, 'kept?')], [0x110n, insert(1, ['1']), 710]);
    connection.send(0x120n, streamAbort(700, 710));
    expect(() => end()).toThrow(/^The transaction committed at 0\/900 has logical messages, and savepoints/);
    expect([connection.pace.whole, texts(), bench.sink.rows]).toEqual([[0x900n], [], []]);
    bench.progress.wantWhole(0x900n);
    expect([0x8ffn, 0x900n, 0x901n].map((lsn) => bench.progress.mayStreamFrom(lsn))).toEqual([false, false, true]);
  });
});

describe('two-phase commit', () => {
  beforeEach(() => {
    bench.twoPhase = true;
    connection = bench.connect();
  });
  const records = (): unknown[] => bench.sink.changes.map((change) => ('record' in change ? change.record : null));

  it('what is prepared comes when it is committed, at the places that it has where it is not prepared', () => {
    connection
      .send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one'))
      .send(0x100n, origin('elsewhere'))
      .send(0n, ORDERS);
    connection
      .send(0x100n, insert(1, ['1']))
      .send(0x100n, insert(1, ['2']))
      .send(0x110n, truncation([1]));
    connection.send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
    expect([bench.sink.rows, connection.tracker.unsettled]).toEqual([[], 0]);
    connection.tracker.keepalive(0x300n);
    expect(connection.publisher.confirmable).toBe(0x200n);
    connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'));
    expect(bench.sink.changes.map((each) => [each.lsn, each.walLow, each.ordinal, each.index, each.xid])).toEqual([
      ['0/800', 0x100, 0, 0, 700],
      ['0/800', 0x100, 1, 1, 700],
      ['0/800', 0x110, 0, 2, 700],
    ]);
    expect(bench.sink.commits[0]).toMatchObject({ lsn: '0/800', size: 3, origin: 'elsewhere' });
    expect(connection.publisher.confirmable).toBe(0x200n);
    bench.sink.settleAll();
    expect(connection.publisher.confirmable).toBe(0x830n);
  });

  it('what is rolled back is forgotten, streamed or not, prepared here or not', () => {
    connection.send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one')).send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
    connection
      .send(0x210n, streamStart(710))
      .send(0n, inPart(710, ORDERS))
      .send(0x210n, inPart(710, insert(1, ['1'])));
    connection.send(0x210n, streamStop()).send(0x240n, streamPrepare(0x240n, 0x250n, 710, 'two'));
    expect(connection.publisher.streamed.held.transactions).toBe(2);
    connection.send(0x300n, rollbackPrepared(0x230n, 0x310n, 700, 'one'));
    connection.send(0x310n, rollbackPrepared(0x250n, 0x320n, 710, 'two'));
    connection.send(0x320n, rollbackPrepared(0x10n, 0x330n, 5, 'of old'));
    connection.tracker.keepalive(0x400n);
    expect([
      connection.publisher.confirmable,
      connection.publisher.streamed.held.transactions,
      bench.sink.rows,
    ]).toEqual([0x400n, 0, []]);
  });

  it('a row is read by what its table was when it was prepared', () => {
    connection
      .send(0x10n, begin(0x20n, 1))
      .send(0n, ORDERS)
      .send(0x10n, insert(1, ['0']))
      .send(0x20n, commit(0x20n, 0x30n));
    // The table has been described on the connection: it is not said again.
    connection.send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one')).send(0x100n, insert(1, ['1']));
    connection.send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
    connection
      .send(0x300n, begin(0x310n, 2))
      .send(0n, ALTERED)
      .send(0x300n, insert(1, ['7', '2']))
      .send(0x310n, commit(0x310n, 0x320n));
    connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'));
    connection.send(0x900n, begin(0x910n, 3)).send(0x900n, insert(1, ['7', '3']));
    expect(records()).toEqual([{ id: 0 }, { extra: 7, id: 2 }, { id: 1 }, { extra: 7, id: 3 }]);
  });

  it('a message that is nobody’s comes at once', () => {
    connection.send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one'));
    connection
      .send(0x110n, logicalMessage(false, 0x110n, 'outbox', 'alone'))
      .send(0x120n, logicalMessage(true, 0x120n, 'outbox', 'with it'));
    connection.send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
    expect(bench.sink.messages.map(({ text }) => text)).toEqual(['alone']);
    connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'));
    expect(bench.sink.messages.map(({ text }) => text)).toEqual(['alone', 'with it']);
  });

  it('a commit whose preparation has not come is an error: its rows are lost', () => {
    expect(() => connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'))).toThrow(
      /^The prepared transaction "one", committed at 0\/800, comes without its rows.*pg_replication_slot_advance\('<slot>', '0\/830'\);$/s,
    );
    expect(connection.publisher.confirmable).toBe(0n);
  });

  it.each<[string, () => unknown]>([
    ['Begin Prepare in a part', () => connection.send(1n, streamStart(700)).send(1n, beginPrepare(2n, 3n, 701, 'x'))],
    ['Begin Prepare in a transaction', () => connection.send(1n, begin(9n)).send(1n, beginPrepare(2n, 3n, 701, 'x'))],
    [
      'Prepare of another one',
      () => connection.send(1n, beginPrepare(2n, 3n, 700, 'x')).send(1n, prepare(2n, 3n, 701, 'x')),
    ],
    ['Prepare of a part', () => connection.send(1n, streamStart(700)).send(1n, prepare(2n, 3n, 700, 'x'))],
    [
      'Stream Stop where Prepare is due',
      () => connection.send(1n, beginPrepare(2n, 3n, 700, 'x')).send(1n, streamStop()),
    ],
    ['Stream Prepare of what never came', () => connection.send(1n, streamPrepare(2n, 3n, 700, 'x'))],
  ])('%s is a DecodeError', (_what, send) => {
    expect(send).toThrow(DecodeError);
  });
});

describe('what is out of place', () => {
  const row = inPart(700, insert(1, ['1']));

  it.each<[string, () => unknown]>([
    ['Begin in a part', () => connection.send(1n, streamStart(700)).send(1n, begin(0x200n))],
    ['Stream Start in a part', () => connection.send(1n, streamStart(700)).send(1n, streamStart(701))],
    ['Stream Start in a transaction', () => connection.send(1n, begin(0x200n)).send(1n, streamStart(701))],
    ['a later part without a first', () => connection.send(1n, streamStart(700, false))],
    [
      'a first part that comes twice',
      () => {
        connection.send(1n, streamStart(700)).send(1n, streamStop()).send(1n, streamStart(700));
      },
    ],
    ['Stream Stop without a part', () => connection.send(1n, streamStop())],
    ['Stream Commit in a part', () => connection.send(1n, streamStart(700)).send(1n, streamCommit(700, 2n, 3n))],
    ['Stream Commit of what never came', () => connection.send(1n, streamCommit(700, 2n, 3n))],
    ['Stream Abort in a part', () => connection.send(1n, streamStart(700)).send(1n, streamAbort(700, 701))],
    ['a row that is cut short', () => connection.send(1n, streamStart(700)).send(1n, row.subarray(0, 4))],
    ['a message of no known type', () => connection.send(1n, streamStart(700)).send(1n, Buffer.from('?12345'))],
    ['two-phase commit, which nobody asked for', () => connection.send(1n, beginPrepare(1n, 2n, 700, 'x'))],
    ['the commit of what was prepared', () => connection.send(1n, commitPrepared(1n, 2n, 700, 'x'))],
    [
      'a row of a table that the transaction has not described',
      () => {
        connection.send(1n, begin(0x20n, 1)).send(0n, ORDERS).send(0x20n, commit(0x20n, 0x30n));
        connection.send(1n, streamStart(700)).send(1n, row).send(1n, streamStop());
        end();
      },
    ],
  ])('%s is a DecodeError', (_what, send) => {
    expect(send).toThrow(DecodeError);
  });
});

describe('what is kept', () => {
  const ROWS = 3000;
  const send = (xid = 700, first = 1): void => {
    connection.send(0n, streamStart(xid)).send(0n, inPart(xid, ORDERS));
    for (let id = 0; id < ROWS; id++) {
      const row = insert(1, [String(first + id)]);
      connection.send(0x100n + BigInt(id), inPart(xid, row));
    }
    connection.send(0n, streamStop());
  };

  it('of all together is in memory up to the bound; beyond, the largest goes to the disk', () => {
    bench.mostStreamedBytes = 200_000;
    connection = bench.connect();
    const { streamed } = connection.publisher;
    send(700);
    expect(streamed.held.diskBytes).toBe(0);
    send(701);
    expect(openSpillFiles(tmpdir())).toHaveLength(1);
    send(702);
    send(703);
    expect(streamed.held.diskBytes).toBeGreaterThan(0);
    // Besides, a chunk for each that is on the disk.
    expect(streamed.held.memoryBytes).toBeLessThan(200_000 + 4 * 256 * 1024);
    for (const xid of [700, 701, 702]) connection.send(1n, streamAbort(xid, xid));
    expect(streamed.held.memoryBytes + streamed.held.diskBytes).toBeGreaterThan(0);
    connection.send(1n, streamAbort(703, 703));
    expect([streamed.held.memoryBytes, streamed.held.diskBytes]).toEqual([0, 0]);
  });

  it.each([
    ['memory', 1024 * 1024],
    ['the disk', 1024],
  ])('in %s comes in order, with the connection on hold until the last of it', async (_where, bound) => {
    bench.mostStreamedBytes = bound;
    connection = bench.connect();
    for (let round = 0; round < 10; round++) send(700 + round, 1 + round * ROWS);
    for (let round = 0; round < 10; round++) {
      end(700 + round, 0x10_0000n + BigInt(round));
      await until(() => !connection.pace.isHeld);
    }
    expect(bench.sink.rows).toEqual(Array.from({ length: 10 * ROWS }, (_, at) => at + 1));
    expect(bench.sink.commits.map(({ size }) => size)).toEqual(Array.from({ length: 10 }, () => ROWS));
    expect(connection.pace.fault).toBeUndefined();
  });

  it('waits where the sink is full, until it has room', async () => {
    send();
    const { sink } = bench;
    sink.isFull = true;
    end();
    await turns();
    expect([sink.rows.length, connection.pace.isHeld]).toEqual([0, true]);
    sink.isFull = false;
    sink.onRoom();
    await until(() => !connection.pace.isHeld);
    expect([sink.rows.length, sink.commits.length]).toEqual([ROWS, 1]);
  });

  it('waits where a handler is at work, as long as it gets on within a turn of the event loop', async () => {
    send();
    const { sink } = bench;
    sink.isBusy = true;
    end();
    expect([sink.rows, connection.pace.isHeld]).toEqual([[], true]);
    sink.onFree();
    sink.onFree();
    expect(sink.rows).toEqual([1, 2]);
    // It takes longer: what comes is queued from here on.
    await until(() => !connection.pace.isHeld);
    expect([sink.rows.length, sink.commits.length]).toEqual([ROWS, 1]);
  });

  it('gives the event loop a turn every ten milliseconds, however fast it is taken', async () => {
    const { sink } = bench;
    const slow = sink.change.bind(sink);
    sink.change = (...change) => {
      for (const until = performance.now() + 0.05; performance.now() < until;);
      return slow(...change);
    };
    send();
    end();
    let count = 0;
    while (connection.pace.isHeld) {
      await turns(1);
      count++;
    }
    expect(sink.rows).toHaveLength(ROWS);
    expect(count).toBeGreaterThan(8);
  });

  it('is given up with the connection, in the middle of a replay too', async () => {
    bench.mostStreamedBytes = 1024;
    connection = bench.connect();
    send();
    end();
    const { sink } = bench;
    const handed = sink.rows.length;
    expect([handed, connection.pace.isHeld, openSpillFiles(tmpdir()).length]).toEqual([0, true, 1]);
    connection.publisher.streamed.close();
    await turns(10);
    await until(() => openSpillFiles(tmpdir()).length === 0);
    expect([sink.rows.length, sink.commits.length, connection.pace.fault]).toEqual([0, 0, undefined]);
  });

  it('that cannot be read ends the stream, with the position before it', async () => {
    bench.mostStreamedBytes = 1024;
    connection = bench.connect();
    send();
    connection
      .send(0n, streamStart(700, false))
      .send(9n, inPart(700, insert(99, ['1'])))
      .send(0n, streamStop());
    end();
    await until(() => connection.pace.fault !== undefined);
    expect(connection.pace.fault).toBeInstanceOf(DecodeError);
    expect(connection.tracker).toMatchObject({ confirmable: 0n, unsettled: 1 });
    expect(bench.sink.commits).toEqual([]);
  });
});
