import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TablePattern } from '#lib/changes/table-pattern.js';
import { ALL_OPERATIONS, ChangeStreams } from '#lib/events/change-streams.js';
import { HandlerRegistry } from '#lib/events/handler-registry.js';
import type { RoutedTable } from '#lib/interfaces/transaction-sink.interface.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { openSpillFiles } from '../../events/whole/captured-changes.js';
import {
  begin,
  beginPrepare,
  commit,
  commitPrepared,
  inPart,
  insert,
  prepare,
  relation,
  streamCommit,
  streamStart,
  streamStop,
} from '../../../support/pgoutput-encoder.js';
import { FakeSink, PublisherBench, type Connection } from '../fake-sink.js';

const table = (id: number, name: string, ...columns: string[]): Buffer =>
  relation({ id, table: name, columns: [...columns.map((each) => ({ name: each })), { name: 'id', isKey: true }] });
const ORDERS = table(1, 'orders');
const ALTERED = table(1, 'orders', 'extra');

/** Routes as the dispatcher has them. */
class RoutingSink extends FakeSink {
  readonly streams = new ChangeStreams();
  readonly registry = new HandlerRegistry([], this.streams);
  readonly given = new Set<unknown>();

  override route(described: RoutedTable): { mask: number } {
    const route = this.registry.route(described);
    this.given.add(route);
    return route;
  }
}

let sink: RoutingSink;
let bench: PublisherBench;
let connection: Connection;
let lsn: bigint;

beforeEach(() => {
  lsn = 0xa00n;
  sink = new RoutingSink();
  bench = new PublisherBench(sink);
  connection = bench.connect();
});
afterEach(() => {
  connection.publisher.streamed.close();
  expect(openSpillFiles(tmpdir())).toEqual([]);
});

function part(xid: number, isFirst: boolean, ...messages: Buffer[]): void {
  connection.send(0x100n, streamStart(xid, isFirst));
  for (const message of messages) connection.send(0x100n, inPart(xid, message));
  connection.send(0x100n, streamStop());
}
const end = (xid = 700): Connection => connection.send(0x900n, streamCommit(xid, 0x900n, 0x930n));

/** Ids of rows of a plain transaction that a subscriber, who comes now, hears. */
function heard(name: string, ...messages: Buffer[]): unknown[] {
  const before = sink.rows.length;
  const subscription = sink.streams.changes(new TablePattern([name]), ALL_OPERATIONS).subscribe();
  connection.send(lsn, begin(lsn + 0x10n));
  for (const message of messages) connection.send(lsn, message);
  connection.send(lsn + 0x10n, commit(lsn + 0x10n, lsn + 0x20n));
  lsn += 0x100n;
  subscription.unsubscribe();
  return sink.rows.slice(before);
}

describe('who subscribes after a replay hears of a table', () => {
  it('that the transaction has altered', () => {
    part(700, true, ORDERS, insert(1, ['1']), ALTERED, insert(1, ['7', '2']));
    end();
    expect(heard('orders', insert(1, ['7', '3']))).toEqual([3]);
  });

  it('that has been altered by others between its parts', () => {
    part(700, true, ORDERS, insert(1, ['1']));
    connection
      .send(0x200n, begin(0x300n, 701))
      .send(0n, ALTERED)
      .send(0x200n, insert(1, ['7', '2']));
    connection.send(0x300n, commit(0x300n, 0x330n));
    end();
    expect(heard('orders', insert(1, ['7', '3']))).toEqual([3]);
  });

  it('that has been altered since it was prepared', () => {
    bench.twoPhase = true;
    connection = bench.connect();
    connection
      .send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one'))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    connection.send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
    connection.send(0x300n, begin(0x310n, 2)).send(0n, ALTERED).send(0x310n, commit(0x310n, 0x320n));
    connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'));
    expect(heard('orders', insert(1, ['7', '3']))).toEqual([3]);
  });

  it('that has taken the name of one that the transaction describes', () => {
    // 1 was `orders`, in what was rolled back to a savepoint, and lets the name go to 2.
    part(700, true, ORDERS, insert(1, ['1']));
    connection.send(0x200n, begin(0x300n, 701)).send(0n, table(1, 'old_orders'));
    connection.send(0n, table(2, 'orders', 'extra')).send(0x200n, insert(2, ['7', '2']));
    connection.send(0x300n, commit(0x300n, 0x330n));
    end();
    expect(heard('orders', insert(2, ['7', '3']))).toEqual([3]);
    expect(heard('old_orders', insert(1, ['4']))).toEqual([4]);
  });
});

it('who subscribes within a replay hears what follows in it', () => {
  part(700, true, ORDERS, insert(1, ['1']), ALTERED, insert(1, ['7', '2']), insert(1, ['7', '3']));
  const first = sink.streams.changes(new TablePattern(['orders']), 1).subscribe();
  const change = sink.change.bind(sink);
  sink.change = (...args) => {
    // Both masks are asked for anew.
    if (sink.rows.length === 1) first.unsubscribe();
    return change(...args);
  };
  end();
  expect(sink.rows).toEqual([1, 2]);
});

it('a replay of what is described as ever makes no route anew', () => {
  part(700, true, ORDERS, insert(1, ['1']));
  part(701, true, ORDERS, insert(1, ['2']));
  end(700);
  end(701);
  heard('orders', ORDERS, insert(1, ['3']));
  expect(sink.given.size).toBe(1);
});

it.each([
  ['streamed', false],
  ['prepared', true],
])('one that was %s and is committed within another transaction leaves no file open', (_how, isPrepared) => {
  bench.mostStreamedBytes = 1;
  bench.twoPhase = isPrepared;
  connection = bench.connect();
  const rows = Array.from({ length: 300 }, (_, at) => insert(1, [String(at).padEnd(2000, '0')]));
  if (isPrepared) {
    connection.send(0x100n, beginPrepare(0x200n, 0x230n, 700, 'one')).send(0n, ORDERS);
    for (const row of rows) connection.send(0x100n, row);
    connection.send(0x200n, prepare(0x200n, 0x230n, 700, 'one'));
  } else part(700, true, ORDERS, ...rows);
  expect(openSpillFiles(tmpdir())).toHaveLength(1);
  connection.send(0x300n, begin(0x400n, 701));
  expect(() => {
    if (isPrepared) connection.send(0x800n, commitPrepared(0x800n, 0x830n, 700, 'one'));
    else end();
  }).toThrow(DecodeError);
  expect(openSpillFiles(tmpdir())).toEqual([]);
});
