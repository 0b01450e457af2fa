import { ByteReader } from '../protocol/byte-reader.js';
import { setOwn } from '../types/rich/own-property.js';
import {
  MESSAGE_NAMES,
  OperationBit,
  PgOutputMessage,
  type BeginMessage,
  type CommitMessage,
  type CommitPreparedMessage,
  type LogicalDecodingMessage,
  type OldTupleKind,
  type PrepareMessage,
  type Relation,
  type RelationColumn,
  type ReplicaIdentity,
  type RollbackPreparedMessage,
  type Row,
  type RowOperation,
  type StreamAbortMessage,
  type StreamCommitMessage,
  type StreamStartMessage,
  type TypeMessage,
} from './pgoutput-messages.js';
import type { OidDatabase } from './oid-database.js';
import type { CachedRelation, RelationCache } from './relation-cache.js';
import { changedColumns } from './row-reader.js';
import {
  readBegin,
  readBeginPrepare,
  readCommit,
  readCommitPrepared,
  readPrepare,
  readRollbackPrepared,
  readStreamAbort,
  readStreamCommit,
  readStreamStart,
} from './transaction-messages.js';

/** Where transactions, and parts of those that are in progress, begin and end. */
export interface TransactionVisitor {
  begin(message: BeginMessage): void;
  commit(message: CommitMessage): void;
  streamStart(message: StreamStartMessage): void;
  streamStop(): void;
  streamCommit(message: StreamCommitMessage): void;
  streamAbort(message: StreamAbortMessage): void;
  beginPrepare(message: PrepareMessage): void;
  prepare(message: PrepareMessage): void;
  streamPrepare(message: PrepareMessage): void;
  commitPrepared(message: CommitPreparedMessage): void;
  rollbackPrepared(message: RollbackPreparedMessage): void;
}

/** Takes what is in transactions. Rows come as arguments, so that none needs an envelope. */
export interface ChangeVisitor {
  origin(name: string): void;
  /** Sets `relation.interest`, which decides from here on which rows are decoded. */
  relation(relation: CachedRelation): void;
  insert(relation: CachedRelation, record: Row): void;
  update(
    relation: CachedRelation,
    record: Row,
    oldRecord: Row | null,
    oldKind: OldTupleKind | null,
    changed: readonly string[] | null,
    unchangedToast: readonly string[],
  ): void;
  delete(relation: CachedRelation, oldRecord: Row, oldKind: OldTupleKind): void;
  truncate(relations: readonly CachedRelation[], cascade: boolean, restartIdentity: boolean): void;
  /** A row that nobody wants: seen, counted, not decoded. */
  passed(relation: CachedRelation, operation: RowOperation): void;
  message(message: LogicalDecodingMessage): void;
}

/** Takes what the decoder reads, in the order of the stream. */
export type PgOutputVisitor = ChangeVisitor & TransactionVisitor;

const IDENTITIES: Readonly<Record<number, ReplicaIdentity>> = {
  0x64: 'default', // d
  0x6e: 'nothing', // n
  0x66: 'full', // f
  0x69: 'index', // i
};

/**
 * Bytes of the pgoutput plugin, protocol versions 1 to 4, to calls of a visitor. Every read is bounded by the message; a
 * malformed one is a `DecodeError`. Rows are read by what `relations` has of their table: that of a connection, or of one
 * replay, or of one image.
 */
export class PgOutputDecoder {
  private readonly reader = new ByteReader();

  constructor(
    private readonly relations: RelationCache,
    private readonly oids: OidDatabase,
    private readonly visitor: ChangeVisitor,
    /** Null: no message that begins or ends a transaction is expected. */
    private readonly transactions: TransactionVisitor | null,
  ) {}

