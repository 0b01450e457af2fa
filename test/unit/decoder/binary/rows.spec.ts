import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { changedColumns, RowReader } from '#lib/decoder/row-reader.js';
import { DecodeError } from '#lib/errors/decode.error.js';
import { BinaryFormatError } from '#lib/errors/replication.error.js';
import { columnParser } from '#lib/types/type-parsers.js';
import { int32, tuple, UNCHANGED_TOAST, type Cell } from '../../../support/pgoutput-encoder.js';
import type { CapturedType } from '../../../support/values/capture-binary.js';
import { difference } from '../../../support/values/difference.js';
import { packageRoot } from '../../package-root.js';
import { readerAt, relationOf } from '../row-samples.js';

const FIXTURE = join(packageRoot(), 'test/fixtures/binary/values.json');
const CAPTURED = JSON.parse(readFileSync(FIXTURE, 'utf8')) as CapturedType[];
const MONEY = 790;
const INT4 = 23;
const TEXT = 25;
const TIMESTAMPTZ = 1184;
const CHAR = 18;

const binaryCell = (value: Buffer): Cell => ({ kind: 'b', value });

interface Column {
  readonly typeOid: number;
  readonly cell: Cell;
  /** Undefined: unchanged TOAST. */
  readonly expected: unknown;
}

/** A value as the server sends it in either format, and what node-postgres makes of its text. */
const column: fc.Arbitrary<Column> = fc.constantFrom(...CAPTURED).chain(({ oid, values }) =>
  fc.constantFrom(...values).chain(([hex, text]) =>
    fc.constantFrom(...(['b', 'b', 'b', 't', 'n', 'u'] as const)).map((kind): Column => {
      const expected = columnParser(oid).parse(text);
      if (kind === 'b') return { typeOid: oid, cell: binaryCell(Buffer.from(hex, 'hex')), expected };
      if (kind === 't') return { typeOid: oid, cell: text, expected };
      if (kind === 'n') return { typeOid: oid, cell: null, expected: null };
      return { typeOid: oid, cell: UNCHANGED_TOAST, expected: undefined };
    }),
  ),
);

const fillers = Array.from({ length: 110 }, (): Column => ({ typeOid: INT4, cell: binaryCell(int32(7)), expected: 7 }));
const TABLES = [
  { made: 'at once', tables: fc.array(column, { maxLength: 12 }), numRuns: 1_000 },
  { made: 'in parts', tables: fc.array(column, { maxLength: 12 }).map((few) => fillers.concat(few)), numRuns: 50 },
];

function rowsOf(columns: readonly { readonly typeOid: number }[]): RowReader {
  const named = columns.map(({ typeOid }, index) => ({ name: `c${index}`, typeOid }));
  return new RowReader(relationOf(named), { oids: new OidDatabase(), format: 'binary' });
}

function cellsOf(columns: readonly Column[]): Cell[] {
  return columns.map((each): Cell => each.cell as Cell);
}

/** Row and end of one way to read, or the error's text. */
function outcome(columns: readonly Column[], bytes: Buffer, how: 'row' | 'interpret'): unknown {
  const reader = readerAt(bytes);
  try {
    return { row: rowsOf(columns)[how](reader), remaining: reader.remaining };
  } catch (error) {
    if (error instanceof DecodeError || error instanceof BinaryFormatError) return error.message;
    throw error;
  }
}

describe('a row in the binary format', () => {
  it.each(TABLES)('has the values of its text, in either format and by either reader: $made', ({ tables, numRuns }) => {
    fc.assert(
      fc.property(tables, (columns) => {
        const sent = columns.flatMap(({ expected }, index) =>
          expected === undefined ? [] : [[`c${index}`, expected]],
        );
        for (const how of ['row', 'interpret'] as const) {
          const row = rowsOf(columns)[how](readerAt(cellsOf(columns)));
          expect(difference(row, Object.fromEntries(sent) as object)).toBeUndefined();
        }
      }),
      { numRuns },
    );
  });

  it.each(TABLES)('fails with the same error on the same faulty bytes: $made', ({ tables, numRuns }) => {
    const fault = fc.record({ at: fc.nat(1_000), byte: fc.nat(255), cut: fc.nat(200) });
    fc.assert(
      fc.property(tables, fault, (columns, { at, byte, cut }) => {
        const whole = tuple(cellsOf(columns));
        const bytes = Buffer.from(whole.subarray(0, Math.max(0, whole.length - (cut < 100 ? 0 : cut - 100))));
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        const found = difference(outcome(columns, bytes, 'row'), outcome(columns, bytes, 'interpret'));
        expect(found).toBeUndefined();
      }),
      { numRuns },
    );
  });

  it('needs no interpreter for nulls, text and binary values', () => {
    class WithoutInterpreter extends RowReader {
      override interpret(): never {
        throw new Error('the interpreter was asked');
      }
    }
    const columns = [INT4, TEXT, TIMESTAMPTZ].map((typeOid, index) => ({ name: `c${index}`, typeOid }));
    const rows = new WithoutInterpreter(relationOf(columns), { oids: new OidDatabase(), format: 'binary' });
    const cells: Cell[] = [binaryCell(int32(-7)), 'as text', null];
    expect(rows.row(readerAt(cells))).toEqual({ c0: -7, c1: 'as text', c2: null });
  });

  it('is refused with its column where a value would not be what its text gives', () => {
    const refused = (): RowReader => rowsOf([{ typeOid: INT4 }, { typeOid: MONEY }]);
    expect(refused).toThrow(BinaryFormatError);
    expect(refused).toThrow('public.things, column "c1" of type money: its text depends on the session');
  });

  it('says so where only a value shows it', () => {
    const cells: Cell[] = [binaryCell(Buffer.from([0xc3]))];
    expect(() => rowsOf([{ typeOid: CHAR }]).row(readerAt(cells))).toThrow(BinaryFormatError);
  });

  it('never shows a value that cannot be read', () => {
    const secret = Buffer.from('secret!');
    const read = (): unknown => rowsOf([{ typeOid: INT4 }]).row(readerAt([binaryCell(secret)]));
    expect(read).toThrow(/column "c0" \(oid 23\) in the binary format cannot be read/);
    expect(read).not.toThrow(/secret/);
  });

  it('that was kept is read by a reader of text too', () => {
    const rows = new RowReader(relationOf([{ name: 'a', typeOid: INT4 }, { name: 'b' }]), { oids: new OidDatabase() });
    expect(rows.row(readerAt([binaryCell(int32(42)), 'x']))).toEqual({ a: 42, b: 'x' });
  });
});

describe('changedColumns, of binary values', () => {
  it('compares what was sent', () => {
    const relation = relationOf(['a', 'b', 'c', 'd'].map((name) => ({ name, typeOid: INT4 })));
    const before = tuple([binaryCell(int32(1)), binaryCell(int32(2)), null, 'text']);
    const after = tuple([binaryCell(int32(1)), binaryCell(int32(3)), binaryCell(int32(0)), UNCHANGED_TOAST]);
    const buffer = Buffer.concat([before, after]);
    expect(changedColumns(relation, buffer, 0, before.length)).toEqual(['b', 'c']);
  });
});
