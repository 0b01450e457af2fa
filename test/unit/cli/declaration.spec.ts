import { describe, expect, it } from '@jest/globals';
import { columnType, literal, type DatabaseType } from '#lib/cli/types/column-types.js';
import { declarationOf } from '#lib/cli/types/declaration.js';
import pg from 'pg';

const column = (name: string, typeOid: number, isNullable = false) => ({
  name,
  typeOid,
  isNullable,
  isGenerated: false,
});
const types = new Map<number, DatabaseType>([
  [100, { oid: 100, kind: 'd', base: 101, labels: [] }],
  [101, { oid: 101, kind: 'd', base: 20, labels: [] }],
  [102, { oid: 102, kind: 'e', base: 0, labels: ['a', "b'\\\n"] }],
  [103, { oid: 103, kind: 'e', base: 0, labels: [] }],
]);

describe('the TypeScript of a column', () => {
  it.each([
    [23, 'number'],
    [20, 'string'],
    [100, 'string'],
    [1700, 'string'],
    [1231, '(number | null)[]'],
    [3807, 'unknown[]'],
    [102, `'a' | 'b\\'\\\\\\n'`],
    [103, 'string'],
    [99_999, 'string'],
  ])('of the type %d is %s', (oid, text) => {
    expect(columnType(oid, types).text).toBe(text);
  });

  it('knows every type that node-postgres parses, and no other', () => {
    const asIs = pg.types.getTypeParser(0 as never, 'text');
    const parsed = Array.from({ length: 10_000 }, (_, oid) => oid).filter(
      (oid) => oid > 0 && pg.types.getTypeParser(oid, 'text') !== asIs,
    );
    // int8 is given as text, by a parser of its own.
    expect(parsed.filter((oid) => columnType(oid, new Map()).text === 'string')).toEqual([20]);
    const all = new Set(parsed);
    const others = Array.from({ length: 10_000 }, (_, oid) => oid).filter((oid) => oid > 0 && !all.has(oid));
    expect(others.filter((oid) => columnType(oid, new Map()).text !== 'string')).toEqual([]);
  });
});

describe('the module of the tables', () => {
  it('quotes what is no name, and writes the interval where there is one', () => {
    const tables = [
      { schema: 'public', table: 'orders', columns: [column('id', 23), column('took', 1186, true), column('a b', 25)] },
      { schema: 'public', table: 'a.b', columns: [column('__proto__', 114, true)] },
      { schema: 'Sales', table: 'x', columns: [] },
    ];
    const text = declarationOf(tables, types, 'default');
    expect(text).toContain('interface PgInterval {');
    expect(text).toContain(`    orders: {
      id: number;
      took: PgInterval | null;
      'a b': string;
    };
    '"a.b"': {
      __proto__: unknown;
    };
    'Sales.x': {};
  }`);
    expect(declarationOf([tables[2]!], types, 'default')).not.toContain('PgInterval');
  });

  it('writes a text so that it is the same text', () => {
    for (const text of [`it's "x"`, '\\', '\u2028\n\u0000', '']) {
      expect(new Function(`return ${literal(text)}`)()).toBe(text);
    }
  });
});
