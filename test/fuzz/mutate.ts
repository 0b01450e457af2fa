import { Random } from '../faults/random.js';

/** Kinds of tuples and columns, and what ends or fills: where one stands, another is worth a try. */
const BYTES = [0x00, 0x01, 0x7f, 0x80, 0xff, ...Buffer.from('KONntubBCRYITUDMSEcAbPKrp\\{}",:.-x0')];
const LENGTHS = [-1, 0, 1, 2, 3, 4, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x7fff_ffff, -0x8000_0000];
const LONGEST = 16_384;

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

function at(bytes: Buffer, random: Random): number {
  // The head of a message is where most is decided.
  return random.chance(0.3) ? random.below(Math.min(bytes.length, 16)) : random.below(bytes.length);
}

function set(bytes: Buffer, place: number, byte: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[place] = byte;
  return copy;
}

function replace(bytes: Buffer, from: number, to: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

function range(bytes: Buffer, random: Random): [number, number] {
  const from = at(bytes, random);
  return [from, Math.min(bytes.length, from + 1 + random.below(random.chance(0.5) ? 8 : 64))];
}

/** A number of two or four bytes, such as a length or a count, becomes another one. */
function setNumber(bytes: Buffer, random: Random): Buffer {
  const size = random.chance(0.5) ? 2 : 4;
  if (bytes.length < size) return bytes;
  const copy = Buffer.from(bytes);
  const place = random.below(bytes.length - size + 1);
  const rest = bytes.length - place - size;
  const now = size === 2 ? copy.readInt16BE(place) : copy.readInt32BE(place);
  const value = random.pick([random.pick(LENGTHS), rest, rest + 1, rest - 1, now + 1, now - 1]);
  if (size === 2) copy.writeUInt16BE(value & 0xffff, place);
  else copy.writeUInt32BE(value >>> 0, place);
  return copy;
}

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => {
    const place = at(bytes, random);
    return set(bytes, place, bytes[place]! ^ (1 << random.below(8)));
  },
  (bytes, random) => set(bytes, at(bytes, random), random.chance(0.5) ? random.pick(BYTES) : random.below(256)),
  setNumber,
  setNumber,
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => replace(bytes, ...range(bytes, random), Buffer.alloc(0)),
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return replace(bytes, to, to, bytes.subarray(from, to));
  },
  (bytes, random) => {
    const place = random.below(bytes.length + 1);
    const more = Buffer.from(Array.from({ length: 1 + random.below(8) }, () => random.pick(BYTES)));
    return replace(bytes, place, place, more);
  },
  // The head of one and the tail of another.
  (bytes, random, other) =>
    Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1))]),
  (bytes, random, other) =>
    other.length === 0 ? bytes : replace(bytes, ...range(bytes, random), other.subarray(...range(other, random))),
];

/** Something near to a message. @param other what parts of it may be taken from */
export function mutate(message: Buffer, random: Random, other: () => Buffer): Buffer {
  let bytes = message;
  for (let left = 1 + random.below(random.chance(0.7) ? 2 : 6); left > 0; left--) {
    if (bytes.length > 0) bytes = random.pick(MUTATIONS)(bytes, random, other());
  }
  return bytes.subarray(0, LONGEST);
}

/** A sequence near to one: messages left out, said twice, moved, changed. */
export function mutateSequence(messages: readonly Buffer[], random: Random): Buffer[] {
  const list = [...messages];
  for (let left = 1 + random.below(4); left > 0 && list.length > 0; left--) {
    const place = random.below(list.length);
    const other = random.below(list.length);
    const how = random.below(6);
    if (how === 0) list.splice(place, 1);
    else if (how === 1) list.splice(place, 0, list[other]!);
    else if (how === 2) [list[place], list[other]] = [list[other]!, list[place]!];
    else if (how === 3) list.splice(place, random.below(8));
    else list[place] = mutate(list[place]!, random, () => list[other]!);
  }
  return list;
}
