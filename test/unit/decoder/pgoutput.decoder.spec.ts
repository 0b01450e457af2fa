import { describe, expect, it } from '@jest/globals';
import {
  begin,
  commit,
  deletion,
  insert,
  logicalMessage,
  origin,
  relation,
  SOME_TIME,
  truncation,
  typeMessage,
  update,
} from '../../support/pgoutput-encoder.js';
import { DecoderUnderTest } from './recording-visitor.js';

const TEXT = 25;
const ORDERS = {
  id: 16_400,
  schema: 'shop',
  table: 'orders',
  columns: [
    { name: 'id', isKey: true },
    { name: 'note', typeOid: TEXT },
  ],
};

function decoderOfOrders(replicaIdentity: 'd' | 'f' = 'd'): DecoderUnderTest {
  const decoder = new DecoderUnderTest();
  decoder.decode(relation({ ...ORDERS, replicaIdentity }));
  return decoder;
}

describe('transactions', () => {
  it('Begin gives the commit LSN, the commit time and the xid, the latter over all 32 bits', () => {
    expect(new DecoderUnderTest().decode(begin(0xf000_0001_8000_0002n, 4_294_967_295))).toEqual([
      'begin',
      { finalLsn: 0xf000_0001_8000_0002n, commitTimestamp: SOME_TIME, xid: 4_294_967_295 },
    ]);
  });

  it('Commit gives the commit LSN and the exact end of its record', () => {
    expect(new DecoderUnderTest().decode(commit(0x100n, 0x130n))).toEqual([
      'commit',
      { commitLsn: 0x100n, endLsn: 0x130n },
    ]);
  });

  it('Origin gives its name', () => {
    expect(new DecoderUnderTest().decode(origin('pg_16389', 99n))).toEqual(['origin', 'pg_16389']);
  });
});

