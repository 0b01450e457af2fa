import fc from 'fast-check';
import { values, type Values } from './values.js';

/** What parsers of arrays, rows, ranges and strings could stumble over. */
export const TROUBLE = [
  '',
  ' ',
  '  two  ',
  'NULL',
  'null',
  '"',
  '""',
  "'",
  '\\',
  '\\\\',
  '\\"',
  '{',
  '}',
  '{}',
  '{a,"b"}',
  ',',
  ';',
  '(',
  ')',
  '[1,2]',
  '\t',
  '\n',
  '\r\n',
  '\\x41',
  '\\N',
  '\v\f\b',
  '\u0001',
  '\u007f',
  '\u0085',
  '\u00a0',
  '%s $1',
  'Grüße',
  'Ελλάδα',
  '日本語',
  'ا\u0644عربية',
  '🐘',
  '👩‍👩‍👧‍👦',
  'e\u0301',
  '\ufeffbom',
  '\u2028\u2029',
  '\u200b',
  '\ud7ff\ue000',
  '\ufffd',
  '\ufffe',
  '\uffff',
  '\u{10ffff}',
  'ÿþ',
  'Ã¼',
  'a'.repeat(127),
  'ß'.repeat(128),
];

const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TROUBLE.filter((each) => each.length < 9)) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
);

/** Any text that PostgreSQL can hold: it has no zero character. */
export const text: fc.Arbitrary<string> = fc
  .array(character, { maxLength: 8 })
  .map((parts) => parts.join('').replaceAll('\0', '_'));

/** Does not compress, so that it goes out of line. */
const LONG = Array.from({ length: 4_000 }, (_, index) => `${(index * 7_919).toString(36)}é`).join('');

/** The first bytes of `text`, no character cut in two. */
function clipped(text: string, bytes: number): string {
  let clip = '';
  for (const each of text) {
    if (Buffer.byteLength(clip + each) > bytes) break;
    clip += each;
  }
  return clip;
}

const byte = fc.oneof(
  fc.integer({ min: 1, max: 127 }).map((code) => String.fromCharCode(code)),
  // Octal from 16 on; before, the backslash.
  fc.nat(255).map((code) => `\\${code.toString(8).padStart(3, '0')}`),
  // The first of its two bytes.
  fc.constantFrom('é', 'я'),
);

const texts = values([...TROUBLE, LONG, 'x'.repeat(100_000)], text);

export const TEXTS: Readonly<Record<string, Values>> = {
  text: texts,
  varchar: texts,
  bpchar: values([...TROUBLE, 'a   ', LONG], text),
  refcursor: texts,
  name: values(
    ['', 'n', 'x'.repeat(63), 'é'.repeat(31), `${'é'.repeat(31)}x`, '🐘'.repeat(15), '"A b"'],
    text.map((each) => clipped(each, 63)),
  ),
  char: values(['', 'a', ' ', '"', '\\', '{', ',', 'é', '\\000', '\\200', '\\377', '\\134', '\u0001', '\u007f'], byte),
};
