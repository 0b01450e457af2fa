import { DecodeError } from '../errors/decode.error.js';
import { HEADER_SIZE } from '../protocol/replication-messages.js';
import { backendMessageName } from '../protocol/server-report.js';

/** What is to come of the frames behind one: nothing any more, all at once, or all when somebody calls `goOn`. */
export const Next = { Stop: 0, GoOn: 1, Hold: 2 } as const;
export type Next = (typeof Next)[keyof typeof Next];

/** Takes one backend message: `buffer[start, end)` is the whole frame, header included. Nobody writes over it later. */
export type FrameHandler = (type: number, buffer: Buffer, start: number, end: number) => Next;

/** Longest message that the server can send, with room to spare (a message is at most 1 GiB). */
const MAX_FRAME = 0x7fff_ff00;

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Cuts a byte stream into backend messages (manual, section 54.7: type byte, int32 length that counts itself). Frames
 * are handed over where they lie in the chunk; only one that is split between chunks is copied together.
 *
 * | state | until |
 * |---|---|
 * | waiting | `push()` |
 * | held: a chunk is in hand, and the handler of a frame wants no more for now | `goOn()` |
 * | stopped | for good |
 */
export class FrameParser {
  /** The beginning of a frame whose rest has not come. */
  private carry: Buffer = NOTHING;
  private carryLength = 0;
  private chunk: Buffer = NOTHING;
  private at = 0;
  private state: 'waiting' | 'held' | 'stopped' = 'waiting';

  constructor(private readonly handle: FrameHandler) {}

  get isHeld(): boolean {
    return this.state === 'held';
  }

  /**
   * Not while it is held.
   *
   * @returns whether the chunk is used up
   * @throws DecodeError where a length is impossible
   */
  push(chunk: Buffer): boolean {
    if (this.state === 'stopped') return false;
    this.chunk = chunk;
    this.at = 0;
    if (this.carryLength > 0) this.finishCarry();
    return this.run();
  }

  /** Goes on behind the frame at which it was held. @returns as `push` @throws as `push` */
  goOn(): boolean {
    if (this.state === 'held') this.state = 'waiting';
    return this.run();
  }

  private run(): boolean {
    const { chunk } = this;
    const end = chunk.length;
    while (this.state === 'waiting' && end - this.at >= HEADER_SIZE) {
      const start = this.at;
      const frameEnd = start + frameLength(chunk, start);
      if (frameEnd > end) break;
      this.at = frameEnd;
      const next = this.handle(chunk[start]!, chunk, start, frameEnd);
      if (next !== Next.GoOn) this.pause(next);
    }
    if (this.state !== 'waiting') return false;
    if (this.at < end) this.keep(this.at, end);
    this.chunk = NOTHING;
    return true;
  }

  /** Completes the frame that the last chunk began. */
  private finishCarry(): void {
    const { chunk } = this;
    if (this.carryLength < HEADER_SIZE) {
      this.at = Math.min(HEADER_SIZE - this.carryLength, chunk.length);
      this.keep(0, this.at);
      if (this.carryLength < HEADER_SIZE) return;
    }
    const wanted = frameLength(this.carry, 0);
    const rest = Math.min(wanted - this.carryLength, chunk.length - this.at);
    this.keep(this.at, this.at + rest);
    this.at += rest;
    if (this.carryLength < wanted) return;
    // Its memory goes with it: whoever has it in hand must not see the next one written over it.
    const frame = this.carry;
    this.carry = NOTHING;
    this.carryLength = 0;
    const next = this.handle(frame[0]!, frame, 0, wanted);
    if (next !== Next.GoOn) this.pause(next);
  }

  private pause(next: Next): void {
    this.state = next === Next.Hold ? 'held' : 'stopped';
    if (this.state === 'stopped') this.chunk = this.carry = NOTHING;
  }

  private keep(start: number, end: number): void {
    const needed = this.carryLength + (end - start);
    if (needed > this.carry.length) {
      // Grows with what has arrived, not with what a length field claims.
      const grown = Buffer.allocUnsafe(Math.max(needed, this.carry.length * 2, 1024));
      this.carry.copy(grown, 0, 0, this.carryLength);
      this.carry = grown;
    }
    this.chunk.copy(this.carry, this.carryLength, start, end);
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
