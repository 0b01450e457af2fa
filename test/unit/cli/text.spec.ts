import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { wrap } from '#lib/cli/doctor/report.js';
import { printable, printableJson, printableLines } from '#lib/cli/printable.js';
import { durationText, sizeText, textTable } from '#lib/cli/text-table.js';

describe('texts of the command line', () => {
  // oxlint-disable-next-line no-control-regex
  const OBEYED = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

  it('hold nothing that a terminal obeys, whatever they were', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0x2100 }).map((code) => String.fromCharCode(code)) }),
        (text) => {
          expect(printable(text)).not.toMatch(OBEYED);
          expect(printableLines(text).replaceAll('\n', '')).not.toMatch(OBEYED);
          const json = printableJson({ text });
          expect(json).not.toMatch(OBEYED);
          expect(JSON.parse(json)).toEqual({ text });
        },
      ),
    );
    expect(printable('a\u001b[31m\n\u009b\u202e"ü€')).toBe('a\\x1b[31m\\n\\x9b\\u202e"ü€');
    expect(printableLines('a\nb\r')).toBe('a\nb\\r');
  });

  it('stand below each other in tables', () => {
    const lines = textTable(
      ['A', 'LONG'],
      [
        ['äö', 'x'],
        ['€€€', ''],
      ],
      (row, column, text) => (row === 0 && column === 1 ? `<${text}>` : text),
    );
    expect(lines).toEqual(['A    LONG', 'äö   <x>', '€€€']);
  });

  it.each([
    [0, '0 bytes'],
    [10_239, '10239 bytes'],
    [10_240, '10 kB'],
    [25 * 1024 ** 3, '25 GB'],
  ])('say %d bytes as %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it.each([
    [3.2, '3 s'],
    [120, '2 min'],
    [7_200, '2 h'],
    [200_000, '2 d'],
  ])('say %d seconds as %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  it('are broken between words, and nothing is lost', () => {
    expect(wrap('one two three', 8)).toBe('one two\nthree');
    expect(wrap('a-very-long-word b', 4)).toBe('a-very-long-word\nb');
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 40 }), (text, width) => {
        expect(wrap(text, width).replaceAll(/[ \n]+/g, '')).toBe(text.replaceAll(/[ \n]+/g, ''));
      }),
    );
  });
});
