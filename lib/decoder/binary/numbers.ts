import { expectSize, int16, int32, malformed, uint32, type ReadBinary, type ReadText } from './value-reader.js';

const TWO_32 = 0x1_0000_0000;

export const readBool: ReadBinary<boolean> = (b, start, end) => {
  expectSize(start, end, 1);
  return b[start] !== 0;
};

export const readInt2: ReadBinary<number> = (b, start, end) => {
  expectSize(start, end, 2);
  return int16(b, start);
};

export const readInt4: ReadBinary<number> = (b, start, end) => {
  expectSize(start, end, 4);
  return int32(b, start);
};

/** oid, xid, cid. */
export const readUint4: ReadBinary<number> = (b, start, end) => {
  expectSize(start, end, 4);
  return uint32(b, start);
};

export const boolText: ReadText = (b, start, end) => (readBool(b, start, end) ? 't' : 'f');
export const int2Text: ReadText = (b, start, end) => String(readInt2(b, start, end));
export const int4Text: ReadText = (b, start, end) => String(readInt4(b, start, end));
export const uint4Text: ReadText = (b, start, end) => String(readUint4(b, start, end));

export const int8Text: ReadText = (b, start, end) => {
  expectSize(start, end, 8);
  const high = int32(b, start);
  const low = uint32(b, start + 4);
  const value = high * TWO_32 + low;
  // A sum that was rounded is never a safe integer.
  return Number.isSafeInteger(value) ? String(value) : String((BigInt(high) << 32n) | BigInt(low));
};

/** xid8. */
export const uint8Text: ReadText = (b, start, end) => {
  expectSize(start, end, 8);
  return String((BigInt(uint32(b, start)) << 32n) | BigInt(uint32(b, start + 4)));
};

export const lsnText: ReadText = (b, start, end) => {
  expectSize(start, end, 8);
  const half = (at: number): string => uint32(b, at).toString(16).toUpperCase();
  return `${half(start)}/${half(start + 4)}`;
};

const NEGATIVE = 0x4000;
const SPECIAL: Readonly<Record<number, string>> = { 0xc000: 'NaN', 0xd000: 'Infinity', 0xf000: '-Infinity' };

/** Digits to the base of 10,000; `weight` is the first one's exponent, `scale` how many decimals are shown. */
export const numericText: ReadText = (b, start, end) => {
  if (end - start < 8) malformed('a numeric without its head');
  const count = int16(b, start);
  const weight = int16(b, start + 2);
  const sign = int16(b, start + 4) & 0xffff;
  const scale = int16(b, start + 6) & 0xffff;
  expectSize(start, end, 8 + 2 * count);
  if (SPECIAL[sign] !== undefined) return SPECIAL[sign];
  const digits = start + 8;
  const group = (index: number): number => {
    if (index < 0 || index >= count) return 0;
    const each = int16(b, digits + 2 * index);
    return each >= 0 && each < 10_000 ? each : malformed('a digit above 9999');
  };
  let text = sign === NEGATIVE ? '-' : '';
  text += weight < 0 ? '0' : String(group(0));
  for (let index = 1; index <= weight; index++) text += fourDigits(group(index));
  if (scale === 0) return text;
  const length = text.length + 1 + scale;
  text += '.';
  for (let index = weight + 1; text.length < length; index++) text += fourDigits(group(index));
  return text.length === length ? text : text.slice(0, length);
};

function fourDigits(group: number): string {
  return group >= 1_000 ? String(group) : String(10_000 + group).slice(1);
}
