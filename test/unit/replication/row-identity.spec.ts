import { describe, expect, it } from '@jest/globals';
import { tableKey } from '#lib/changes/transaction.js';
import type { PrimaryKey } from '#lib/connection/primary-keys.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { Relation } from '#lib/decoder/pgoutput-messages.js';
import { CachedRelation } from '#lib/decoder/relation-cache.js';
import type { RoutedTable } from '#lib/interfaces/transaction-sink.interface.js';
import { routedTable } from '#lib/replication/row-identity.js';

/** Columns as a Relation message has them; those with a star are of the replica identity. */
function relationOf(replicaIdentity: Relation['replicaIdentity'], ...columns: string[]): Relation {
  return {
    id: 1,
    schema: 'public',
    table: 'orders',
    replicaIdentity,
    columns: columns.map((name) => ({
      name: name.replace('*', ''),
      typeOid: 23,
      typeModifier: -1,
      isKey: name.endsWith('*'),
    })),
  } as unknown as Relation;
}

function keysOf(relation: Relation, primaryKey: PrimaryKey | null): readonly string[] | null {
  return routed(relation, primaryKey).keyColumns;
}

function routed(relation: Relation, primaryKey: PrimaryKey | null, uneven = new Set<string>()): RoutedTable {
  const keys = new Map(primaryKey === null ? [] : [['public\0orders', primaryKey]]);
  return routedTable(
    new CachedRelation(relation, { oids: new OidDatabase(), isUneven: (each) => uneven.has(tableKey(each)) }),
    keys,
  );
}

const ID: PrimaryKey = { columns: ['id'], isExact: true };
const BOTH: PrimaryKey = { columns: ['shop', 'id'], isExact: true };

describe('what tells the rows of a table apart', () => {
  it.each<[string, Relation, PrimaryKey | null, readonly string[] | null]>([
    ['the primary key, under DEFAULT', relationOf('default', 'id*', 'total'), ID, ['id']],
    ['all of its columns, in its order', relationOf('default', 'id*', 'total', 'shop*'), BOTH, ['shop', 'id']],
    ['the primary key under FULL, where every column counts', relationOf('full', 'id*', 'total*'), ID, ['id']],
    ['the primary key in an index with more columns', relationOf('index', 'id*', 'code*', 'total'), ID, ['id']],
    ['the primary key without an identity: inserts only', relationOf('nothing', 'id', 'total'), ID, ['id']],
    ['the primary key that is younger than this part of the log', relationOf('default', 'id', 'total'), ID, ['id']],
    ['nothing, without a primary key', relationOf('full', 'id*', 'total*'), null, null],
    [
      'nothing, where equal keys may have different texts',
      relationOf('default', 'id*'),
      { ...ID, isExact: false },
      null,
    ],
    ['nothing, in an index without the primary key', relationOf('index', 'id', 'code*', 'total'), ID, null],
    ['nothing, in an index with half of it', relationOf('index', 'shop*', 'id', 'total'), BOTH, null],
    ['nothing, where a column of it is not published', relationOf('full', 'id*', 'total*'), BOTH, null],
    ['nothing, where the log has another key than the catalogue', relationOf('default', 'id', 'code*'), ID, null],
    ['nothing, where the log has a shorter key', relationOf('default', 'shop', 'id*'), BOTH, null],
    ['nothing, where the log has a longer key', relationOf('default', 'shop*', 'id*'), ID, null],
  ])('is %s', (_what, relation, primaryKey, expected) => {
    expect(keysOf(relation, primaryKey)).toEqual(expected);
  });

  it('is nothing, where partitions have another identity than the table', () => {
    const relation = relationOf('default', 'id*', 'total');
    expect(routed(relation, ID, new Set(['public\0orders'])).keyColumns).toBeNull();
    expect(routed(relation, ID, new Set(['billing\0orders'])).keyColumns).toEqual(['id']);
  });

  it('is asked of the table of that schema and name', () => {
    const relation = { ...relationOf('default', 'id*'), schema: 'billing' };
    expect(keysOf(relation, ID)).toBeNull();
  });
});

describe('the signature of a table', () => {
  const signatureOf = (relation: Relation, primaryKey: PrimaryKey | null = ID): string =>
    routed(relation, primaryKey).signature;
  const plain = relationOf('default', 'id*', 'total');

  it('is the same for the same description', () => {
    expect(signatureOf(relationOf('default', 'id*', 'total'))).toBe(signatureOf(plain));
  });

  it.each<[string, Relation, PrimaryKey | null]>([
    ['a column', relationOf('default', 'id*', 'total', 'more'), ID],
    ['a name', relationOf('default', 'id*', 'sum'), ID],
    ['the identity', relationOf('full', 'id*', 'total'), ID],
    ['a mark', relationOf('default', 'id*', 'total*'), ID],
    ['the primary key', plain, null],
    ['a type', { ...plain, columns: plain.columns.map((column) => ({ ...column, typeOid: 25 })) }, ID],
  ])('is another one with another one of %s', (_what, relation, primaryKey) => {
    expect(signatureOf(relation, primaryKey)).not.toBe(signatureOf(plain));
  });
});
