import { BinaryFormatError } from '../../errors/replication.error.js';
import { readerOf } from './documents.js';
import { int8Text } from './numbers.js';
import { expectSize, int16, malformed, uint32, type ReadBinary, type ReadText } from './value-reader.js';

/** Bytes, not to be kept alive by the buffer that they came in. */
export const readBytea: ReadBinary<Buffer> = (b, start, end) => Buffer.from(b.subarray(start, end));

/** Under `bytea_output = hex`. */
export const byteaText: ReadText = (b, start, end) => `\\x${b.toString('hex', start, end)}`;

export const tidText: ReadText = (b, start, end) => {
  expectSize(start, end, 6);
  return `(${uint32(b, start)},${int16(b, start + 4) & 0xffff})`;
};

/** `xmin:xmax:` and the transactions in progress between them. */
export const snapshotText: ReadText = (b, start, end) => {
  const reader = readerOf(b, start, end);
  const count = reader.int32();
  const next = (): string => {
    const at = reader.skip(8);
    return int8Text(b, at, at + 8);
  };
  if (count < 0 || (count + 2) * 8 !== reader.remaining) malformed(`${count} transactions announced`);
  const [from, to] = [next(), next()];
  return `${from}:${to}:${Array.from({ length: count }, next).join(',')}`;
};

/**
 * "char", a single byte; zero is the empty text.
 *
 * @throws BinaryFormatError for a byte that is not ASCII: its text is another one in each version of the server
 */
export const charText: ReadText = (b, start, end) => {
  expectSize(start, end, 1);
  const byte = b[start]!;
  if (byte >= 0x80) throw new BinaryFormatError('a "char" that is not ASCII is written as its server\'s version does');
  return byte === 0 ? '' : String.fromCharCode(byte);
};