  /** Decodes one message in `buffer[start, end)`. @throws DecodeError */
  decode(buffer: Buffer, start: number, end: number): void {
    const type = start < end ? buffer[start]! : -1;
    const reader = this.reader.reset(
      buffer,
      start,
      end,
      MESSAGE_NAMES[type] ?? (type < 0 ? 'empty' : `0x${type.toString(16)}`),
    );
    reader.uint8();
    switch (type) {
      case PgOutputMessage.Insert:
        return this.insert(reader);
      case PgOutputMessage.Update:
        return this.update(reader);
      case PgOutputMessage.Delete:
        return this.delete(reader);
      case PgOutputMessage.Relation:
        return this.relation(reader);
      case PgOutputMessage.Truncate:
        return this.truncate(reader);
      case PgOutputMessage.Type:
        return this.type(reader);
      case PgOutputMessage.Origin:
        return this.origin(reader);
      case PgOutputMessage.Message:
        return this.message(reader);
      default:
        return this.transactionMessage(type, reader);
    }
  }

  private transactionMessage(type: number, reader: ByteReader): void {
    const { transactions: visitor } = this;
    if (visitor === null) return reader.fail('neither a change nor a description');
    switch (type) {
      case PgOutputMessage.Begin:
        return visitor.begin(readBegin(reader));
      case PgOutputMessage.Commit:
        return visitor.commit(readCommit(reader));
      case PgOutputMessage.StreamStart:
        return visitor.streamStart(readStreamStart(reader));
      case PgOutputMessage.StreamStop:
        reader.expectEnd();
        return visitor.streamStop();
      case PgOutputMessage.StreamCommit:
        return visitor.streamCommit(readStreamCommit(reader));
      case PgOutputMessage.StreamAbort:
        return visitor.streamAbort(readStreamAbort(reader));
      case PgOutputMessage.BeginPrepare:
        return visitor.beginPrepare(readBeginPrepare(reader));
      case PgOutputMessage.Prepare:
        return visitor.prepare(readPrepare(reader));
      case PgOutputMessage.StreamPrepare:
        return visitor.streamPrepare(readPrepare(reader));
      case PgOutputMessage.CommitPrepared:
        return visitor.commitPrepared(readCommitPrepared(reader));
      case PgOutputMessage.RollbackPrepared:
        return visitor.rollbackPrepared(readRollbackPrepared(reader));
      default:
        return reader.fail('unknown message type');
    }
  }

  private insert(reader: ByteReader): void {
    const relation = this.known(reader);
    if ((relation.interest.mask & OperationBit.insert) === 0) return this.visitor.passed(relation, 'insert');
    this.expect(reader, 0x4e);
    const record = relation.rows.row(reader);
    reader.expectEnd();
    this.visitor.insert(relation, record);
  }

  private update(reader: ByteReader): void {
    const cached = this.known(reader);
    if ((cached.interest.mask & OperationBit.update) === 0) return this.visitor.passed(cached, 'update');
    const { rows } = cached;
    let oldKind = this.oldTupleKind(reader);
    const oldStart = reader.position;
    let oldRecord = oldKind === null ? null : oldKind === 'full' ? rows.row(reader) : rows.key(reader);
    this.expect(reader, 0x4e);
    const newStart = reader.position;
    let record = rows.row(reader);
    let { unchangedToast } = rows;
    reader.expectEnd();
    if (oldKind === 'full' && isPartOf(oldRecord!, cached, unchangedToast)) {
      oldKind = 'key';
      oldRecord = withoutNulls(oldRecord!);
    }
    const changed = oldKind === 'full' ? changedColumns(cached.relation, reader.buffer, oldStart, newStart) : null;
    if (oldRecord !== null && unchangedToast.length > 0) {
      record = fillFromOldRow(cached.relation, record, oldRecord);
      unchangedToast = unchangedToast.filter((name) => !Object.hasOwn(record, name));
    }
    this.visitor.update(cached, record, oldRecord, oldKind, changed, unchangedToast);
  }

  private delete(reader: ByteReader): void {
    const relation = this.known(reader);
    if ((relation.interest.mask & OperationBit.delete) === 0) return this.visitor.passed(relation, 'delete');
    const kind = this.oldTupleKind(reader);
    if (kind === null) return reader.fail('a Delete without an old tuple');
    const oldRecord = kind === 'full' ? relation.rows.row(reader) : relation.rows.key(reader);
    reader.expectEnd();
    if (kind === 'full' && relation.isUneven) return this.visitor.delete(relation, withoutNulls(oldRecord), 'key');
    this.visitor.delete(relation, oldRecord, kind);
  }

