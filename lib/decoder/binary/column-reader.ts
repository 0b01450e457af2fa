import type { ColumnParser } from '../../types/type-parsers.js';
import type { OidDatabase } from '../oid-database.js';
import type { StreamTypes } from '../stream-types.js';
import { valueParser, type ValueParser } from '../value-parser.js';
import { TIMESTAMPTZ } from './built-in-types.js';
import { readFloat4, readFloat8 } from './float-text.js';
import { readBytea } from './identifiers.js';
import { readBool, readInt2, readInt4, readUint4 } from './numbers.js';
import { readsAsNodePostgres, type OwnParser } from './own-parsers.js';
import { readDate, readTimestamp, readTimestamptz, timestamptzText } from './times.js';
import { isAlwaysText, typeReader } from './type-readers.js';
import { readUtf8, type ReadBinary } from './value-reader.js';

/** Code that generated row readers hold instead of a call: of the value in `b` from `p` on, `length` bytes. */
interface Inline {
  readonly size: number;
  readonly code: string;
}

/** How one column's binary form is read. */
export interface BinaryColumn {
  readonly read: ReadBinary;
  /** A size of -1: any. */
  readonly inline: Inline | undefined;
}

/** Why a column's binary form cannot give what its text form gives. */
export interface BinaryRefusal {
  readonly type: string;
  readonly reason: string;
}

/** What node-postgres' own parsers make of a type, straight from its binary form. */
const VALUES: Readonly<Record<number, readonly [OwnParser, ReadBinary, Inline?]>> = {
  16: ['bool', readBool, { size: 1, code: 'b[p] !== 0' }],
  17: ['bytea', readBytea],
  21: ['integer', readInt2, { size: 2, code: '((b[p] << 24) >> 16) | b[p + 1]' }],
  23: ['integer', readInt4, { size: 4, code: '(b[p] << 24) | (b[p + 1] << 16) | (b[p + 2] << 8) | b[p + 3]' }],
  26: ['integer', readUint4],
  700: ['float', readFloat4],
  701: ['float', readFloat8, { size: 8, code: 'b.readDoubleBE(p)' }],
  1082: ['date', readDate],
  1114: ['date', readTimestamp],
};

const UTF8: Inline = { size: -1, code: 'b.utf8Slice(p, p + length)' };
const NONE: BinaryColumn = { read: missing, inline: undefined };

/**
 * How the binary form of a column is read to the very value that `parser` makes of its text. A parser of the
 * application's own is given the text that the server would have sent.
 *
 * Where that is not possible, `refusal` says why, and what is read is the best that there is: of an instant, the text
 * as a session in UTC writes it.
 */
export function binaryColumn(
  oid: number,
  parser: ValueParser,
  oids: OidDatabase,
): { column: BinaryColumn; refusal?: BinaryRefusal } {
  if (isAlwaysText(oid, oids)) return { column: NONE };
  const found = typeReader(oid, oids);
  const type = found?.name ?? oids.nameOf(oid) ?? `oid ${oid}`;
  if (found === undefined) return { column: NONE, refusal: { type, reason: 'its binary form is not known' } };
  const { text } = found;
  const reason = 'its text depends on the session';
  if (text === null) return { column: NONE, refusal: { type, reason } };
  const base = oids.baseTypeOid(oid);
  const value = valueColumn(base, parser);
  if (value !== undefined) return { column: value };
  const column = textColumn(text, parser);
  // What is made of an instant does not depend on the zone that it is written in; its text does.
  if (!found.isSessionBound || (!parser.identity && base !== TIMESTAMPTZ && parser.isZoneless())) return { column };
  return { column, refusal: { type, reason: parser.identity ? reason : `${reason}, and a type parser reads it` } };
}

/** Why values of this type cannot be had in the binary format; undefined: they can. */
export function binaryRefusal(oid: number, types: StreamTypes): BinaryRefusal | undefined {
  return binaryColumn(oid, valueParser(oid, types), types.oids).refusal;
}

/** In a log line. */
export function refusalText(table: string, column: string, { type, reason }: BinaryRefusal): string {
  return `${table}, column "${column}" of type ${type}: ${reason}`;
}

function valueColumn(base: number, { parse }: ColumnParser): BinaryColumn | undefined {
  if (base === TIMESTAMPTZ && readsAsNodePostgres('date', parse)) {
    return {
      read: (b, start, end) => readTimestamptz(b, start, end) ?? parse(timestamptzText(b, start, end)),
      inline: undefined,
    };
  }
  const entry = VALUES[base];
  if (entry === undefined || !readsAsNodePostgres(entry[0], parse)) return undefined;
  return { read: entry[1], inline: entry[2] };
}

function textColumn(text: ReadBinary<string>, { identity, parse }: ColumnParser): BinaryColumn {
  if (!identity) return { read: (b, start, end) => parse(text(b, start, end)), inline: undefined };
  return { read: text, inline: text === readUtf8 ? UTF8 : undefined };
}

function missing(): never {
  throw new TypeError('the binary form of its type is not known');
}
