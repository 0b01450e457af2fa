import { DecodeError } from '../errors/decode.error.js';

/** Buffer's own slicers take no options object and no view, which counts when there are ten values in a row. */
export interface SliceableBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/**
 * Bounded big-endian reads over one message in a larger buffer. A read past the message's end is a `DecodeError`
 * with the message's type and the offset from its first byte; nothing is ever read beyond it.
 *
 * The three positions are public: generated row readers walk the bytes themselves and write `position` back.
 */
export class ByteReader {
  buffer: SliceableBuffer = Buffer.alloc(0) as SliceableBuffer;
  position = 0;
  end = 0;
  messageType = 'unknown';
  private start = 0;

  /** Points the reader at `buffer[start, end)`, without a copy. */
  reset(buffer: Buffer, start: number, end: number, messageType: string): this {
    this.buffer = buffer as SliceableBuffer;
    this.start = start;
    this.position = start;
    this.end = end;
    this.messageType = messageType;
    return this;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  uint8(): number {
    if (this.position >= this.end) this.overrun(1);
    return this.buffer[this.position++]!;
  }

  int16(): number {
    const { buffer, position } = this;
    if (position + 2 > this.end) this.overrun(2);
    this.position = position + 2;
    return ((buffer[position]! << 24) >> 16) | buffer[position + 1]!;
  }

  int32(): number {
    const { buffer, position } = this;
    if (position + 4 > this.end) this.overrun(4);
    this.position = position + 4;
    return (
      (buffer[position]! << 24) | (buffer[position + 1]! << 16) | (buffer[position + 2]! << 8) | buffer[position + 3]!
    );
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  uint64(): bigint {
    const high = this.uint32();
    return (BigInt(high) << 32n) | BigInt(this.uint32());
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** A null-terminated string. */
  cString(): string {
    const zero = this.buffer.indexOf(0, this.position);
    if (zero < 0 || zero >= this.end) this.fail('string has no terminating zero byte');
    const text = this.buffer.utf8Slice(this.position, zero);
    this.position = zero + 1;
    return text;
  }

  /** A copy of the next `length` bytes, so that nobody keeps the receive buffer alive. */
  bytes(length: number): Buffer {
    const from = this.skip(length);
    return Buffer.from(this.buffer.subarray(from, from + length));
  }

  /** Steps over `length` bytes and returns where they began. */
  skip(length: number): number {
    if (length < 0) this.fail(`negative length ${length}`);
    if (length > this.end - this.position) this.overrun(length);
    const from = this.position;
    this.position = from + length;
    return from;
  }

  /** The message must end here. */
  expectEnd(): void {
    if (this.position !== this.end) this.fail(`${this.remaining} bytes left over`);
  }

  /** @param hint what to do about it, where that is known */
  fail(what: string, cause?: unknown, hint?: string): never {
    const { messageType, position, start } = this;
    throw new DecodeError(what, { messageType, offset: position - start, cause, ...(hint !== undefined && { hint }) });
  }

  private overrun(wanted: number): never {
    return this.fail(`${wanted} bytes wanted, ${this.remaining} left`);
  }
}
