import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DecodeError } from '#lib/errors/decode.error.js';
import { ByteReader } from '#lib/protocol/byte-reader.js';
import { embedded } from '../../support/pgoutput-encoder.js';

const READS = {
  uint8: { size: 1, read: (reader: ByteReader) => reader.uint8(), expected: (bytes: Buffer) => bytes.readUInt8() },
  int16: { size: 2, read: (reader: ByteReader) => reader.int16(), expected: (bytes: Buffer) => bytes.readInt16BE() },
  int32: { size: 4, read: (reader: ByteReader) => reader.int32(), expected: (bytes: Buffer) => bytes.readInt32BE() },
  uint32: { size: 4, read: (reader: ByteReader) => reader.uint32(), expected: (bytes: Buffer) => bytes.readUInt32BE() },
  uint64: {
    size: 8,
    read: (reader: ByteReader) => reader.uint64(),
    expected: (bytes: Buffer) => bytes.readBigUInt64BE(),
  },
  int64: { size: 8, read: (reader: ByteReader) => reader.int64(), expected: (bytes: Buffer) => bytes.readBigInt64BE() },
} as const;

function readerOf(message: Buffer, filler = 0xff): ByteReader {
  const { buffer, start, end } = embedded(message, filler);
  return new ByteReader().reset(buffer, start, end, 'Sample');
}

function failure(read: () => unknown): DecodeError {
  try {
    read();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe.each(Object.entries(READS))('ByteReader.%s', (_name, { size, read, expected }) => {
  it('reads big-endian, as Buffer does, and moves on by its size', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size + 4 }), (bytes) => {
        const reader = readerOf(Buffer.from(bytes));
        expect(read(reader)).toBe(expected(Buffer.from(bytes)));
        expect(reader.remaining).toBe(bytes.length - size);
      }),
    );
  });

  it('fails on every shorter rest, with type and offset, although the buffer goes on', () => {
    for (let length = 0; length < size; length++) {
      const error = failure(() => read(readerOf(Buffer.alloc(length))));
      expect(error.messageType).toBe('Sample');
      expect(error.offset).toBeGreaterThanOrEqual(0);
      expect(error.offset).toBeLessThanOrEqual(length);
    }
  });
});

describe('ByteReader', () => {
  it('reads a string up to its zero byte, multibyte characters whole, and the empty string', () => {
    const reader = readerOf(Buffer.from('höhe 🐘\0\0rest', 'utf8'));
    expect(reader.cString()).toBe('höhe 🐘');
    expect(reader.cString()).toBe('');
    expect(reader.remaining).toBe(4);
  });

  it('does not take a zero byte beyond the end for the end of a string', () => {
    const error = failure(() => readerOf(Buffer.from('open'), 0).cString());
    expect(error.message).toContain('no terminating zero byte');
    expect(error.offset).toBe(0);
  });

  it('finds no string where no zero byte follows at all', () => {
    const reader = new ByteReader().reset(Buffer.from('open'), 0, 4, 'Sample');
    expect(() => reader.cString()).toThrow(DecodeError);
  });

  it('copies bytes, so that they do not change with the receive buffer', () => {
    const { buffer, start, end } = embedded(Buffer.from('abcdef'));
    const copy = new ByteReader().reset(buffer, start, end, 'Sample').bytes(3);
    buffer.fill(0);
    expect(copy.toString()).toBe('abc');
  });

  it('refuses a length that is negative or longer than the rest, whatever the buffer holds', () => {
    const outside = fc.oneof(fc.integer({ min: -(2 ** 31), max: -1 }), fc.integer({ min: 7, max: 2 ** 31 - 1 }));
    fc.assert(
      fc.property(outside, (length) => {
        const reader = readerOf(Buffer.from('abcdef'));
        expect(failure(() => reader.skip(length)).offset).toBe(0);
        expect(() => reader.bytes(length)).toThrow(DecodeError);
        expect(reader.remaining).toBe(6);
      }),
    );
  });

  it('skips and says where the skipped bytes began', () => {
    const reader = readerOf(Buffer.from('abcdef'));
    const from = reader.skip(4);
    expect(reader.buffer.utf8Slice(from, reader.position)).toBe('abcd');
    expect(reader.skip(2)).toBe(from + 4);
    expect(reader.remaining).toBe(0);
  });

  it('insists that a message ends where it is said to end', () => {
    const reader = readerOf(Buffer.from('ab'));
    reader.uint8();
    const error = failure(() => reader.expectEnd());
    expect(error.offset).toBe(1);
    expect(error.message).toContain('1 bytes left over');
    reader.uint8();
    expect(() => reader.expectEnd()).not.toThrow();
  });

  it('counts the offset from the start of the message, not of the buffer', () => {
    const reader = readerOf(Buffer.alloc(5));
    reader.int32();
    const error = failure(() => reader.int16());
    expect(error.offset).toBe(4);
    expect(error.message).toContain('Cannot decode Sample message at byte 4: 2 bytes wanted, 1 left');
  });

  it('hands the cause of a failure on', () => {
    const cause = new Error('underneath');
    expect(failure(() => readerOf(Buffer.alloc(1)).fail('what', cause)).cause).toBe(cause);
  });

  it('serves one message after the other', () => {
    const reader = readerOf(Buffer.from([1]));
    reader.uint8();
    reader.reset(Buffer.from([7, 8]), 1, 2, 'Other');
    expect(reader.uint8()).toBe(8);
    expect(failure(() => reader.uint8())).toMatchObject({ messageType: 'Other', offset: 1 });
  });
});
