import { ByteReader } from '../../protocol/byte-reader.js';
import { malformed, type ReadText } from './value-reader.js';

/** jsonb and jsonpath: the number of the format, then the text. */
export const versionedText: ReadText = (b, start, end) => {
  if (start >= end || b[start] !== 1) malformed(`unknown version ${b[start]} of the binary form`);
  return b.utf8Slice(start + 1, end);
};

/** A reader of one value: what would read beyond it throws. */
export function readerOf(buffer: ByteReader['buffer'], start: number, end: number): ByteReader {
  return new ByteReader().reset(buffer, start, end, 'value');
}

function quoted(word: string): string {
  return `'${word.replace(/['\\]/g, '$&$&')}'`;
}

const WEIGHTS = ['', 'C', 'B', 'A'];
const POSITION_BITS = 14;

export const tsvectorText: ReadText = (b, start, end) => {
  const reader = readerOf(b, start, end);
  let text = '';
  for (let left = reader.int32(); left > 0; left--) {
    text += `${text === '' ? '' : ' '}${quoted(reader.cString())}`;
    const positions = reader.int16() & 0xffff;
    for (let index = 0; index < positions; index++) {
      const each = reader.int16() & 0xffff;
      text += `${index === 0 ? ':' : ','}${each & ((1 << POSITION_BITS) - 1)}${WEIGHTS[each >> POSITION_BITS]!}`;
    }
  }
  reader.expectEnd();
  return text;
};

const QueryItem = { Value: 1, Operator: 2 } as const;
const Operator = { Not: 1, And: 2, Or: 3, Phrase: 4 } as const;
/** How strongly each binds. */
const PRIORITY: Readonly<Record<number, number>> = {
  [Operator.Or]: 1,
  [Operator.And]: 2,
  [Operator.Phrase]: 3,
  [Operator.Not]: 4,
};
/** Bits of a value's weights, in the order in which they are written. */
const WEIGHT_BITS = [
  [8, 'A'],
  [4, 'B'],
  [2, 'C'],
  [1, 'D'],
] as const;

/** In Polish notation, the right operand first. */
export const tsqueryText: ReadText = (b, start, end) => {
  const reader = readerOf(b, start, end);
  const count = reader.int32();
  const text = count === 0 ? '' : queryItem(reader, -1, false);
  reader.expectEnd();
  return text;
};

function queryItem(reader: ByteReader, outer: number, isRightOfPhrase: boolean): string {
  const type = reader.uint8();
  if (type === QueryItem.Value) return queryValue(reader);
  if (type !== QueryItem.Operator) malformed(`unknown part of a query ${type}`);
  const operator = reader.uint8();
  const priority = PRIORITY[operator] ?? malformed(`unknown operator ${operator}`);
  if (operator === Operator.Not) {
    const text = `!${queryItem(reader, priority, false)}`;
    return priority < outer ? `( ${text} )` : text;
  }
  const isPhrase = operator === Operator.Phrase;
  const distance = isPhrase ? reader.int16() : 0;
  const right = queryItem(reader, priority, isPhrase);
  const left = queryItem(reader, priority, false);
  const sign = isPhrase ? `<${distance === 1 ? '-' : distance}>` : operator === Operator.And ? '&' : '|';
  const text = `${left} ${sign} ${right}`;
  return priority < outer || (isPhrase && isRightOfPhrase) ? `( ${text} )` : text;
}

function queryValue(reader: ByteReader): string {
  const weight = reader.uint8();
  const isPrefix = reader.uint8() !== 0;
  const word = quoted(reader.cString());
  if (weight === 0 && !isPrefix) return word;
  const letters = WEIGHT_BITS.map(([bit, letter]) => ((weight & bit) === 0 ? '' : letter)).join('');
  return `${word}:${isPrefix ? '*' : ''}${letters}`;
}
