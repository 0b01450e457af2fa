import { DecodeError } from '../errors/decode.error.js';
import { HEADER_SIZE } from '../protocol/replication-messages.js';
import { backendMessageName } from '../protocol/server-report.js';

/** Takes one backend message: `buffer[start, end)` is the whole frame, header included. False stops the parser. */
export type FrameHandler = (type: number, buffer: Buffer, start: number, end: number) => boolean;

/** Longest message that the server can send, with room to spare (a message is at most 1 GiB). */
const MAX_FRAME = 0x7fff_ff00;

/**
 * Cuts a byte stream into backend messages (manual, section 54.7: type byte, int32 length that counts itself). Frames
 * are handed over where they lie in the chunk; only one that is split between chunks is copied together.
 */
export class FrameParser {
  private carry = Buffer.allocUnsafe(1024);
  private carryLength = 0;
  private stopped = false;

  constructor(private readonly handle: FrameHandler) {}

  /** @throws DecodeError where a length is impossible */
  push(chunk: Buffer): void {
    let start = this.carryLength === 0 ? 0 : this.finishCarry(chunk);
    if (this.stopped) return;
    const end = chunk.length;
    while (end - start >= HEADER_SIZE) {
      const frameEnd = start + frameLength(chunk, start);
      if (frameEnd > end) break;
      if (!this.handle(chunk[start]!, chunk, start, frameEnd)) {
        this.stopped = true;
        return;
      }
      start = frameEnd;
    }
    if (start < end) this.keep(chunk, start, end);
  }

  /** Completes the frame that the last chunk began. @returns where the rest of the chunk starts */
  private finishCarry(chunk: Buffer): number {
    let taken = 0;
    if (this.carryLength < HEADER_SIZE) {
      taken = Math.min(HEADER_SIZE - this.carryLength, chunk.length);
      this.keep(chunk, 0, taken);
      if (this.carryLength < HEADER_SIZE) return taken;
    }
    const wanted = frameLength(this.carry, 0);
    const rest = Math.min(wanted - this.carryLength, chunk.length - taken);
    this.keep(chunk, taken, taken + rest);
    taken += rest;
    if (this.carryLength === wanted) {
      this.carryLength = 0;
      const frame = this.carry;
      // A frame larger than usual must not keep its memory for the life of the connection.
      if (frame.length > 1024 * 1024) this.carry = Buffer.allocUnsafe(1024);
      if (!this.handle(frame[0]!, frame, 0, wanted)) this.stopped = true;
    }
    return taken;
  }

  private keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.carryLength + (end - start);
    if (needed > this.carry.length) {
      // Grows with what has arrived, not with what a length field claims.
      const grown = Buffer.allocUnsafe(Math.max(needed, this.carry.length * 2));
      this.carry.copy(grown, 0, 0, this.carryLength);
      this.carry = grown;
    }
    chunk.copy(this.carry, this.carryLength, start, end);
    this.carryLength = needed;
  }
}

function frameLength(buffer: Buffer, start: number): number {
  const length =
    (buffer[start + 1]! << 24) | (buffer[start + 2]! << 16) | (buffer[start + 3]! << 8) | buffer[start + 4]!;
  if (length < 4 || length > MAX_FRAME) {
    throw new DecodeError(`impossible message length ${length}`, {
      messageType: backendMessageName(buffer[start]!),
      offset: 1,
    });
  }
  return length + 1;
}
