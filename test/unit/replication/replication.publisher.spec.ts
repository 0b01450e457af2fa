import { beforeEach, describe, expect, it } from '@jest/globals';
import { OWN_SCHEMA } from '#lib/changes/own-schema.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import {
  begin,
  commit,
  deletion,
  insert,
  logicalMessage,
  origin,
  relation,
  SOME_TIME,
  streamAbort,
  truncation,
  update,
} from '../../support/pgoutput-encoder.js';
import { PublisherBench, type Connection } from './fake-sink.js';

const COLUMNS = [{ name: 'id', isKey: true }];
const ORDERS = relation({ id: 1, table: 'orders', columns: COLUMNS });
const OURS = relation({ id: 2, schema: OWN_SCHEMA, table: 'progress', columns: COLUMNS });

let bench: PublisherBench;
let connection: Connection;

beforeEach(() => {
  bench = new PublisherBench();
  connection = bench.connect();
});

describe('a transaction', () => {
  it('is handed over change by change, as it comes, and then its commit', () => {
    connection
      .send(0x100n, begin(0x200n, 733))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    expect(bench.sink.rows).toEqual([1]);
    connection
      .send(0x110n, update(1, ['2']))
      .send(0x120n, deletion(1, 'K', ['3']))
      .send(0x130n, truncation([1], 3));
    expect(bench.sink.commits).toEqual([]);
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.changes.map(({ operation, id }) => [operation, id])).toEqual([
      ['insert', '0/200/0'],
      ['update', '0/200/1'],
      ['delete', '0/200/2'],
      ['truncate', '0/200/3'],
    ]);
    expect(bench.sink.changes[3]).toMatchObject({ cascade: true, restartIdentity: true });
    const [transaction] = bench.sink.commits;
    expect(transaction).toMatchObject({ app: 'default', lsn: '0/200', xid: 733, size: 4, origin: null });
    expect(transaction!.commitTimestamp).toEqual(SOME_TIME);
    expect(transaction!.count('orders', 'update')).toBe(1);
    expect(bench.sink.changes.every((change) => change.transaction === transaction!.info)).toBe(true);
  });

  it('may be confirmed at the exact end of its Commit, once it has been settled', () => {
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(connection.tracker).toMatchObject({ confirmable: 0n, unsettled: 1 });
    bench.sink.settleAll();
    expect(connection.tracker).toMatchObject({ confirmable: 0x230n, unsettled: 0 });
    expect(bench.progress.isSettled(0x200n)).toBe(true);
  });

  it('is not touched by a Stream Abort before it; inside of it, one is an error', () => {
    connection.send(0x100n, streamAbort(731, 732)).send(0x110n, begin(0x200n)).send(0n, ORDERS);
    connection.send(0x110n, insert(1, ['1'])).send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.rows).toEqual([1]);
    expect(bench.sink.commits).toHaveLength(1);
    connection.send(0x300n, begin(0x400n));
    expect(() => connection.send(0x310n, streamAbort(731, 732))).toThrow(DecodeError);
  });

  it('tells its origin to the changes behind it', () => {
    connection.send(0x100n, begin(0x200n)).send(0x100n, origin('elsewhere')).send(0n, ORDERS);
    connection.send(0x100n, insert(1, ['1']));
    expect(bench.sink.changes[0]!.transaction.origin).toBe('elsewhere');
  });

  it('carries the size of each change on the wire', () => {
    const change = insert(1, ['12345']);
    connection.send(0x100n, begin(0x200n)).send(0n, ORDERS).send(0x100n, change);
    expect(bench.sink.sizes).toEqual([change.length]);
  });

  it('is counted, and its end is told as received', () => {
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    expect(bench.received).toEqual([]);
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.counters).toEqual({ changesReceived: 1, transactionsReceived: 1 });
    expect(bench.received).toEqual([0x230n]);
  });
});

