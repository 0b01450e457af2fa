import { SpillFile } from './spill-file.js';

/** Where what does not fit into memory is kept. */
export interface SpillPlace {
  /** The folder; asked when a file is made. */
  readonly folder: () => string;
  /** What is written at a time, and read at a time. */
  readonly chunkBytes: number;
}

/** How the owner of a spool tells what has happened to it, in its own words. */
export type SpoolFault = (what: string, cause: unknown) => Error;

/** A record begins with the number of bytes behind this. */
const LENGTH_BYTES = 4;
/** Chunks in memory grow from here: most of what is kept is small. */
const FIRST_CHUNK_BYTES = 4096;

/**
 * Records of bytes, one behind the other: in chunks in memory, and from `spill()` on in a file but for the last chunk. The
 * file is made when the first chunk goes into it, and nothing needs to be written before it can be read.
 *
 * | state | a full chunk |
 * |---|---|
 * | in memory | stays there |
 * | on disk, after `spill()` | is written to the file |
 * | faulty | nothing can be had from here any more |
 */
export class RecordSpool {
  /** Why what is kept is not the whole, or cannot be read. */
  fault: Error | null = null;
  /** Where the record that was reserved last is to be written. */
  chunk: Buffer = Buffer.alloc(0);
  private used = 0;
  private full: Buffer[] = [];
  private fullBytes = 0;
  private isOnDisk = false;
  private file: SpillFile | null = null;

  constructor(
    /** @internal */ readonly place: SpillPlace,
    private readonly describe: SpoolFault,
  ) {}

  /** Bytes on the disk. */
  get fileBytes(): number {
    return this.file?.size ?? 0;
  }

  /** Bytes in memory. */
  get memoryBytes(): number {
    return this.fullBytes + this.chunk.length;
  }

  /**
   * Makes room for one more record.
   *
   * @returns where in `chunk` its `length` bytes are to be written, before anything else is asked of the spool
   * @throws what `describe` makes of an error of the disk
   */
  reserve(length: number): number {
    if (this.fault !== null) throw this.fault;
    const whole = LENGTH_BYTES + length;
    if (this.used + whole > this.chunk.length) this.next(whole);
    const at = this.chunk.writeUInt32LE(length, this.used);
    this.used += whole;
    return at;
  }

  /** What is in memory goes to the disk, and so does what comes. @throws as `reserve` */
  spill(): void {
    if (this.fault !== null) throw this.fault;
    if (this.isOnDisk) return;
    this.isOnDisk = true;
    const { full } = this;
    this.full = [];
    this.fullBytes = 0;
    for (const chunk of full) this.write(chunk);
  }

  /** As `spill()`, and the last chunk goes too: nothing more is expected for now. @throws as `reserve` */
  spillAll(): void {
    this.spill();
    if (this.used > 0) this.write(this.rest);
    this.chunk = Buffer.alloc(0);
    this.used = 0;
  }

  cursor(): RecordCursor {
    return new RecordCursor(this);
  }

  close(): void {
    this.full = [];
    this.fullBytes = 0;
    this.file?.close();
  }

  /** @internal Chunks in memory, in order, behind what is in the file. */
  inMemory(index: number): Buffer | undefined {
    return index < this.full.length ? this.full[index] : index === this.full.length ? this.rest : undefined;
  }

  /** @internal The next bytes of the file from `position` on, into `target`. */
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

  /** Somebody else wrote to the file. */
  damaged(what: string): never {
    throw this.failed('was damaged in', new Error(what));
  }

  private get rest(): Buffer {
    return this.chunk.subarray(0, this.used);
  }

  /** A chunk that holds `length` bytes at least: a longer record has one of its own. */
  private next(length: number): void {
    const { chunkBytes } = this.place;
    const isKept = !this.isOnDisk && this.used > 0;
    if (isKept) {
      this.full.push(this.rest);
      // What is left of it is kept alive with it.
      this.fullBytes += this.chunk.length;
    } else if (this.used > 0) this.write(this.rest);
    const grown = Math.max(FIRST_CHUNK_BYTES, this.chunk.length * 2);
    const wanted = Math.max(length, this.isOnDisk ? chunkBytes : Math.min(chunkBytes, grown));
    // On disk, one chunk serves for all: what was in it has been written.
    if (isKept || this.chunk.length !== wanted) this.chunk = Buffer.allocUnsafe(wanted);
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
  private failed(what: string, cause: unknown): Error {
    this.close();
    return (this.fault ??= this.describe(what, cause));
  }
}

/** One reading of a spool, from its beginning. */
export class RecordCursor {
  /** What was read last; the record that was taken last lies in it, in `[start, end)`. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  private at = 0;
  /** Where in the file `bytes` begin. */
  private offset = 0;
  /** What the record at `at` takes, as far as it is known. */
  private wanted = LENGTH_BYTES;
  /** Of the chunks in memory: the next one. */
  private memoryIndex = 0;

  constructor(private readonly spool: RecordSpool) {}

  /** To the next record. @returns false: `fill` must bring more bytes */
  take(): boolean {
    const { bytes, at } = this;
    const left = bytes.length - at;
    if (left < LENGTH_BYTES) return false;
    const length = LENGTH_BYTES + bytes.readUInt32LE(at);
    if (left < length) {
      this.wanted = length;
      return false;
    }
    this.start = at + LENGTH_BYTES;
    this.end = this.at = at + length;
    this.wanted = LENGTH_BYTES;
    return true;
  }

  /** What comes next is in the file, and has to be read. */
  get isMoreOnDisk(): boolean {
    return this.memoryIndex === 0 && this.offset + this.at < this.spool.fileBytes;
  }

  /** The next chunk, where it is in memory. @returns false: it is not, or there is none */
  fillFromMemory(): boolean {
    const { spool } = this;
    if (this.isMoreOnDisk) return false;
    const chunk = spool.inMemory(this.memoryIndex);
    if (chunk === undefined) return false;
    this.offset = spool.fileBytes;
    this.memoryIndex++;
    this.bytes = chunk;
    this.at = 0;
    return true;
  }

  /** Reads on. @returns false at the end. @throws what the spool's owner makes of an error of the disk */
  async fill(): Promise<boolean> {
    const { spool } = this;
    const from = this.offset + this.at;
    const left = spool.fileBytes - from;
    if (!this.isMoreOnDisk) return this.fillFromMemory();
    if (this.wanted > left) spool.damaged('a record ends behind the end of the file');
    const length = Math.max(Math.min(left, spool.place.chunkBytes), this.wanted);
    // Whoever takes records copies what is to stay: one buffer serves for all, as long as it has the right length.
    if (this.bytes.length !== length) this.bytes = Buffer.allocUnsafe(length);
    await spool.read(this.bytes, from);
    this.offset = from;
    this.at = 0;
    return true;
  }
}
