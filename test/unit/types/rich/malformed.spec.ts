import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { arrayParser } from '#lib/types/rich/array.js';
import { compositeParser, recordFields } from '#lib/types/rich/composite.js';
import { parseHstore } from '#lib/types/rich/hstore.js';
import { multirangeParser, rangeParser } from '#lib/types/rich/range.js';
import type { TextParser } from '#lib/types/type-parsers.js';

const TEXT = { parse: (text: string) => text, identity: true };
const PARSERS: readonly (readonly [name: string, parse: TextParser, good: string])[] = [
  ['array', arrayParser(TEXT, ','), '[0:1][1:2]={{"a\\"b",NULL},{c,"d e"}}'],
  ['array of boxes', arrayParser(TEXT, ';'), '{(1,1),(0,0);(2,2),(1,1)}'],
  ['range', rangeParser(TEXT), '["a""b",c)'],
  ['multirange', multirangeParser(TEXT), '{[a,b),["c,d","e)"]}'],
  [
    'composite',
    compositeParser(
      [
        { name: 'a', ...TEXT },
        { name: 'b', ...TEXT },
      ],
      () => ['x', null],
    ),
    '("a ""b\\\\",)',
  ],
  ['hstore', parseHstore, '"a"=>"1", "b\\""=>NULL'],
];
const SIGNS = [
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  ',',
  ';',
  '"',
  '\\',
  '=',
  '=>',
  ' ',
  ':',
  'NULL',
  'empty',
  'a',
  '1',
  '\u0000',
  '🎉',
  '\ud800',
];

describe.each(PARSERS)('the text of %s', (_, parse, good) => {
  const malformed = fc.oneof(
    fc.array(fc.constantFrom(...SIGNS), { maxLength: 30 }).map((signs) => signs.join('')),
    fc
      .tuple(fc.nat(good.length), fc.nat(3), fc.constantFrom('', ...SIGNS))
      .map(([at, gone, sign]) => good.slice(0, at) + sign + good.slice(at + gone)),
  );

  it('is read', () => {
    expect(parse(good)).toBeDefined();
  });

  it('is read or refused without being shown, whatever is wrong with it', () => {
    let refused = 0;
    fc.assert(
      fc.property(malformed, (text) => {
        try {
          parse(text);
        } catch (error) {
          refused++;
          expect(error).toBeInstanceOf(TypeError);
          expect((error as Error).message).toMatch(/^malformed text: /);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it('is refused at once where it is long', () => {
    for (const sign of SIGNS) {
      const begin = performance.now();
      expect(() => parse(good.slice(0, 4) + sign.repeat(200_000))).toThrow();
      expect(performance.now() - begin).toBeLessThan(2_000);
    }
  });
});

describe('a composite value', () => {
  it('of one attribute that is null, and of none, are written alike', () => {
    expect(recordFields('()', 0)).toEqual([]);
    expect(recordFields('()', 1)).toEqual([null]);
  });

  it('tells null from an empty string', () => {
    expect(recordFields('(,"",)', 3)).toEqual([null, '', null]);
  });
});