describe('a transaction of which nobody wants anything', () => {
  it('is settled at once, and not told', () => {
    bench.sink.mask = 0;
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    connection.send(0x130n, truncation([1])).send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink).toMatchObject({ changes: [], commits: [] });
    expect(connection.tracker).toMatchObject({ confirmable: 0x230n, unsettled: 0 });
    expect(bench.counters).toEqual({ changesReceived: 2, transactionsReceived: 1 });
  });

  it('waits for those before it', () => {
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    connection.send(0x200n, commit(0x200n, 0x230n));
    connection.send(0x300n, begin(0x300n)).send(0x300n, commit(0x300n, 0x330n));
    expect(connection.tracker.confirmable).toBe(0n);
    bench.sink.settleAll();
    expect(connection.tracker.confirmable).toBe(0x330n);
  });

  it('is told where somebody watches transactions, with the counts of what was passed by', () => {
    bench.sink.mask = 0;
    bench.sink.watchesTransactions = true;
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']));
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.commits[0]).toMatchObject({ size: 1 });
    expect(connection.tracker.confirmable).toBe(0n);
    bench.sink.settleAll();
    expect(connection.tracker.confirmable).toBe(0x230n);
  });

  it('still counts for the identity of the changes behind what was passed by', () => {
    connection.send(0x100n, begin(0x200n)).send(0n, ORDERS);
    const route = bench.sink.routes.get('public.orders')!;
    route.mask = 0;
    connection.send(0x100n, insert(1, ['1'])).send(0x110n, truncation([1]));
    route.mask = 15;
    connection.send(0x120n, insert(1, ['2']));
    expect(bench.sink.changes[0]).toMatchObject({ id: '0/200/2', index: 2 });
  });
});

describe('the index of a change', () => {
  it('counts from 0 in each transaction', () => {
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, insert(1, ['1']))
      .send(0x110n, insert(1, ['2']))
      .send(0x200n, commit(0x200n, 0x230n))
      .send(0x240n, begin(0x300n))
      .send(0x240n, insert(1, ['3']))
      .send(0x300n, commit(0x300n, 0x330n));
    expect(bench.sink.changes.map(({ id }) => id)).toEqual(['0/200/0', '0/200/1', '0/300/0']);
  });

  it('does not count messages: who asks for them has the same identities as who does not', () => {
    bench.sink.prefixes = ['outbox'];
    connection
      .send(0x100n, begin(0x200n))
      .send(0n, ORDERS)
      .send(0x100n, logicalMessage(true, 0x100n, 'outbox', 'hello'))
      .send(0x110n, insert(1, ['1']));
    expect(bench.sink.messages).toHaveLength(1);
    expect(bench.sink.changes[0]).toMatchObject({ id: '0/200/0', index: 0 });
  });
});

describe('our own schema', () => {
  it('is never asked for, delivered or counted', () => {
    connection.send(0x100n, begin(0x200n)).send(0n, OURS).send(0n, ORDERS);
    connection
      .send(0x100n, insert(2, ['1']))
      .send(0x110n, truncation([2, 1]))
      .send(0x120n, insert(1, ['5']));
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.asked).toEqual(['public.orders']);
    expect(bench.sink.rows).toEqual(['truncate orders', 5]);
    expect(bench.sink.changes.map(({ index }) => index)).toEqual([0, 1]);
    expect(bench.sink.commits[0]!.size).toBe(2);
  });

  it('makes a transaction nobody’s where there is nothing else in it, even for those who hear every transaction', () => {
    bench.sink.watchesTransactions = true;
    connection.send(0x100n, begin(0x200n)).send(0n, OURS);
    connection.send(0x100n, insert(2, ['1'])).send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.commits).toEqual([]);
    expect(connection.tracker).toMatchObject({ confirmable: 0x230n, deliveredEnd: 0n });
  });

  it('and one without anything that is published, which the server tells of before 15, is nobody’s either', () => {
    bench.sink.watchesTransactions = true;
    connection.send(0x240n, begin(0x250n)).send(0x250n, commit(0x250n, 0x260n));
    expect(bench.sink.commits).toEqual([]);
    expect(connection.tracker).toMatchObject({ confirmable: 0x260n, deliveredEnd: 0n });
    connection.send(0x270n, begin(0x280n)).send(0n, ORDERS);
    connection.send(0x270n, insert(1, ['1'])).send(0x280n, commit(0x280n, 0x290n));
    expect(bench.sink.commits).toHaveLength(1);
    bench.sink.settleAll();
    expect(connection.tracker).toMatchObject({ confirmable: 0x290n, deliveredEnd: 0x290n });
  });
});

describe('what counts as delivered', () => {
  const one = (lsn: bigint): void => {
    connection
      .send(lsn, begin(lsn + 0x10n))
      .send(0n, ORDERS)
      .send(lsn, insert(1, ['1']));
    connection.send(lsn + 0x10n, commit(lsn + 0x10n, lsn + 0x20n));
  };

  it('is what handlers have finished, and what they had finished on an earlier connection', () => {
    one(0x100n);
    expect(bench.progress.reached).toBe(0n);
    bench.sink.settleAll();
    expect(connection.tracker.deliveredEnd).toBe(0x120n);
    expect(bench.progress.reached).toBe(0x120n);
    connection = bench.connect();
    one(0x100n);
    expect(bench.sink.rows).toEqual([1]);
    expect(connection.tracker.deliveredEnd).toBe(0x120n);
  });

  it('is not what nobody wants', () => {
    connection.send(0x100n, begin(0x200n)).send(0x200n, commit(0x200n, 0x230n));
    expect(connection.tracker).toMatchObject({ confirmable: 0x230n, settledEnd: 0x230n, deliveredEnd: 0n });
    expect(bench.progress.reached).toBe(0n);
  });
});

