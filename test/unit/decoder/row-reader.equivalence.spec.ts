import { spawnSync } from 'node:child_process';
import { types } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { compileRowReader } from '#lib/decoder/row-reader.compiler.js';
import { RowReader } from '#lib/decoder/row-reader.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { columnParser } from '#lib/types/type-parsers.js';
import { tuple, UNCHANGED_TOAST, type Cell } from '../../support/pgoutput-encoder.js';
import { packageRoot } from '../package-root.js';
import { columnOf, readerAt, relationOf, rowReaderOf } from './row-samples.js';

/** Names that a code generator or a plain assignment could stumble over. */
const AWKWARD_NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '"',
  "'",
  '`',
  '\\',
  '\\"',
  '\n',
  '\r\n',
  '\u2028',
  '\u2029',
  '${b}',
  '*/',
  '"]: 1, ["',
  'return',
  'c0',
  'p',
  '0',
  '10',
  '-1',
  ' ',
  'größe',
  '🐘',
];

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 40 }));
const name = fc.oneof(
  fc.constantFrom(...AWKWARD_NAMES),
  text.map((each) => each.replaceAll('\0', '_')).filter((each) => each !== ''),
);
const number = fc.integer().map(String);
const date = fc.date({ noInvalidDate: true, min: new Date(0) }).map((each) => each.toISOString().replace('T', ' '));
const valueOf: ReadonlyMap<number, fc.Arbitrary<string>> = new Map<number, fc.Arbitrary<string>>([
  [25, text],
  [1043, text],
  [16_999, text],
  [23, number],
  [20, number],
  [701, fc.double().map(String)],
  [16, fc.constantFrom('t', 'f')],
  [3802, fc.json()],
  [1184, date],
  [1007, fc.array(number).map((each) => `{${each.join(',')}}`)],
  [2950, fc.uuid()],
]);

interface Column {
  readonly name: string;
  readonly typeOid: number;
  readonly isKey: boolean;
  readonly cell: Cell;
}

const column = fc.constantFrom(...valueOf.keys()).chain((typeOid) =>
  fc.record({
    name,
    typeOid: fc.constant(typeOid),
    isKey: fc.boolean(),
    cell: fc.oneof(
      { weight: 6, arbitrary: valueOf.get(typeOid)! as fc.Arbitrary<Cell> },
      { weight: 2, arbitrary: fc.constant<Cell>(null) },
      { weight: 1, arbitrary: fc.constant<Cell>(UNCHANGED_TOAST) },
    ),
  }),
);
const table: fc.Arbitrary<Column[]> = fc.uniqueArray(column, { selector: (each) => each.name, maxLength: 12 });

/** So many columns that the generated code is made of parts. */
const wideTable = table.map((columns): Column[] => {
  const fillers = Array.from({ length: 110 }, (_, index) => ({
    name: `filler ${index}`,
    typeOid: 23,
    isKey: false,
    cell: '7',
  }));
  const taken = new Set(columns.map((each) => each.name));
  return [...fillers.filter((each) => !taken.has(each.name)), ...columns];
});

const TABLES = [
  { made: 'at once', tables: table, numRuns: 2_000 },
  { made: 'in parts', tables: wideTable, numRuns: 100 },
];

/** Two dates that are invalid are equal here. */
function comparable(value: unknown): unknown {
  return types.isDate(value) ? `Date ${value.getTime()}` : value;
}

