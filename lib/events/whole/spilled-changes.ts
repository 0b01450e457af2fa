import { readImage } from '../../changes/image-reader.js';
import type { RowChange } from '../../changes/change.js';
import type { TransactionInfo } from '../../changes/transaction.js';
import type { WireImage } from '../../changes/wire-image.js';
import { SpillError } from '../../errors/delivery.error.js';
import { SpillFile } from './spill-file.js';

/** Length of the message, number of the relation, walHigh, walLow, ordinal, index: four bytes each. */
const HEAD_BYTES = 24;

/** Where what does not fit into memory is kept. */
export interface SpillPlace {
  /** The folder; asked when a file is made. */
  readonly folder: () => string;
  /** What is written at a time, and read at a time. */
  readonly chunkBytes: number;
}

/**
 * Changes of one transaction as they came over the wire, one record behind the other: in chunks in a file, the last
 * chunk in memory. So the file is made when the first chunk is full, and nothing needs to be written before it can be
 * read. The descriptions of the tables stay in memory, once each, and records name them by number.
 */
export class SpilledChanges {
  /** Why what is kept is not the whole, or cannot be read: nothing can be had from here any more. */
  fault: SpillError | null = null;
  private readonly chunk: Buffer;
  private used = 0;
  private file: SpillFile | null = null;
  private readonly relations: WireImage['cached'][] = [];
  private readonly numbers = new Map<WireImage['cached'], number>();
  private lastRelation: WireImage['cached'] | undefined;
  private lastNumber = 0;

  constructor(
    private readonly transaction: TransactionInfo,
    /** @internal */ readonly place: SpillPlace,
  ) {
    this.chunk = Buffer.allocUnsafe(place.chunkBytes);
  }

  /** Bytes on the disk. */
  get fileBytes(): number {
    return this.file?.size ?? 0;
  }

  /** @throws SpillError */
  add(change: RowChange, { cached, message }: WireImage): void {
    if (this.fault !== null) throw this.fault;
    const length = HEAD_BYTES + message.length;
    if (this.used + length > this.chunk.length) this.flush();
    const { chunk } = this;
    let at = chunk.writeUInt32LE(message.length, this.used);
    at = chunk.writeUInt32LE(this.numberOf(cached), at);
    at = chunk.writeInt32LE(change.walHigh | 0, at);
    at = chunk.writeInt32LE(change.walLow | 0, at);
    at = chunk.writeUInt32LE(change.ordinal, at);
    this.used = chunk.writeUInt32LE(change.index, at);
    if (length > chunk.length) {
      this.flush();
      this.write(message);
    } else {
      this.used += message.copy(chunk, this.used);
    }
  }

  cursor(): SpillCursor {
    return new SpillCursor(this);
  }

  close(): void {
    this.file?.close();
  }

  /** @internal The next bytes of the file from `position` on, into `target`. @throws SpillError */
  async read(target: Buffer, position: number): Promise<void> {
    if (this.fault !== null) throw this.fault;
    let count: number;
    try {
      count = await this.file!.read(target, position);
    } catch (cause) {
      throw this.failed('cannot be read back from', cause);
    }
    if (count < target.length) this.damaged(`the file ends at byte ${position + count} of ${this.fileBytes}`);
  }

  /** @internal Somebody else wrote to the file. @throws SpillError */
  damaged(what: string): never {
    throw this.failed('was damaged in', new Error(what));
  }

  /** @internal What is not in the file. */
  get rest(): Buffer {
    return this.chunk.subarray(0, this.used);
  }

  /** @internal The change of the record at `at`, which lies in `bytes` as a whole. @throws DecodeError, SpillError */
  decode(bytes: Buffer, at: number, end: number): RowChange {
    const cached = this.relations[bytes.readUInt32LE(at + 4)];
    if (cached === undefined) this.damaged('a record names no table');
    PLACE.walHigh = bytes.readInt32LE(at + 8);
    PLACE.walLow = bytes.readInt32LE(at + 12);
    PLACE.ordinal = bytes.readUInt32LE(at + 16);
    PLACE.index = bytes.readUInt32LE(at + 20);
    return readImage({ cached, message: bytes.subarray(at + HEAD_BYTES, end) }, this.transaction, PLACE);
  }

  private numberOf(cached: WireImage['cached']): number {
    // Most often it is the table of the change before.
    if (cached === this.lastRelation) return this.lastNumber;
    let number = this.numbers.get(cached);
    if (number === undefined) this.numbers.set(cached, (number = this.relations.push(cached) - 1));
    this.lastRelation = cached;
    return (this.lastNumber = number);
  }

  private flush(): void {
    if (this.used > 0) this.write(this.rest);
    this.used = 0;
  }

  private write(bytes: Buffer): void {
    try {
      this.file ??= SpillFile.create(this.place.folder());
      this.file.write(bytes);
    } catch (cause) {
      throw this.failed('cannot be kept in', cause);
    }
  }

  /** Frees the file: what is left of it is of no use. */
  private failed(what: string, cause: unknown): SpillError {
    this.close();
    const { app, lsn } = this.transaction;
    const folder = this.place.folder();
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === undefined ? (cause as Error).message : code;
    return (this.fault ??= new SpillError(
      `The transaction committed at ${lsn} is above the limits, is kept on disk for @OnTransaction, and ${what} ` +
        `${folder}: ${reason}`,
      {
        app,
        cause,
        hint:
          'set TMPDIR to a folder that this process may write to, with room for the whole transaction; or raise ' +
          'limits.changes and limits.bytes, so that it stays in memory. Nothing is lost: nothing was confirmed past ' +
          'the transaction before it, and it comes again.',
      },
    ));
  }
}

/** Filled anew for each record: a change copies what it takes. */
const PLACE = { walHigh: 0, walLow: 0, ordinal: 0, index: 0 };

/** One reading of what is kept, from its beginning. */
export class SpillCursor {
  /** What was read last; between `at` and its end nothing has been taken yet. */
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  /** Where in the file `bytes` begin. */
  private offset = 0;
  /** What the record at `at` takes, as far as it is known. */
  private wanted = HEAD_BYTES;
  private isAtRest = false;

  constructor(private readonly changes: SpilledChanges) {}

  /** The next change; null: `fill` must bring more bytes. @throws DecodeError, SpillError */
  take(): RowChange | null {
    const { bytes, at } = this;
    const left = bytes.length - at;
    if (left < HEAD_BYTES) return null;
    const length = HEAD_BYTES + bytes.readUInt32LE(at);
    if (left < length) {
      this.wanted = length;
      return null;
    }
    this.at = at + length;
    this.wanted = HEAD_BYTES;
    return this.changes.decode(bytes, at, this.at);
  }

  /** Reads on. @returns false at the end. @throws SpillError */
  async fill(): Promise<boolean> {
    const { changes } = this;
    const { chunkBytes } = changes.place;
    if (this.isAtRest) return false;
    const from = this.offset + this.at;
    const left = changes.fileBytes - from;
    this.isAtRest = left === 0;
    if (this.isAtRest) {
      this.bytes = changes.rest;
    } else {
      if (this.wanted > left) changes.damaged('a record ends behind the end of the file');
      const length = Math.max(Math.min(left, chunkBytes), this.wanted);
      // The rows hold copies: one buffer serves for all, as long as it has the right length.
      if (this.bytes.length !== length) this.bytes = Buffer.allocUnsafe(length);
      await changes.read(this.bytes, from);
    }
    this.offset = from;
    this.at = 0;
    return true;
  }
}
