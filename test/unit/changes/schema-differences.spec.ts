import { describe, expect, it } from '@jest/globals';
import { differencesOf } from '#lib/changes/schema-differences.js';
import type { ColumnShape, TableShape } from '#lib/interfaces/schema-change.interface.js';

/** `a:23` a column of type int4; `*a` of the key; `a:1043(5)` with a modifier. */
function shape(columns: string, more: Partial<TableShape> = {}): TableShape {
  return {
    oid: 1,
    schema: 'public',
    table: 't',
    replicaIdentity: 'default',
    columns: columns
      .split(' ')
      .filter((text) => text !== '')
      .map((text): ColumnShape => {
        const [, key, name, oid, modifier] = /^(\*?)(\w+)(?::(\d+))?(?:\((\d+)\))?$/.exec(text)!;
        return {
          name: name!,
          typeOid: Number(oid ?? 23),
          typeName: null,
          typeModifier: Number(modifier ?? -1),
          isKey: key === '*',
        };
      }),
    ...more,
  };
}

const kinds = (before: TableShape, now: TableShape): unknown[] =>
  differencesOf(before, now).map((difference) => {
    switch (difference.kind) {
      case 'column-added':
      case 'column-removed':
        return `${difference.kind} ${difference.column.name}`;
      case 'column-renamed':
        return `${difference.kind} ${difference.from} ${difference.to} ${difference.isCertain}`;
      case 'column-type-changed':
        return `${difference.kind} ${difference.column}`;
      case 'key-changed':
      case 'columns-reordered':
        return `${difference.kind} ${difference.from.join()} ${difference.to.join()}`;
      default:
        return difference.kind;
    }
  });

describe('differencesOf', () => {
  it('finds none between two descriptions that say the same', () => {
    expect(differencesOf(shape('*a b:25'), shape('*a b:25'))).toEqual([]);
    expect(differencesOf(shape(''), shape(''))).toEqual([]);
  });

  it('tells columns that are added and removed', () => {
    expect(kinds(shape('*a b'), shape('*a b c:25 d'))).toEqual(['column-added c', 'column-added d']);
    expect(kinds(shape('*a b c'), shape('*a'))).toEqual(['column-removed b', 'column-removed c']);
    expect(kinds(shape('*a b c'), shape('*a c d'))).toEqual(['column-removed b', 'column-added d']);
  });

  it('takes as many of the same types between the same neighbours for renamed, and is never certain', () => {
    expect(kinds(shape('*a b c'), shape('*a x c'))).toEqual(['column-renamed b x false']);
    expect(kinds(shape('*a b c:25 d'), shape('*a x y:25 d'))).toEqual([
      'column-renamed b x false',
      'column-renamed c y false',
    ]);
    expect(kinds(shape('*a b:25 c'), shape('*a x c'))).toEqual(['column-removed b', 'column-added x']);
    expect(kinds(shape('*a b:1043(5)'), shape('*a x:1043(6)'))).toEqual(['column-removed b', 'column-added x']);
    expect(kinds(shape('*a b'), shape('*a x y'))).toEqual(['column-removed b', 'column-added x', 'column-added y']);
  });

  it('tells another type or modifier', () => {
    expect(kinds(shape('*a b'), shape('*a b:20'))).toEqual(['column-type-changed b']);
    expect(kinds(shape('*a b:1043(5)'), shape('*a b:1043(9)'))).toEqual(['column-type-changed b']);
  });

  it('tells another key, but not where one of its columns has another name, or with FULL every column is of it', () => {
    expect(kinds(shape('*a b'), shape('a *b'))).toEqual(['key-changed a b']);
    expect(kinds(shape('*a *b'), shape('*a b'))).toEqual(['key-changed a,b a']);
    expect(kinds(shape('*a b'), shape('*id b'))).toEqual(['column-renamed a id false']);
    const full = { replicaIdentity: 'full' } as const;
    expect(kinds(shape('*a', full), shape('*a *b', full))).toEqual(['column-added b']);
    expect(kinds(shape('*a b'), shape('*a *b', full))).toEqual(['replica-identity-changed', 'key-changed a a,b']);
  });

  it('tells another order, and then guesses no names', () => {
    expect(kinds(shape('*a b c'), shape('*a c b'))).toEqual(['columns-reordered a,b,c a,c,b']);
    expect(kinds(shape('*a b c d'), shape('*a c b e'))).toEqual([
      'column-removed d',
      'column-added e',
      'columns-reordered a,b,c a,c,b',
    ]);
  });

  it('tells another table under the name, and another name of the table', () => {
    expect(differencesOf(shape('*a'), shape('*a', { oid: 2 }))).toEqual([{ kind: 'table-recreated', from: 1, to: 2 }]);
    expect(differencesOf(shape('*a'), shape('*a', { schema: 's', table: 'u' }))).toEqual([
      { kind: 'table-renamed', from: { schema: 'public', table: 't' }, to: { schema: 's', table: 'u' } },
    ]);
    const former = { schema: 'public', table: 't_new' };
    expect(differencesOf(shape('*a'), shape('*a', { oid: 2 }), former).map(({ kind }) => kind)).toEqual([
      'table-renamed',
      'table-recreated',
    ]);
  });
});