/** Row, end and unchanged TOAST of one way to read, or the error's text. */
function outcome(columns: readonly Column[], bytes: Buffer, how: 'row' | 'interpret'): unknown {
  const rows = rowReaderOf(columns);
  const reader = readerAt(bytes);
  try {
    const row = rows[how](reader);
    return {
      keys: Object.keys(row),
      entries: Object.entries(row).map(([name, value]) => [name, comparable(value)]),
      prototype: Object.getPrototypeOf(row) === Object.prototype,
      remaining: reader.remaining,
      unchangedToast: rows.unchangedToast,
    };
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

describe('generated code and interpreter', () => {
  it.each(TABLES)(
    'read equal rows from equal bytes, whatever the columns are called and hold: $made',
    ({ tables, numRuns }) => {
      fc.assert(
        fc.property(tables, (columns) => {
          const bytes = tuple(columns.map(({ cell }) => cell));
          const row = outcome(columns, bytes, 'row');
          expect(row).toStrictEqual(outcome(columns, bytes, 'interpret'));
          const sent = columns.filter(({ cell }) => cell !== UNCHANGED_TOAST).map((each) => each.name);
          expect([...(row as { keys: string[] }).keys].sort()).toEqual(sent.sort());
        }),
        { numRuns },
      );
    },
  );

  it.each(TABLES)('fail with the same error on the same faulty bytes: $made', ({ tables, numRuns }) => {
    const fault = fc.record({ at: fc.nat(1_000), byte: fc.nat(255), cut: fc.nat(200) });
    fc.assert(
      fc.property(tables, fault, (columns, { at, byte, cut }) => {
        const whole = tuple(columns.map(({ cell }) => cell));
        const bytes = Buffer.from(whole.subarray(0, Math.max(0, whole.length - (cut < 100 ? 0 : cut - 100))));
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        expect(outcome(columns, bytes, 'row')).toStrictEqual(outcome(columns, bytes, 'interpret'));
      }),
      { numRuns },
    );
  });

  it.each(AWKWARD_NAMES)('make a plain property of a column called %j', (awkward) => {
    for (const how of ['row', 'interpret'] as const) {
      const row = rowReaderOf([{ name: awkward }, { name: 'other' }])[how](readerAt(['value', 'x']));
      expect(Object.getOwnPropertyDescriptor(row, awkward)).toEqual({
        value: 'value',
        writable: true,
        enumerable: true,
        configurable: true,
      });
      expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    }
  });

  it('read 1,600 columns, the most that a table can have', () => {
    const columns = Array.from({ length: 1_600 }, (_, index) => ({ name: `c${index}`, typeOid: 23 }));
    const row = rowReaderOf(columns).row(readerAt(columns.map((_, index) => String(index))));
    expect(Object.values(row)).toEqual(columns.map((_, index) => index));
  });
});

describe('generated code', () => {
  it('is what reads a row, wherever it may be generated', () => {
    class WithoutInterpreter extends RowReader {
      override interpret(): never {
        throw new Error('the interpreter was asked');
      }
    }
    const rows = new WithoutInterpreter(relationOf([{ name: 'a' }]), { oids: new OidDatabase() });
    expect(rows.row(readerAt(['x']))).toEqual({ a: 'x' });
    expect(() => rows.row(readerAt([UNCHANGED_TOAST]))).toThrow('the interpreter was asked');
  });

  it.each(TABLES)('needs no interpreter for nulls and text, and no copy of the buffer: $made', ({ tables }) => {
    fc.assert(
      fc.property(tables, (columns) => {
        const cells = columns.map(({ cell }) => (cell === UNCHANGED_TOAST ? null : cell));
        const parsers = columns.map(({ typeOid }) => columnParser(typeOid));
        const readRow = compileRowReader(columns.map(columnOf), parsers, () => {
          throw new Error('the interpreter was asked');
        })!;
        const reader = readerAt(cells);
        expect(Object.keys(readRow(reader))).toHaveLength(columns.length);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it.each([1, 200])('leaves the reader where the tuple began when it gives up, after %i columns', (count) => {
    const names = [...Array(count).keys(), count].map((index) => ({ name: `column ${index}` }));
    const columns = names.map(columnOf);
    const parsers = columns.map(({ typeOid }) => columnParser(typeOid));
    const reader = readerAt([...Array<string>(count).fill('x'), UNCHANGED_TOAST]);
    const begin = reader.position;
    let seenAt = -1;
    const readRow = compileRowReader(columns, parsers, ({ position }) => {
      seenAt = position;
      return {};
    })!;
    readRow(reader);
    expect(seenAt).toBe(begin);
  });

  it('is optimised in good time also for a wide table: no compiler holds the end of the process up', () => {
    const script = `
      import { compileRowReader } from '#lib/decoder/row-reader.compiler.js';
      const columns = Array.from({ length: 160 }, (_, index) => ({ name: 'column' + index }));
      const parsers = columns.map(() => ({ parse: Number, identity: false, ascii: true }));
      const read = compileRowReader(columns, parsers, () => process.exit(1));
      const cell = Buffer.from([0x74, 0, 0, 0, 2, 0x34, 0x32]);
      const buffer = Buffer.concat([Buffer.from([0, 160]), ...columns.map(() => cell)]);
      for (let row = 0; row < 50_000; row++) read({ buffer, end: buffer.length, position: 0 });`;
    // It takes two seconds; with a literal of computed keys it took more than 40. Of the processor's time: what a busy
    // machine lets it wait is none of its own.
    const limited = ['-c', 'ulimit -t 20; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script];
    const ended = spawnSync('/bin/sh', limited, { cwd: packageRoot(), timeout: 300_000 });
    expect({ status: ended.status, signal: ended.signal, stderr: String(ended.stderr) }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    });
  });
});