  private truncate(reader: ByteReader): void {
    const count = reader.int32();
    const flags = reader.uint8();
    if (count < 0 || count * 4 !== reader.remaining) reader.fail(`${count} relations announced`);
    const relations: CachedRelation[] = [];
    for (let index = 0; index < count; index++) relations.push(this.known(reader));
    this.visitor.truncate(relations, (flags & 1) !== 0, (flags & 2) !== 0);
  }

  private origin(reader: ByteReader): void {
    reader.uint64(); // the commit's LSN on the origin
    const name = reader.cString();
    reader.expectEnd();
    this.visitor.origin(name);
  }

  private relation(reader: ByteReader): void {
    const id = reader.uint32();
    // An empty namespace stands for pg_catalog.
    const schema = reader.cString() || 'pg_catalog';
    const table = reader.cString();
    const replicaIdentity = IDENTITIES[reader.uint8()] ?? reader.fail('unknown replica identity');
    const count = reader.int16();
    if (count < 0) reader.fail(`${count} columns announced`);
    const columns: RelationColumn[] = [];
    for (let index = 0; index < count; index++) {
      const isKey = (reader.uint8() & 1) !== 0;
      const name = reader.cString();
      columns.push({ name, typeOid: reader.uint32(), typeModifier: reader.int32(), isKey });
    }
    reader.expectEnd();
    const relation: Relation = { id, schema, table, replicaIdentity, columns };
    this.visitor.relation(this.relations.add(relation));
  }

  private type(reader: ByteReader): void {
    const message: TypeMessage = {
      oid: reader.uint32(),
      schema: reader.cString() || 'pg_catalog',
      name: reader.cString(),
    };
    reader.expectEnd();
    this.oids.learn(message);
  }

  private message(reader: ByteReader): void {
    const transactional = (reader.uint8() & 1) !== 0;
    const lsn = reader.uint64();
    const prefix = reader.cString();
    const content = reader.bytes(reader.int32());
    reader.expectEnd();
    this.visitor.message({ transactional, lsn, prefix, content });
  }

  private known(reader: ByteReader): CachedRelation {
    const id = reader.uint32();
    return this.relations.get(id) ?? reader.fail(`relation ${id} has not been described on this connection`);
  }

  private expect(reader: ByteReader, byte: number): void {
    const found = reader.uint8();
    if (found !== byte) reader.fail(`tuple kind 0x${found.toString(16)} where 0x${byte.toString(16)} was expected`);
  }

  /** Reads 'K' or 'O'; leaves 'N' where it is and answers null. */
  private oldTupleKind(reader: ByteReader): OldTupleKind | null {
    const kind = reader.uint8();
    if (kind === 0x4b) return 'key';
    if (kind === 0x4f) return 'full';
    if (kind !== 0x4e) reader.fail(`unknown tuple kind 0x${kind.toString(16)}`);
    reader.position--;
    return null;
  }
}

/**
 * Whether what came as a whole old row may be a part of one. A value that lies in TOAST is not null: where the old row says
 * so, a partition with another replica identity has logged it, and will again.
 */
function isPartOf(oldRecord: Row, cached: CachedRelation, unchangedToast: readonly string[]): boolean {
  if (!cached.isUneven && unchangedToast.length > 0) {
    cached.isUneven = unchangedToast.some((name) => oldRecord[name] === null);
  }
  return cached.isUneven;
}

/** What is told for certain of an old row. */
function withoutNulls(row: Row): Row {
  const told: Row = {};
  for (const name of Object.keys(row)) if (row[name] !== null) setOwn(told, name, row[name]);
  return told;
}

/**
 * What is told of the old row holds what an unchanged TOAST value is: all of them with REPLICA IDENTITY FULL, else those
 * of the key, which the server sends where it lies in TOAST. A new object, so that the columns stand in the table's order.
 */
function fillFromOldRow(relation: Relation, record: Row, oldRecord: Row): Row {
  const whole: Row = {};
  for (const { name } of relation.columns) {
    const source = Object.hasOwn(record, name) ? record : oldRecord;
    if (Object.hasOwn(source, name)) setOwn(whole, name, source[name]);
  }
  return whole;
}
