import { readImage } from '../../changes/image-reader.js';
import type { RowChange } from '../../changes/change.js';
import type { TransactionInfo } from '../../changes/transaction.js';
import type { WireImage } from '../../changes/wire-image.js';
import type { SpillError } from '../../errors/delivery.error.js';
import { spillFault } from '../../errors/spill-fault.js';
import { RecordSpool, type RecordCursor, type SpillPlace } from '../../spill/record-spool.js';

/** Number of the relation, walHigh, walLow, ordinal, index: four bytes each. */
const HEAD_BYTES = 20;

/**
 * Changes of one transaction as they came over the wire, on disk. The descriptions of the tables stay in memory, once
 * each, and records name them by number.
 */
export class SpilledChanges {
  private readonly spool: RecordSpool;
  private readonly relations: WireImage['cached'][] = [];
  private readonly numbers = new Map<WireImage['cached'], number>();
  private lastRelation: WireImage['cached'] | undefined;
  private lastNumber = 0;

  constructor(
    private readonly transaction: TransactionInfo,
    place: SpillPlace,
  ) {
    this.spool = new RecordSpool(place, (what, cause) => this.notKept(what, cause, place.folder()));
    this.spool.spill();
  }

  /** Why what is kept is not the whole, or cannot be read: nothing can be had from here any more. */
  get fault(): SpillError | null {
    return this.spool.fault as SpillError | null;
  }

  /** Bytes on the disk. */
  get fileBytes(): number {
    return this.spool.fileBytes;
  }

  /** @throws SpillError */
  add(change: RowChange, { cached, message }: WireImage): void {
    const { spool } = this;
    let at = spool.reserve(HEAD_BYTES + message.length);
    const { chunk } = spool;
    at = chunk.writeUInt32LE(this.numberOf(cached), at);
    at = chunk.writeInt32LE(change.walHigh | 0, at);
    at = chunk.writeInt32LE(change.walLow | 0, at);
    at = chunk.writeUInt32LE(change.ordinal, at);
    at = chunk.writeUInt32LE(change.index, at);
    message.copy(chunk, at);
  }

  cursor(): SpillCursor {
    return new SpillCursor(this, this.spool.cursor());
  }

  close(): void {
    this.spool.close();
  }

  /** @internal The change of the record in `bytes[start, end)`. @throws DecodeError, SpillError */
  decode(bytes: Buffer, start: number, end: number): RowChange {
    const cached = this.relations[bytes.readUInt32LE(start)];
    if (cached === undefined) this.spool.damaged('a record names no table');
    PLACE.walHigh = bytes.readInt32LE(start + 4);
    PLACE.walLow = bytes.readInt32LE(start + 8);
    PLACE.ordinal = bytes.readUInt32LE(start + 12);
    PLACE.index = bytes.readUInt32LE(start + 16);
    return readImage({ cached, message: bytes.subarray(start + HEAD_BYTES, end) }, this.transaction, PLACE);
  }

  private numberOf(cached: WireImage['cached']): number {
    // Most often it is the table of the change before.
    if (cached === this.lastRelation) return this.lastNumber;
    let number = this.numbers.get(cached);
    if (number === undefined) this.numbers.set(cached, (number = this.relations.push(cached) - 1));
    this.lastRelation = cached;
    return (this.lastNumber = number);
  }

  private notKept(what: string, cause: unknown, folder: string): SpillError {
    const { app, lsn } = this.transaction;
    return spillFault({
      app,
      what: `The transaction committed at ${lsn} is above the limits, is kept on disk for @OnTransaction, and ${what} ${folder}`,
      cause,
      roomFor: 'the whole transaction',
      instead: 'raise limits.changes and limits.bytes, so that it stays in memory',
      comesAgain: 'nothing was confirmed past the transaction before it, and it comes again',
    });
  }
}

/** Filled anew for each record: a change copies what it takes. */
const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 0 };

/** One reading of what is kept, from its beginning. */
export class SpillCursor {
  constructor(
    private readonly changes: SpilledChanges,
    private readonly records: RecordCursor,
  ) {}

  /** The next change; null: `fill` must bring more bytes. @throws DecodeError, SpillError */
  take(): RowChange | null {
    const { records } = this;
    return records.take() ? this.changes.decode(records.bytes, records.start, records.end) : null;
  }

  /** Reads on. @returns false at the end. @throws SpillError */
  fill(): Promise<boolean> {
    return this.records.fill();
  }
}
