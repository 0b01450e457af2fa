import type { ByteReader } from '../protocol/byte-reader.js';
import type { ColumnParser } from '../types/type-parsers.js';
import type { BinaryColumn } from './binary/column-reader.js';
import type { RelationColumn, Row } from './pgoutput-messages.js';

type ReadRow = (reader: ByteReader) => Row;

/** A function of more columns than this is too long for V8 to optimise well: it is made of parts then. */
const MOST_COLUMNS_AT_ONCE = 100;
const COLUMNS_OF_A_PART = 32;

/**
 * Generates a function that reads a full tuple of these columns into one object literal: a fixed hidden class, no
 * loop, no lookup by name, no view for a value. It expects nulls and values inside the message's bounds: as text, and
 * in the binary form where `binaries` has how to read them; for anything else it leaves the reader where the tuple began and calls `otherwise`.
 *
 * Column names enter the code only through JSON.stringify.
 *
 * @returns undefined where the process forbids code generation (`--disallow-code-generation-from-strings`)
 */
export function compileRowReader(
  columns: readonly RelationColumn[],
  parsers: readonly ColumnParser[],
  otherwise: ReadRow,
  binaries?: readonly BinaryColumn[],
): ReadRow | undefined {
  const isWide = columns.length > MOST_COLUMNS_AT_ONCE;
  const code = (isWide ? codeInParts : codeAtOnce)(columns, parsers, binaries);
  try {
    // eslint-disable-next-line no-new-func
    const make = new Function('parsers', 'binaries', 'otherwise', `"use strict";\n${code}`) as (
      parsers: readonly ColumnParser['parse'][],
      binaries: readonly BinaryColumn['read'][] | undefined,
      otherwise: ReadRow,
    ) => ReadRow;
    return make(
      parsers.map((parser) => parser.parse),
      binaries?.map((binary) => binary.read),
      otherwise,
    );
  } catch (error) {
    // By name: under Jest it is an EvalError of another context.
    if ((error as Error | undefined)?.name === 'EvalError') return undefined;
    throw error;
  }
}

function codeAtOnce(
  columns: readonly RelationColumn[],
  parsers: readonly ColumnParser[],
  binaries: readonly BinaryColumn[] | undefined,
): string {
  const giveUp = 'return otherwise(reader);';
  const variable = (index: number): string => `c${index}`;
  const body = [
    'let length = 0;',
    columns.length === 0 ? '' : `let ${columns.map((_, index) => `${variable(index)} = null`).join(', ')};`,
    ...parsers.map((parser, index) => readColumn(parser, binaries?.[index], index, variable(index), giveUp)),
  ];
  return readRow(columns, body, variable);
}

function codeInParts(
  columns: readonly RelationColumn[],
  parsers: readonly ColumnParser[],
  binaries: readonly BinaryColumn[] | undefined,
): string {
  const parts: string[] = [];
  const body = [`const values = new Array(${columns.length}).fill(null);`];
  for (let first = 0; first < parsers.length; first += COLUMNS_OF_A_PART) {
    const mine = parsers.slice(first, first + COLUMNS_OF_A_PART);
    const reads = mine.map((parser, at) => {
      const index = first + at;
      return readColumn(parser, binaries?.[index], index, `values[${index}]`, 'return -1;');
    });
    parts.push(`function part${first}(b, p, end, values) {\nlet length = 0;${reads.join('')}\nreturn p;\n}`);
    body.push(`p = part${first}(b, p, end, values);`, 'if (p < 0) return otherwise(reader);');
  }
  return [...parts, readRow(columns, body, (index) => `values[${index}]`)].join('\n');
}

function readRow(
  columns: readonly RelationColumn[],
  body: readonly string[],
  value: (index: number) => string,
): string {
  return [
    'return function readRow(reader) {',
    'const b = reader.buffer, end = reader.end;',
    'let p = reader.position;',
    `if (p + 2 > end || ((b[p] << 8) | b[p + 1]) !== ${columns.length}) return otherwise(reader);`,
    'p += 2;',
    ...body,
    'reader.position = p;',
    `return { ${columns.map((column, index) => `${keyOf(column)}: ${value(index)}`).join(', ')} };`,
    '};',
  ].join('\n');
}

/** A plain key: V8 takes half a minute to optimise a literal of 150 computed ones. But `__proto__` would be no column. */
function keyOf({ name }: RelationColumn): string {
  const key = JSON.stringify(name);
  return name === '__proto__' ? `[${key}]` : key;
}

/** A parser that throws is left to `otherwise`, which runs it again and says which column it was. */
function readColumn(
  parser: ColumnParser,
  binary: BinaryColumn | undefined,
  index: number,
  target: string,
  giveUp: string,
): string {
  const slice = `b.${parser.ascii ? 'latin1Slice' : 'utf8Slice'}(p, p + length)`;
  const assign = parser.identity
    ? `${target} = ${slice};`
    : `try { ${target} = parsers[${index}](${slice}); } catch { ${giveUp} }`;
  return `
  if (p >= end) ${giveUp}
  switch (b[p++]) {${binary === undefined ? '' : readBinary(binary, index, target, giveUp)}
    case 0x74:${readLength(giveUp)}
      ${assign}
      p += length;
      break;
    case 0x6e: break;
    default: ${giveUp}
  }`;
}

function readBinary({ inline }: BinaryColumn, index: number, target: string, giveUp: string): string {
  const check = inline === undefined || inline.size < 0 ? '' : `if (length !== ${inline.size}) ${giveUp}\n`;
  const assign =
    inline === undefined
      ? `try { ${target} = binaries[${index}](b, p, p + length); } catch { ${giveUp} }`
      : `${target} = ${inline.code};`;
  return `
    case 0x62:${readLength(giveUp)}
      ${check}${assign}
      p += length;
      break;`;
}

function readLength(giveUp: string): string {
  return `
      if (p + 4 > end) ${giveUp}
      length = (b[p] << 24) | (b[p + 1] << 16) | (b[p + 2] << 8) | b[p + 3];
      p += 4;
      if (length < 0 || length > end - p) ${giveUp}`;
}
