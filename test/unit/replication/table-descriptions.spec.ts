import { beforeEach, describe, expect, it } from '@jest/globals';
import { OWN_SCHEMA } from '#lib/changes/own-schema.js';
import {
  begin,
  commit,
  inPart,
  insert,
  relation,
  streamAbort,
  streamCommit,
  streamStart,
  streamStop,
  truncation,
  typeMessage,
} from '../../support/pgoutput-encoder.js';
import { PublisherBench, type Connection } from './fake-sink.js';

const ID = { name: 'id', isKey: true };
const ONE = relation({ id: 1, table: 'one', columns: [ID] });
const ONE_ALTERED = relation({ id: 1, table: 'one', columns: [ID, { name: 'b', typeOid: 90_000 }] });
const TWO = relation({ id: 2, table: 'two', columns: [ID] });

describe('how tables are described', () => {
  let bench: PublisherBench;
  let connection: Connection;

  const told = (): string[] =>
    bench.sink.descriptions.map(
      ({ commitLsn, ordinal, shape }) =>
        `${commitLsn.toString(16)} ${ordinal} ${shape.table}(${shape.columns.map(({ name }) => name).join()})`,
    );
  const connect = (): Connection => (connection = bench.connect());

  beforeEach(() => {
    bench = new PublisherBench();
    bench.sink.watchesSchemas = true;
    connect();
  });

  it('is told before the first change that comes so, and once on a connection', () => {
    connection.send(0x100n, begin(0x200n)).send(0n, ONE);
    expect(told()).toEqual([]);
    connection.send(0x100n, insert(1, ['1'])).send(0x110n, insert(1, ['2']));
    expect(told()).toEqual(['200 0 one(id)']);
    connection
      .send(0n, TWO)
      .send(0x120n, insert(2, ['1']))
      .send(0x130n, insert(1, ['3']));
    connection
      .send(0n, typeMessage(90_000, 'public', 'mood'))
      .send(0n, ONE_ALTERED)
      .send(0x140n, truncation([2, 1]));
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(told().slice(1)).toEqual(['200 0 two(id)', '200 1 one(id,b)']);
    expect(bench.sink.descriptions[2]!.shape.columns[1]).toMatchObject({ typeOid: 90_000, typeName: 'public.mood' });
  });

  it('is told where nobody wants the rows, and then holds the position', () => {
    bench.sink.mask = 0;
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ONE)
      .send(0x100n, insert(1, ['1']))
      .send(0x200n, commit(0x200n, 0x230n));
    expect(told()).toEqual(['200 0 one(id)']);
    expect(bench.sink.changes).toEqual([]);
    expect([connection.tracker.unsettled, bench.sink.units.length]).toEqual([1, 1]);
    bench.sink.settleAll();
    expect(connection.tracker.confirmable).toBe(0x230n);
  });

  it('is not told with what was handed over on an earlier connection, but with what follows that', () => {
    const rows = (): Connection =>
      connection
        .send(0x100n, begin(0x200n))
        .send(0n, ONE)
        .send(0x100n, insert(1, ['1']));
    rows();
    connect();
    rows();
    expect(told()).toEqual(['200 0 one(id)']);
    connection.send(0x110n, insert(1, ['2']));
    expect(told()).toEqual(['200 0 one(id)', '200 0 one(id)']);
    expect(bench.sink.rows).toEqual([1, 2]);
  });

  it('is told of transactions in parts when they commit, by what their rows came in', () => {
    const part = (xid: number, isFirst: boolean, ...messages: Buffer[]): void => {
      connection.send(0x100n, streamStart(xid, isFirst));
      for (const message of messages) connection.send(0x100n, message);
      connection.send(0x100n, streamStop());
    };
    part(700, true, inPart(700, ONE), inPart(700, insert(1, ['1'])));
    part(
      701,
      true,
      inPart(702, ONE_ALTERED),
      inPart(702, insert(1, ['9', 'x'])),
      inPart(701, TWO),
      inPart(701, insert(2, ['2'])),
    );
    expect(told()).toEqual([]);
    connection.send(0x180n, streamAbort(701, 702));
    connection.send(0x200n, streamCommit(701, 0x200n, 0x210n));
    connection.send(0x300n, streamCommit(700, 0x300n, 0x310n));
    // What was rolled back is told by nobody, although its description came.
    expect(told()).toEqual(['200 0 two(id)', '300 0 one(id)']);
    expect(bench.sink.rows).toEqual([2, 1]);
  });

  it('of our own tables is nobody’s business, and nothing is told where nobody asks', () => {
    const ours = relation({ id: 3, schema: OWN_SCHEMA, table: 'described', columns: [ID] });
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ours)
      .send(0x100n, insert(3, ['1']));
    bench.sink.watchesSchemas = false;
    connect();
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ONE)
      .send(0x100n, insert(1, ['1']));
    expect(told()).toEqual([]);
  });
});
