import { expectSize, int16, int32, malformed, type ReadText } from './value-reader.js';

const IP4 = 2;
const IP6 = 3;
const HEAD = 4;

/** `address`, with `/bits` where it is not a single host; of a cidr always. */
function networkText(b: Buffer, start: number, end: number, isCidr: boolean): string {
  if (end - start < HEAD) malformed('an address without its head');
  const family = b[start];
  if (family !== IP4 && family !== IP6) malformed(`unknown family of addresses ${family}`);
  const bits = b[start + 1]!;
  const size = family === IP4 ? 4 : 16;
  if (b[start + 3] !== size) malformed(`an address of ${b[start + 3]} bytes`);
  expectSize(start, end, HEAD + size);
  const text = family === IP4 ? ip4(b, start + HEAD) : ip6(b, start + HEAD);
  return bits === size * 8 && !isCidr ? text : `${text}/${bits}`;
}

export const inetText: ReadText = (b, start, end) => networkText(b, start, end, false);
export const cidrText: ReadText = (b, start, end) => networkText(b, start, end, true);

function ip4(b: Buffer, at: number): string {
  return `${b[at]}.${b[at + 1]}.${b[at + 2]}.${b[at + 3]}`;
}

/** The longest row of zeros becomes `::`, the first of several; an IPv4 address in it is written as one. */
function ip6(b: Buffer, at: number): string {
  const words = Array.from({ length: 8 }, (_, index) => int16(b, at + 2 * index) & 0xffff);
  let zeros = { base: -1, length: 1 };
  for (let base = 0; base < 8; base++) {
    let length = 0;
    while (base + length < 8 && words[base + length] === 0) length++;
    if (length > zeros.length) zeros = { base, length };
    base += length;
  }
  const hasIp4 =
    zeros.base === 0 &&
    (zeros.length === 6 || (zeros.length === 7 && words[7] !== 1) || (zeros.length === 5 && words[5] === 0xffff));
  let text = '';
  for (let index = 0; index < 8; index++) {
    if (index >= zeros.base && index < zeros.base + zeros.length && zeros.base >= 0) {
      if (index === zeros.base) text += ':';
      continue;
    }
    if (index !== 0) text += ':';
    if (index === 6 && hasIp4) return text + ip4(b, at + 12);
    text += words[index]!.toString(16);
  }
  return zeros.base >= 0 && zeros.base + zeros.length === 8 ? `${text}:` : text;
}

function macText(size: number): ReadText {
  return (b, start, end) => {
    expectSize(start, end, size);
    return b.toString('hex', start, end).replace(/..(?!$)/g, '$&:');
  };
}

export const macaddrText = macText(6);
export const macaddr8Text = macText(8);

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** From a table: slices of one long text take more than twice as long. */
export const uuidText: ReadText = (b, p, end) => {
  expectSize(p, end, 16);
  const [one, two] = [
    HEX[b[p]!]! + HEX[b[p + 1]!]! + HEX[b[p + 2]!]! + HEX[b[p + 3]!]!,
    HEX[b[p + 4]!]! + HEX[b[p + 5]!]!,
  ];
  const [three, four] = [HEX[b[p + 6]!]! + HEX[b[p + 7]!]!, HEX[b[p + 8]!]! + HEX[b[p + 9]!]!];
  const five =
    HEX[b[p + 10]!]! + HEX[b[p + 11]!]! + HEX[b[p + 12]!]! + HEX[b[p + 13]!]! + HEX[b[p + 14]!]! + HEX[b[p + 15]!]!;
  return `${one}-${two}-${three}-${four}-${five}`;
};

/** bit and varbit: how many, then the bits, filled up to whole bytes. */
export const bitsText: ReadText = (b, start, end) => {
  if (end - start < 4) malformed('bits without their number');
  const count = int32(b, start);
  if (count < 0) malformed(`${count} bits`);
  expectSize(start, end, 4 + Math.ceil(count / 8));
  let text = '';
  for (let at = start + 4; at < end; at++) text += (0x100 | b[at]!).toString(2).slice(1);
  return text.slice(0, count);
};