describe('tables', () => {
  it('Relation gives everything that the server says of a table', () => {
    const decoder = new DecoderUnderTest();
    decoder.decode(relation({ ...ORDERS, id: 4_294_967_295, replicaIdentity: 'i' }));
    expect(decoder.visitor.relations[0]!.relation).toEqual({
      id: 4_294_967_295,
      schema: 'shop',
      table: 'orders',
      replicaIdentity: 'index',
      columns: [
        { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
        { name: 'note', typeOid: TEXT, typeModifier: -1, isKey: false },
      ],
    });
  });

  it.each([
    ['d', 'default'],
    ['n', 'nothing'],
    ['f', 'full'],
    ['i', 'index'],
  ] as const)('Relation names the replica identity %s %s', (letter, name) => {
    const decoder = new DecoderUnderTest();
    decoder.decode(relation({ ...ORDERS, replicaIdentity: letter }));
    expect(decoder.visitor.relations[0]!.relation.replicaIdentity).toBe(name);
  });

  it('an empty namespace stands for pg_catalog, in Relation and in Type', () => {
    const decoder = new DecoderUnderTest();
    expect(decoder.decode(relation({ ...ORDERS, schema: '' }))).toEqual(['relation', 'pg_catalog.orders']);
    decoder.decode(typeMessage(4_000_000_000, '', 'mood'));
    expect(decoder.oids.nameOf(4_000_000_000)).toBe('pg_catalog.mood');
  });

  it('Type is learnt and calls nobody', () => {
    const decoder = new DecoderUnderTest();
    decoder.decode(typeMessage(16_500, 'shop', 'mood'));
    expect(decoder.oids.nameOf(16_500)).toBe('shop.mood');
    expect(decoder.visitor.calls).toEqual([]);
  });

  it('a second Relation of one id replaces the first: the table was altered', () => {
    const decoder = decoderOfOrders();
    decoder.decode(relation({ ...ORDERS, columns: [{ name: 'id', isKey: true }] }));
    expect(decoder.decode(insert(ORDERS.id, ['1']))).toEqual(['insert', 'shop.orders', { id: 1 }]);
  });

  it('a table without columns has empty rows', () => {
    const decoder = new DecoderUnderTest();
    decoder.decode(relation({ ...ORDERS, columns: [] }));
    expect(decoder.decode(insert(ORDERS.id, []))).toEqual(['insert', 'shop.orders', {}]);
  });
});

describe('rows', () => {
  it('Insert gives the row', () => {
    expect(decoderOfOrders().decode(insert(ORDERS.id, ['7', 'größer']))).toEqual([
      'insert',
      'shop.orders',
      { id: 7, note: 'größer' },
    ]);
  });

  it('Update without an old tuple gives the row, no old row and no changed columns', () => {
    const call = decoderOfOrders().decode(update(ORDERS.id, ['7', null]));
    expect(call).toEqual(['update', 'shop.orders', { id: 7, note: null }, null, null, null, []]);
  });

  it('Update with a key tuple gives the old key only', () => {
    const old = { kind: 'K', cells: ['6', null] } as const;
    const call = decoderOfOrders().decode(update(ORDERS.id, ['7', 'x'], old));
    expect(call).toEqual(['update', 'shop.orders', { id: 7, note: 'x' }, { id: 6 }, 'key', null, []]);
  });

  it('Update with an old tuple gives the whole old row and the columns that changed', () => {
    const old = { kind: 'O', cells: ['7', 'old'] } as const;
    const call = decoderOfOrders('f').decode(update(ORDERS.id, ['7', 'new'], old));
    expect(call).toEqual([
      'update',
      'shop.orders',
      { id: 7, note: 'new' },
      { id: 7, note: 'old' },
      'full',
      ['note'],
      [],
    ]);
  });

  it('Delete with a key tuple gives the key only', () => {
    const call = decoderOfOrders().decode(deletion(ORDERS.id, 'K', ['7', null]));
    expect(call).toEqual(['delete', 'shop.orders', { id: 7 }, 'key']);
  });

  it('Delete with an old tuple gives the whole row', () => {
    const call = decoderOfOrders('f').decode(deletion(ORDERS.id, 'O', ['7', null]));
    expect(call).toEqual(['delete', 'shop.orders', { id: 7, note: null }, 'full']);
  });

  it.each([
    [0, false, false],
    [1, true, false],
    [2, false, true],
    [3, true, true],
  ])('Truncate of several tables comes as one call, flags %i', (flags, cascade, restartIdentity) => {
    const decoder = decoderOfOrders();
    decoder.decode(relation({ ...ORDERS, id: 9, table: 'items' }));
    const call = decoder.decode(truncation([9, ORDERS.id], flags));
    expect(call).toEqual(['truncate', ['shop.items', 'shop.orders'], cascade, restartIdentity]);
  });
});

describe('rows that nobody wants', () => {
  it.each([
    ['insert', 1, insert(ORDERS.id, ['7', 'x'])],
    ['update', 2, update(ORDERS.id, ['7', 'x'])],
    ['delete', 4, deletion(ORDERS.id, 'K', ['7', null])],
  ])('%s is passed by and not decoded, unless its bit is set', (operation, bit, message) => {
    const decoder = decoderOfOrders();
    const interest = decoder.visitor.relations[0]!.interest as { mask: number };
    interest.mask = 15 & ~bit;
    expect(decoder.decode(message)).toEqual(['passed', 'shop.orders', operation]);
    interest.mask = bit;
    expect(decoder.decode(message)![0]).toBe(operation);
  });
});

describe('logical messages', () => {
  it.each([true, false])('come with prefix, content and LSN, transactional %s', (transactional) => {
    const content = Buffer.from([0, 1, 2, 255]);
    expect(new DecoderUnderTest().decode(logicalMessage(transactional, 0x77n, 'outbox', content))).toEqual([
      'message',
      { transactional, lsn: 0x77n, prefix: 'outbox', content },
    ]);
  });

  it('may be empty', () => {
    expect(new DecoderUnderTest().decode(logicalMessage(true, 1n, '', ''))).toEqual([
      'message',
      { transactional: true, lsn: 1n, prefix: '', content: Buffer.alloc(0) },
    ]);
  });
});