describe('logical messages', () => {
  beforeEach(() => {
    bench.sink.prefixes = ['outbox'];
  });

  it('of a transaction settle with its commit', () => {
    connection.send(0x100n, begin(0x200n, 733)).send(0x100n, logicalMessage(true, 0x100n, 'outbox', 'hello'));
    expect(bench.sink.messages[0]).toMatchObject({ prefix: 'outbox', text: 'hello', lsn: '0/200', xid: 733 });
    expect(bench.sink.units).toEqual([]);
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink.commits).toHaveLength(1);
    bench.sink.settleAll();
    expect(connection.tracker.confirmable).toBe(0x230n);
  });

  it('outside of a transaction are units of their own, at their own LSN', () => {
    connection.send(0x150n, logicalMessage(false, 0x150n, 'outbox', 'hello'));
    expect(bench.sink.messages[0]).toMatchObject({ lsn: '0/150', xid: null, commitTimestamp: null });
    expect(connection.tracker).toMatchObject({ confirmable: 0n, unsettled: 1 });
    expect(bench.received).toEqual([0x150n]);
    bench.sink.settleAll();
    expect(connection.tracker).toMatchObject({ confirmable: 0x150n, unsettled: 0 });
  });

  it('of a prefix that nobody wants hold nothing back', () => {
    connection.send(0x150n, logicalMessage(false, 0x150n, 'other', ''));
    expect(connection.tracker.confirmable).toBe(0x150n);
    connection.send(0x160n, begin(0x200n)).send(0x160n, logicalMessage(true, 0x160n, 'other', ''));
    connection.send(0x200n, commit(0x200n, 0x230n));
    expect(bench.sink).toMatchObject({ messages: [], commits: [] });
    expect(connection.tracker.confirmable).toBe(0x230n);
  });
});

describe('messages out of place are DecodeErrors, and nothing is handed over:', () => {
  const row = insert(1, ['1']);

  it.each([
    ['a row before any Begin', [ORDERS, row], 'Insert'],
    ['an update before any Begin', [ORDERS, update(1, ['1'])], 'Update'],
    ['a delete before any Begin', [ORDERS, deletion(1, 'K', ['1'])], 'Delete'],
    ['a truncate before any Begin', [ORDERS, truncation([1])], 'Truncate'],
    ['a row behind a Commit', [ORDERS, begin(0x200n), commit(0x200n, 0x230n), row], 'Insert'],
    ['a Commit without a Begin', [commit(0x200n, 0x230n)], 'Commit'],
    ['a Commit of another transaction', [begin(0x200n), commit(0x208n, 0x230n)], 'Commit'],
    ['a Begin before the Commit', [begin(0x200n), begin(0x300n)], 'Begin'],
  ])('%s', (_name, messages, messageType) => {
    const send = () => messages.forEach((message) => connection.send(0x100n, message));
    expect(send).toThrow(DecodeError);
    expect(() => connection.send(0x100n, messages.at(-1)!)).toThrow(`Cannot decode ${messageType} message`);
    expect(bench.sink).toMatchObject({ changes: [], commits: [] });
  });

  it('a transactional message without a transaction', () => {
    bench.sink.prefixes = ['outbox'];
    expect(() => connection.send(0x100n, logicalMessage(true, 0x100n, 'outbox', ''))).toThrow(DecodeError);
  });

  it('a row behind the Commit of a transaction that had been settled before', () => {
    bench.progress.settledUpTo(0x230n);
    connection.send(0n, ORDERS).send(0x100n, begin(0x200n)).send(0x200n, commit(0x200n, 0x230n));
    expect(() => connection.send(0x300n, row)).toThrow(DecodeError);
  });

  it.each([
    ['Insert', row],
    ['Update', update(1, ['1'])],
    ['Delete', deletion(1, 'K', ['1'])],
    ['Truncate', truncation([1])],
  ])('a row that nobody wants, before any Begin: %s', (messageType, message) => {
    bench.sink.mask = 0;
    connection.send(0n, ORDERS);
    expect(() => connection.send(0x100n, message)).toThrow(DecodeError);
    expect(() => connection.send(0x100n, message)).toThrow(`Cannot decode ${messageType} message`);
  });
});
