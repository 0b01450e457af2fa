import { PgOutputMessage } from '../../decoder/pgoutput-messages.js';
import { RelationCache, type CachedRelation } from '../../decoder/relation-cache.js';
import { RecordSpool, type RecordCursor, type SpillPlace, type SpoolFault } from '../../spill/record-spool.js';

/** The message's own LSN in two halves, and the transaction or sub-transaction that it belongs to: four bytes each. */
const HEAD_BYTES = 12;
/** Of the xid that a message within a part has behind its type, and has not outside of one. */
export const XID_BYTES = 4;

/** Takes a transaction as if it came when it commits. */
export interface MessageTaker {
  /** In the form that it has in version 1. */
  message(buffer: Buffer, start: number, end: number, high: number, low: number): void;
  /** So the table is described from here on. */
  described(relation: CachedRelation): void;
}

/**
 * What has come of one transaction that has not ended yet, as it came. Descriptions of tables are not kept as bytes:
 * they are read when they come (see `StreamedTransactions`), and what was made of them is named by number here, so that
 * a row is read by the description that was in force when it was sent, whatever has become of the table meanwhile.
 */
export class InProgressTransaction {
  private readonly spool: RecordSpool;
  /** Sub-transactions that were rolled back. */
  private readonly aborted = new Set<number>();
  private readonly relations: CachedRelation[] = [];
  /** By the table's oid: the message of its last description. */
  private readonly described = new Map<number, Buffer>();
  private hasMessages = false;

  constructor(
    readonly xid: number,
    place: SpillPlace,
    fault: SpoolFault,
    /** What was described before it, where its rows may rely on that; undefined: it describes all tables itself. */
    readonly known?: RelationCache,
  ) {
    this.spool = new RecordSpool(place, fault);
  }

  get memoryBytes(): number {
    return this.spool.memoryBytes;
  }

  get fileBytes(): number {
    return this.spool.fileBytes;
  }

  /** A message of it, which has an xid of its own behind its type where `hasXid`. @throws SpillError */
  add(buffer: Buffer, start: number, end: number, high: number, low: number, hasXid: boolean): void {
    if (buffer[start] === PgOutputMessage.Message) this.hasMessages = true;
    const rest = start + 1 + (hasXid ? XID_BYTES : 0);
    const xid = hasXid ? buffer.readUInt32BE(start + 1) : this.xid;
    const at = this.head(1 + end - rest, high, low, xid);
    const { chunk } = this.spool;
    buffer.copy(chunk, chunk.writeUInt8(buffer[start]!, at), rest, end);
  }

  /** From here on, the table is described so. @throws SpillError */
  describe(relation: CachedRelation, message: Buffer): void {
    const { id } = relation.relation;
    // A transaction that alters something describes all of its tables again in each of its parts.
    if (this.described.get(id)?.equals(message)) return;
    this.described.set(id, message);
    const at = this.head(1 + 4, 0, 0, this.xid);
    const { chunk } = this.spool;
    chunk.writeUInt32LE(this.relations.push(relation) - 1, chunk.writeUInt8(PgOutputMessage.Relation, at));
  }

  /**
   * It is not known which of its messages were rolled back: the server gives each the xid of the transaction, never that of
   * the sub-transaction.
   */
  get isAmbiguous(): boolean {
    return this.hasMessages && this.aborted.size > 0;
  }

  abort(subXid: number): void {
    this.aborted.add(subXid);
  }

  /** What is in memory goes to the disk, and so does what comes. @throws SpillError */
  spill(): void {
    this.spool.spill();
  }

  /** As `spill()`, and nothing is left in memory. @throws SpillError */
  spillAll(): void {
    this.spool.spillAll();
  }

  cursor(): MessageCursor {
    return new MessageCursor(this.spool.cursor(), this.aborted, this.relations);
  }

  close(): void {
    this.spool.close();
  }

  /** @returns where in the spool's chunk the record goes on */
  private head(length: number, high: number, low: number, xid: number): number {
    const { spool } = this;
    let at = spool.reserve(HEAD_BYTES + length);
    const { chunk } = spool;
    at = chunk.writeInt32LE(high | 0, at);
    at = chunk.writeInt32LE(low | 0, at);
    return chunk.writeUInt32LE(xid, at);
  }
}

/** One reading of a transaction: hands over what has not been rolled back, in order. */
export class MessageCursor {
  constructor(
    private readonly records: RecordCursor,
    private readonly aborted: ReadonlySet<number>,
    private readonly relations: readonly CachedRelation[],
  ) {}

  /** The next message, or one that was rolled back and is not handed over. @returns false at the end, or before `fill` */
  take(taker: MessageTaker): boolean {
    const { records } = this;
    if (!records.take() && !(records.fillFromMemory() && records.take())) return false;
    const { bytes, start, end } = records;
    const from = start + HEAD_BYTES;
    // Whatever becomes of the sub-transaction in which it came: the server does not say it again in the transaction.
    if (bytes[from] === PgOutputMessage.Relation) taker.described(this.relations[bytes.readUInt32LE(from + 1)]!);
    else if (this.aborted.size === 0 || !this.aborted.has(bytes.readUInt32LE(start + 8))) {
      taker.message(bytes, from, end, bytes.readInt32LE(start), bytes.readInt32LE(start + 4));
    }
    return true;
  }

  /** What comes next has to be read: by `fill`. */
  get isMoreOnDisk(): boolean {
    return this.records.isMoreOnDisk;
  }

  /** Reads on from the disk. @returns false at the end. @throws SpillError */
  fill(): Promise<boolean> {
    return this.records.fill();
  }
}
