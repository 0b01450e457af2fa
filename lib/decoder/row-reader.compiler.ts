import type { ByteReader } from '../protocol/byte-reader.js';
import type { ColumnParser } from '../types/type-parsers.js';
import type { RelationColumn, Row } from './pgoutput-messages.js';

type ReadRow = (reader: ByteReader) => Row;

/**
 * Generates a function that reads a full tuple of these columns into one object literal: a fixed hidden class, no
 * loop, no lookup by name, no view for a value. It expects nulls and text values inside the message's bounds; for
 * anything else it leaves the reader where the tuple began and calls `otherwise`.
 *
 * Column names enter the code only through JSON.stringify.
 *
 * @returns undefined where the process forbids code generation (`--disallow-code-generation-from-strings`)
 */
export function compileRowReader(
  columns: readonly RelationColumn[],
  parsers: readonly ColumnParser[],
  otherwise: ReadRow,
): ReadRow | undefined {
  const code = [
    '"use strict";',
    'return function readRow(reader) {',
    '  const b = reader.buffer, end = reader.end;',
    '  let p = reader.position, length = 0;',
    `  if (p + 2 > end || ((b[p] << 8) | b[p + 1]) !== ${columns.length}) return otherwise(reader);`,
    '  p += 2;',
    columns.length === 0 ? '' : `  let ${columns.map((_, index) => `c${index} = null`).join(', ')};`,
    ...parsers.map(readColumn),
    '  reader.position = p;',
    `  return { ${columns.map((column, index) => `[${JSON.stringify(column.name)}]: c${index}`).join(', ')} };`,
    '};',
  ].join('\n');
  try {
    // eslint-disable-next-line no-new-func
    const make = new Function('parsers', 'otherwise', code) as (
      parsers: readonly ColumnParser['parse'][],
      otherwise: ReadRow,
    ) => ReadRow;
    return make(
      parsers.map((parser) => parser.parse),
      otherwise,
    );
  } catch (error) {
    // By name: under Jest it is an EvalError of another context.
    if ((error as Error | undefined)?.name === 'EvalError') return undefined;
    throw error;
  }
}

/** A parser that throws is left to `otherwise`, which runs it again and says which column it was. */
function readColumn(parser: ColumnParser, index: number): string {
  const slice = `b.${parser.ascii ? 'latin1Slice' : 'utf8Slice'}(p, p + length)`;
  const assign = parser.identity
    ? `c${index} = ${slice};`
    : `try { c${index} = parsers[${index}](${slice}); } catch { return otherwise(reader); }`;
  return `
  if (p >= end) return otherwise(reader);
  switch (b[p++]) {
    case 0x74:
      if (p + 4 > end) return otherwise(reader);
      length = (b[p] << 24) | (b[p + 1] << 16) | (b[p + 2] << 8) | b[p + 3];
      p += 4;
      if (length < 0 || length > end - p) return otherwise(reader);
      ${assign}
      p += length;
      break;
    case 0x6e: break;
    default: return otherwise(reader);
  }`;
}
