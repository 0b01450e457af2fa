import { isDeepStrictEqual } from 'node:util';
import { canonicalTable, parseTableName } from '../changes/table-pattern.js';
import type { Change, Operation } from '../interfaces/change.interface.js';
import type { DrizzleTable } from '../interfaces/orm-table.interface.js';
import type { TableName, TableRef } from '../interfaces/table.interface.js';
import { drizzleTableName, isDrizzleTable } from '../tables/drizzle-table.js';
import type { HandlerRecord } from './handler-record.js';
import { errorText, valueText } from './value-text.js';

/** A table of an app: `orders` (= `public.orders`), `schema.table`, `table<Row>(name)`, or a Drizzle table; no pattern. */
export type AskedTable<App = string> = TableName<App> | TableRef<any> | DrizzleTable;

/** What `expect.any(Number)` and its like are, in Jest and in Vitest. */
export interface AsymmetricMatcher {
  asymmetricMatch(value: unknown): boolean;
}

/** Some columns, each with a value or something like `expect.any(Number)`; or something like `expect.objectContaining()`. */
export type ExpectedRow<Row> = { readonly [Column in keyof Row]?: Row[Column] | AsymmetricMatcher } | AsymmetricMatcher;

/** What is asked for: all conditions that are given hold together. */
export interface OutcomeQuery<Row = any> {
  /** A handler's id. */
  readonly handler?: string;
  readonly operation?: Operation;
  /** Columns of the row as it is now; those that are not named do not matter. */
  readonly record?: ExpectedRow<Row>;
  /** The same of the row as it was. */
  readonly oldRecord?: ExpectedRow<Row>;
  /** Of a logical message. */
  readonly prefix?: string;
  /** Which try of its handler, from 1. */
  readonly attempt?: number;
  /** A part of the message of what was thrown, or a pattern that it matches. */
  readonly error?: string | RegExp;
  /** Exactly so many. Default: one or more. */
  readonly times?: number;
}

type Fits = (record: HandlerRecord) => boolean;

/** @throws TablePatternError */
export function queryOf(table: AskedTable | undefined, query: OutcomeQuery = {}): Fits {
  const { handler, operation, record, oldRecord, prefix, attempt, error } = query;
  const name = table === undefined ? undefined : nameOf(table);
  const isOfChange = [operation, record, oldRecord].some((each) => each !== undefined);
  return (each) => {
    const { subject } = each;
    const of = tableOf(subject);
    const change = changeOf(subject);
    return (
      (name === undefined || of === name) &&
      (!isOfChange || change !== null) &&
      (operation === undefined || change?.operation === operation) &&
      (record === undefined || rowMatches(record, (change as { record?: unknown } | null)?.record)) &&
      (oldRecord === undefined || rowMatches(oldRecord, (change as { oldRecord?: unknown } | null)?.oldRecord)) &&
      (prefix === undefined || (subject as { prefix?: string }).prefix === prefix) &&
      (handler === undefined || each.handler === handler) &&
      (attempt === undefined || each.attempt === attempt) &&
      (error === undefined || errorMatches(error, each.error))
    );
  };
}

/** `insert of public.orders with record {"id":1}`. */
export function describeQuery(table: AskedTable | undefined, query: OutcomeQuery = {}): string {
  const { handler, operation, record, oldRecord, prefix, attempt, error } = query;
  const what = table === undefined ? undefined : nameOf(table);
  const parts = [
    operation === undefined
      ? (what ?? (prefix === undefined ? 'anything' : `message "${prefix}"`))
      : `${operation} of ${what ?? 'any table'}`,
    record && `with record ${valueText(record)}`,
    oldRecord && `with oldRecord ${valueText(oldRecord)}`,
    handler && `by ${handler}`,
    attempt === undefined ? undefined : attempt === 0 ? 'without a try' : `at attempt ${attempt}`,
    error === undefined ? undefined : `with the error ${String(error)}`,
  ];
  return parts.filter((part) => part !== undefined).join(' ');
}

/** Null: it is none of a row or a table. */
export function changeOf(subject: object): Change<any> | null {
  return 'operation' in subject ? (subject as Change<any>) : null;
}

/** Canonical; undefined: it has none. */
export function tableOf(subject: object): string | undefined {
  const { schema, table } = subject as { schema?: string; table?: string };
  return schema === undefined || table === undefined ? undefined : canonicalTable(schema, table);
}

/** Canonical. @throws TablePatternError */
export function nameOf(table: AskedTable): string {
  const parsed = parseTableName(plainNameOf(table));
  return canonicalTable(parsed.schema, parsed.table);
}

function plainNameOf(table: AskedTable): string {
  if (typeof table === 'string') return table;
  return isDrizzleTable(table) ? drizzleTableName(table) : table.name;
}

function rowMatches(expected: object, row: unknown): boolean {
  const { asymmetricMatch } = expected as { asymmetricMatch?: (value: unknown) => boolean };
  if (typeof asymmetricMatch === 'function') return asymmetricMatch.call(expected, row);
  if (row === null || typeof row !== 'object') return false;
  return Object.entries(expected).every(([column, value]) => {
    return Object.hasOwn(row, column) && valueMatches(value, (row as Record<string, unknown>)[column]);
  });
}

/** As equal as `toStrictEqual` wants it, but for what both test runners call asymmetric matchers. */
function valueMatches(expected: unknown, value: unknown): boolean {
  if (typeof expected !== 'object' || expected === null) return isDeepStrictEqual(expected, value);
  const { asymmetricMatch } = expected as { asymmetricMatch?: (value: unknown) => boolean };
  if (typeof asymmetricMatch === 'function') return asymmetricMatch.call(expected, value);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((each, index) => valueMatches(each, value[index]))
    );
  }
  if (Object.getPrototypeOf(expected) !== Object.prototype || typeof value !== 'object' || value === null) {
    return isDeepStrictEqual(expected, value);
  }
  const keys = Object.keys(expected);
  return keys.length === Object.keys(value).length && rowMatches(expected, value);
}

function errorMatches(expected: string | RegExp, error: unknown): boolean {
  if (error === undefined) return false;
  const text = errorText(error);
  // Not by `test`: of a pattern with the flag g, it goes on where the last one was found.
  return typeof expected === 'string' ? text.includes(expected) : text.search(expected) >= 0;
}
