import { types } from 'pg';
import { wholeByteaOnly } from './bytea-text.js';

/** Turns PostgreSQL's text form of a value into a JavaScript value, as node-postgres does for a query result. */
export type TextParser = (text: string) => unknown;

/** node-postgres' hook for parsers of one connection (`ClientConfig.types`). */
export interface CustomTypes {
  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown;
}

/** How one column's text is read. */
export interface ColumnParser {
  readonly parse: TextParser;
  /** The parser hands the text back unchanged: it need not be called. */
  readonly identity: boolean;
  /** The text is ASCII for certain, so that the cheaper slice is right. */
  readonly ascii: boolean;
}

/**
 * Types whose output is ASCII in every setting: bool, bytea, int8, int2, int4, oid, xid, float4, float8, date, time,
 * timestamp, timetz, interval, numeric, uuid, pg_lsn, inet, cidr, macaddr. Not timestamptz: under a DateStyle other
 * than ISO it ends in the name of the zone, and `TimeZone = '<Ä>-3'` makes one up.
 */
const ASCII_OIDS = new Set([
  16, 17, 20, 21, 23, 26, 28, 650, 700, 701, 829, 869, 1082, 1083, 1114, 1186, 1266, 1700, 2950, 3220,
]);

/** What node-postgres hands out for a type that nobody registered: the text as it is. */
const NO_PARSER = types.getTypeParser(0 as never, 'text') as unknown;

/**
 * The parser that the application's own node-postgres uses for `SELECT`, `types.setTypeParser` and the connection's
 * `types` included. Asked at the time of the Relation message, so that what the application sets at boot counts.
 */
export function columnParser(oid: number, custom?: CustomTypes): ColumnParser {
  const source = custom ?? (types as CustomTypes);
  const parse = source.getTypeParser(oid, 'text') as TextParser;
  const identity = (parse as unknown) === NO_PARSER;
  return { parse: identity ? parse : wholeByteaOnly(oid, parse), identity, ascii: ASCII_OIDS.has(oid) };
}

/** Whether a parser makes arrays of texts, as node-postgres' own for some types do, such as `numrange[]`. */
export function readsTextArrays(parse: TextParser): boolean {
  try {
    const found = parse('{"(1,2]",NULL,x}');
    return Array.isArray(found) && found.length === 3 && found[0] === '(1,2]' && found[1] === null && found[2] === 'x';
  } catch {
    return false;
  }
}
