import type { ByteReader } from '../protocol/byte-reader.js';
import { DecodeError } from '../errors/decode.error.js';
import { BinaryFormatError, OutdatedTypeError } from '../errors/replication.error.js';
import { UnfitValueError } from '../types/rich/part.js';
import { setOwn } from '../types/rich/own-property.js';
import { binaryColumn, refusalText, type BinaryColumn } from './binary/column-reader.js';
import type { Relation, RelationColumn, Row } from './pgoutput-messages.js';
import { compileRowReader } from './row-reader.compiler.js';
import type { StreamTypes } from './stream-types.js';
import { valueParser, type ValueParser } from './value-parser.js';

/** Kinds of a column in TupleData (manual, section 54.9). */
export const TupleKind = {
  Null: 0x6e, // n
  UnchangedToast: 0x75, // u
  Text: 0x74, // t
  Binary: 0x62, // b
} as const;

const NOTHING: readonly string[] = [];

export type ReadRow = (reader: ByteReader) => Row;

/**
 * Reads TupleData of one relation into rows of a fixed shape. `row` is generated code that knows the columns; the
 * interpreter beside it gives equal results, serves where code generation is forbidden, and takes over for whatever
 * the generated code does not expect (unchanged TOAST, malformed input), so that there is one place for errors.
 */
export class RowReader {
  /** Columns of the last row whose unchanged TOAST value the server did not send: absent from the row. */
  unchangedToast: readonly string[] = NOTHING;
  private readonly parsers: readonly ValueParser[];
  private readonly compiled: ReadRow | undefined;
  private binaries: readonly BinaryColumn[] | undefined;

  /** @throws BinaryFormatError where `format` is binary and a column's value would not be what its text gives */
  constructor(
    private readonly relation: Relation,
    private readonly types: StreamTypes,
  ) {
    this.parsers = relation.columns.map((column) => valueParser(column.typeOid, types));
    const otherwise: ReadRow = (reader) => this.interpret(reader);
    if (types.format === 'binary') this.binaries = this.binaryColumns(true);
    this.compiled = compileRowReader(relation.columns, this.parsers, otherwise, this.binaries);
  }

  /** A full tuple: every column, but for unchanged TOAST. */
  row(reader: ByteReader): Row {
    if (this.unchangedToast !== NOTHING) this.unchangedToast = NOTHING;
    return this.compiled === undefined ? this.interpret(reader) : this.compiled(reader);
  }

  /**
   * A key tuple ('K'): all columns travel, those outside of the replica identity as nulls that mean nothing. Those within
   * it are never null: where one is, a partition with another replica identity than the root's has logged the row.
   */
  key(reader: ByteReader): Row {
    return this.interpret(reader, true);
  }

  /** The same as the generated code, by a loop. */
  interpret(reader: ByteReader, keyOnly = false): Row {
    const { columns } = this.relation;
    const count = reader.int16();
    if (count !== columns.length) reader.fail(`${count} columns in a tuple of a relation with ${columns.length}`);
    const row: Row = {};
    let unchanged: string[] | undefined;
    for (let index = 0; index < count; index++) {
      const column = columns[index]!;
      const value = this.value(reader, column, index, keyOnly && !column.isKey);
      if (value === UNCHANGED) (unchanged ??= []).push(column.name);
      else if (!keyOnly || (column.isKey && value !== null)) setOwn(row, column.name, value);
    }
    if (!keyOnly) this.unchangedToast = unchanged ?? NOTHING;
    return row;
  }

  /** Of a column, from its text as it was read from the table. @throws DecodeError, OutdatedTypeError */
  valueOf(name: string, text: string): unknown {
    const index = this.relation.columns.findIndex((column) => column.name === name);
    const { identity, parse } = this.parsers[index]!;
    if (identity) return text;
    try {
      return parse(text);
    } catch (cause) {
      if (cause instanceof OutdatedTypeError) throw cause;
      throw new DecodeError(this.parserThrew(this.relation.columns[index]!), {
        messageType: 'reread',
        offset: 0,
        cause,
      });
    }
  }

