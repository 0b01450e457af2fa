import type { SliceableBuffer } from '../../protocol/byte-reader.js';

/**
 * Reads the binary form of one value in `buffer[start, end)`, as the type's send function writes it, and nothing beyond
 * it. Throws where the bytes are no such value; who asked says which column it was.
 */
export type ReadBinary<T = unknown> = (buffer: SliceableBuffer, start: number, end: number) => T;

/** Gives the very text that the type's output function would have given. */
export type ReadText = ReadBinary<string>;

/** A value of a fixed size must have it. */
export function expectSize(start: number, end: number, size: number): void {
  if (end - start !== size) malformed(`${size} bytes wanted, ${end - start} there`);
}

export function malformed(what: string): never {
  throw new RangeError(what);
}

export function int16(b: Buffer, p: number): number {
  return ((b[p]! << 24) >> 16) | b[p + 1]!;
}

export function int32(b: Buffer, p: number): number {
  return (b[p]! << 24) | (b[p + 1]! << 16) | (b[p + 2]! << 8) | b[p + 3]!;
}

export function uint32(b: Buffer, p: number): number {
  return int32(b, p) >>> 0;
}

/** At least so many digits. */
export function padded(value: number, digits = 2): string {
  const text = String(value);
  return text.length >= digits ? text : text.padStart(digits, '0');
}

export const readUtf8: ReadText = (b, start, end) => b.utf8Slice(start, end);
