import { describe, expect, it } from '@jest/globals';
import { columnType, literal, type DatabaseType } from '#lib/cli/types/column-types.js';
import { declarationOf } from '#lib/cli/types/declaration.js';
import { richColumnType } from '#lib/cli/types/rich-column-types.js';
import type { MadeType } from '#lib/protocol/made-type.js';
import pg from 'pg';

const column = (name: string, typeOid: number, isNullable = false) => ({
  name,
  typeOid,
  isNullable,
  isGenerated: false,
  isToastable: typeOid === 25,
});
const types = new Map<number, DatabaseType>([
  [100, { oid: 100, kind: 'd', base: 101, labels: [] }],
  [101, { oid: 101, kind: 'd', base: 20, labels: [] }],
  [102, { oid: 102, kind: 'e', base: 0, labels: ['a', "b'\\\n"] }],
  [103, { oid: 103, kind: 'e', base: 0, labels: [] }],
]);
const typeOf = (oid: number) => columnType(oid, types);

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

describe("the TypeScript of a column with types: 'rich'", () => {
  const made = new Map<number, MadeType>([
    [100, { kind: 'domain', of: 101 }],
    [102, { kind: 'enum' }],
    [200, { kind: 'array', of: 102 }],
    [
      201,
      {
        kind: 'composite',
        attributes: [{ name: 'a', oid: 100 }, null, { name: 'of what', oid: 200 }, { name: 'doc', oid: 114 }],
      },
    ],
    [202, { kind: 'array', of: 201 }],
    [203, { kind: 'base', name: 'hstore', send: null }],
    [204, { kind: 'base', name: 'citext', send: 'textsend' }],
    [205, { kind: 'range', of: 1186 }],
    [206, { kind: 'multirange', of: 205 }],
    [207, { kind: 'composite', attributes: [null] }],
  ]);
  const enumText = `'a' | 'b\\'\\\\\\n'`;
  const pair = `{ a: string | null; 'of what': (${enumText} | null)[] | null; doc: unknown }`;

  it.each([
    [23, 'number'],
    [1007, '(number | null)[]'],
    [3904, 'PgRange<number>'],
    [3912, 'PgRange<Date>'],
    [3907, '(PgRange<string> | null)[]'],
    [4535, 'PgRange<Date>[]'],
    [100, 'string'],
    [102, enumText],
    [200, `(${enumText} | null)[]`],
    [201, pair],
    [202, `(${pair} | null)[]`],
    [203, 'Record<string, string | null>'],
    [204, 'string'],
    [206, 'PgRange<PgInterval>[]'],
    [207, '{}'],
    [99_999, 'string'],
  ])('of the type %d is %s', (oid, text) => {
    expect(richColumnType(oid, types, made).text).toBe(text);
  });

  it('says which names it needs', () => {
    const columns = [column('nights', 206), column('note', 25)];
    const options = { typeOf: (oid: number) => richColumnType(oid, types, made), marksToast: true };
    const text = declarationOf([{ schema: 'public', table: 'x', columns }], options);
    expect(text).toContain(`import type { PgRange, Toastable } from 'nestjs-pg-listener';\n\n/** What`);
    expect(text).toContain('note: Toastable<string>;');
    expect(declarationOf([{ schema: 'public', table: 'x', columns }], { typeOf })).not.toContain('Toastable');
  });
});

describe('the module of the tables', () => {
  it('quotes what is no name, and writes the interval where there is one', () => {
    const tables = [
      { schema: 'public', table: 'orders', columns: [column('id', 23), column('took', 1186, true), column('a b', 25)] },
      { schema: 'public', table: 'a.b', columns: [column('__proto__', 114, true)] },
      { schema: 'Sales', table: 'x', columns: [] },
    ];
    const text = declarationOf(tables, { typeOf });
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
    expect(declarationOf([tables[2]!], { typeOf })).not.toContain('PgInterval');
  });

  it('writes a text so that it is the same text', () => {
    for (const text of [`it's "x"`, '\\', '\u2028\n\u0000', '']) {
      expect(new Function(`return ${literal(text)}`)()).toBe(text);
    }
  });
});