  private value(reader: ByteReader, column: RelationColumn, index: number, skip: boolean): unknown {
    const kind = reader.uint8();
    if (kind === TupleKind.Null) return null;
    if (kind === TupleKind.UnchangedToast) return UNCHANGED;
    if (kind === TupleKind.Binary) return this.binaryValue(reader, column, index, skip);
    if (kind !== TupleKind.Text) reader.fail(`unknown kind of column value 0x${kind.toString(16)}`);
    const length = reader.int32();
    const from = reader.skip(length);
    if (skip) return null;
    const { buffer } = reader;
    const parser = this.parsers[index]!;
    const text = parser.ascii ? buffer.latin1Slice(from, from + length) : buffer.utf8Slice(from, from + length);
    if (parser.identity) return text;
    try {
      return parser.parse(text);
    } catch (cause) {
      if (cause instanceof OutdatedTypeError) throw cause;
      const { schema, table } = this.relation;
      if (cause instanceof UnfitValueError) unfit(reader, cause, `${schema}.${table}, column "${column.name}"`);
      return reader.fail(this.parserThrew(column), cause);
    }
  }

  /** What the parser says may show the value. */
  private parserThrew({ name, typeOid }: RelationColumn): string {
    const { schema, table } = this.relation;
    return `the type parser for oid ${typeOid} threw on a value of ${schema}.${table}, column "${name}"`;
  }

  private binaryValue(reader: ByteReader, column: RelationColumn, index: number, skip: boolean): unknown {
    const length = reader.int32();
    const from = reader.skip(length);
    if (skip) return null;
    // A change that was kept while the stream was in binary is read by whoever takes it up.
    this.binaries ??= this.binaryColumns(false);
    try {
      return this.binaries[index]!.read(reader.buffer, from, from + length);
    } catch (cause) {
      if (cause instanceof OutdatedTypeError) throw cause;
      const { schema, table } = this.relation;
      const where = `${schema}.${table}, column "${column.name}"`;
      if (cause instanceof BinaryFormatError && this.types.format === 'binary')
        throw new BinaryFormatError(`${where}: ${cause.message}`);
      if (cause instanceof UnfitValueError) unfit(reader, cause, where);
      return reader.fail(`a value of ${where} (oid ${column.typeOid}) in the binary format cannot be read`, cause);
    }
  }

  private binaryColumns(isStrict: boolean): BinaryColumn[] {
    const { schema, table, columns } = this.relation;
    return columns.map(({ name, typeOid }, index) => {
      const { column, refusal } = binaryColumn(typeOid, this.parsers[index]!, this.types.oids);
      if (refusal === undefined || !isStrict) return column;
      throw new BinaryFormatError(refusalText(`${schema}.${table}`, name, refusal));
    });
  }
}

function unfit(reader: ByteReader, cause: UnfitValueError, where: string): never {
  return reader.fail(`${where}: ${cause.message}`, cause, cause.hint);
}

const UNCHANGED = Symbol('unchanged TOAST');

/**
 * Names of the columns whose sent bytes differ between the old and the new tuple of one update. Bytes, not parsed
 * values: a timestamp that moves by a microsecond is a change that no Date can show.
 *
 * Both tuples have been read before, so the bounds are known to be good.
 */
export function changedColumns(relation: Relation, buffer: Buffer, oldStart: number, newStart: number): string[] {
  const changed: string[] = [];
  let before = oldStart + 2;
  let after = newStart + 2;
  for (const column of relation.columns) {
    const beforeEnd = endOfColumn(buffer, before);
    const afterEnd = endOfColumn(buffer, after);
    const unchanged =
      buffer[after] === TupleKind.UnchangedToast || buffer.compare(buffer, before, beforeEnd, after, afterEnd) === 0;
    if (!unchanged) changed.push(column.name);
    before = beforeEnd;
    after = afterEnd;
  }
  return changed;
}

/** Of a tuple that has been read: its bounds are known to be good. */
export function endOfColumn(buffer: Buffer, start: number): number {
  const kind = buffer[start];
  const hasValue = kind === TupleKind.Text || kind === TupleKind.Binary;
  return hasValue ? start + 5 + buffer.readInt32BE(start + 1) : start + 1;
}
