import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalSelector, canonicalTable, parseTableName, TablePattern } from '#lib/changes/table-pattern.js';
import { TablePatternError } from '#lib/errors/handler.error.js';

/** Whether a pattern takes a table, written as schema and table apart by a slash. */
function takes(patterns: string | string[], name: string): boolean {
  const [schema, table] = name.split('/') as [string, string];
  return new TablePattern([patterns].flat()).matches(schema, table);
}

const TAKEN: readonly (readonly [string, string])[] = [
  ['orders', 'public/orders'],
  ['public.orders', 'public/orders'],
  ['shop.orders', 'shop/orders'],
  ['shop.*', 'shop/orders'],
  ['shop.*', 'shop/order.items'],
  ['*', 'public/orders'],
  ['*', 'any/thing'],
  ['*.*', 'any/thing'],
  ['*.orders', 'any/orders'],
  ['order*', 'public/orders'],
  ['order*', 'public/order'],
  ['*_log', 'public/audit_log'],
  ['tenant_*.orders', 'tenant_7/orders'],
  ['a*c*e', 'public/abcde'],
  ['Orders', 'public/Orders'],
  ['größe.été', 'größe/été'],
  ['注文', 'public/注文'],
  ['order items', 'public/order items'],
  ['"orders"', 'public/orders'],
  ['"a.b"', 'public/a.b'],
  ['"a.b"."c.d"', 'a.b/c.d'],
  ['shop."a""b"', 'shop/a"b'],
  ['"*"', 'public/*'],
  ['"!x"', 'public/!x'],
  ['a$b', 'public/a$b'],
  ['line\nbreak', 'public/line\nbreak'],
  ['line*', 'public/line\nbreak'],
];
const LEFT: readonly (readonly [string, string])[] = [
  ['orders', 'shop/orders'],
  ['orders', 'public/orders2'],
  ['orders', 'public/Orders'],
  ['ORDERS', 'public/orders'],
  ['shop.orders', 'public/orders'],
  ['shop.*', 'shopping/orders'],
  ['*.orders', 'any/items'],
  ['order*', 'shop/orders'],
  ['order*', 'public/reorder'],
  ['a$*', 'public/ab'],
  ['a(*', 'public/ab'],
  ['a+*', 'public/aab'],
  ['"*"', 'public/orders'],
  ['"order*"', 'public/orders'],
  ['"shop.orders"', 'shop/orders'],
];

describe('a table pattern', () => {
  it.each(TAKEN)('%j takes %j', (pattern, name) => expect(takes(pattern, name)).toBe(true));
  it.each(LEFT)('%j leaves %j', (pattern, name) => expect(takes(pattern, name)).toBe(false));

  it('takes a table that any of several takes', () => {
    expect(takes(['orders', 'shop.*'], 'public/orders')).toBe(true);
    expect(takes(['orders', 'shop.*'], 'shop/x')).toBe(true);
    expect(takes(['orders', 'shop.*'], 'other/x')).toBe(false);
  });

  it.each([
    [['*', '!audit_log']],
    [['!audit_log', '*']],
    [['audit_log', '!audit_log', '*']],
    [['*', '!"audit_log"']],
    [['*', '!audit_*']],
  ])('excludes, wherever the exclusion stands: %j', (patterns) => {
    expect(takes(patterns, 'public/audit_log')).toBe(false);
    expect(takes(patterns, 'public/orders')).toBe(true);
    expect(takes(patterns, 'shop/audit_log')).toBe(true);
  });

  it('excludes a whole schema', () => {
    expect(takes(['*', '!shop.*'], 'shop/orders')).toBe(false);
    expect(takes(['*', '!shop.*'], 'public/orders')).toBe(true);
  });

  it.each([[[]], [['!orders']], [['!*', '!shop.*']]])('that only excludes is an error: %j', (patterns) => {
    expect(() => new TablePattern(patterns)).toThrow(TablePatternError);
    expect(() => new TablePattern(patterns)).toThrow('needs a table or *');
  });

  it.each(['', '!', '.', 'a.', '.a', 'a.b.c', '"', '"a', 'a"b', '""', '"a"b', 'a."b', '!!a"'])(
    'that cannot be read is an error which shows it: %j',
    (pattern) => {
      expect(() => new TablePattern([pattern, '*'])).toThrow(TablePatternError);
      expect(() => new TablePattern([pattern, '*'])).toThrow(JSON.stringify(pattern));
    },
  );

  it('says of an empty one that it is empty', () => {
    for (const pattern of ['', '!']) expect(() => new TablePattern([pattern, '*'])).toThrow('is empty');
    expect(() => new TablePattern(['a.b.c', '*'])).toThrow('cannot be read');
  });

  it('knows which tables are named outright, and so must exist', () => {
    const { namedTables } = new TablePattern(['orders', 'shop."a.b"', 'x*', 's.*', '*', '!hidden']);
    expect(namedTables.map(({ schema, table }) => [schema, table])).toEqual([
      ['public', 'orders'],
      ['shop', 'a.b'],
    ]);
  });
});

describe('a table name', () => {
  const identifier = fc.oneof(
    fc.constantFrom('a.b', '*', '!x', '"', 'a"b', '"q"', ' ', 'größe', 'A', '.', 'x*y'),
    fc.string({ unit: 'grapheme', minLength: 1 }).filter((each) => !each.includes('\0')),
  );

  it('survives the way to its canonical text and back, whatever the catalogue calls the table', () => {
    fc.assert(
      fc.property(identifier, identifier, (schema, table) => {
        const canonical = canonicalTable(schema, table);
        expect(parseTableName(canonical)).toEqual({ schema, table });
        expect(canonicalSelector(canonical)).toBe(canonical);
        expect(new TablePattern([canonical]).matches(schema, table)).toBe(true);
        expect(new TablePattern([canonical]).matches(schema, `${table}x`)).toBe(false);
      }),
    );
  });

  it('has one canonical text, however it is written', () => {
    for (const text of ['orders', 'public.orders', '"orders"', 'public."orders"', '"public"."orders"']) {
      expect(canonicalSelector(text)).toBe('public.orders');
    }
    expect(canonicalSelector('"a.b"')).toBe('public."a.b"');
  });

  it('that is a pattern stays as it is as a selector, and is refused where one table is wanted', () => {
    for (const text of ['*', 'shop.*', '!orders', 'order*']) {
      expect(canonicalSelector(text)).toBe(text);
      expect(() => parseTableName(text)).toThrow('is a pattern where one table is wanted');
    }
  });
});
