import { describe, expect, it } from '@jest/globals';
import { kindOf, OptionReader } from '#lib/configs/option-reader.js';

function readAndFault<T>(read: (reader: OptionReader) => T): { value: T; faults: string[] } {
  const reader = new OptionReader();
  const value = read(reader);
  return { value, faults: reader.faults.map(({ path, problem }) => `${path}: ${problem}`) };
}

describe('the kind of a value', () => {
  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['', 'an empty string'],
    ['secret', 'a string'],
    [7, 'a number'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [true, 'a boolean'],
    [{}, 'an object'],
    [[], 'an empty array'],
    [['secret'], 'an array'],
    [() => 1, 'a function'],
    [1n, 'a bigint'],
  ])('of %p is told without its content: %s', (value, kind) => expect(kindOf(value)).toBe(kind));
});

describe('OptionReader', () => {
  it('gives the fallback for what is undefined, without a fault', () => {
    expect(readAndFault((reader) => reader.number('n', undefined, 3, { min: 1 }))).toEqual({ value: 3, faults: [] });
    expect(readAndFault((reader) => reader.boolean('b', undefined, true))).toEqual({ value: true, faults: [] });
    expect(readAndFault((reader) => reader.oneOf('o', undefined, 'a', ['a', 'b']))).toEqual({ value: 'a', faults: [] });
    expect(readAndFault((reader) => reader.strings('s', undefined))).toEqual({ value: [], faults: [] });
    expect(readAndFault((reader) => reader.object('x', undefined, []))).toEqual({ value: {}, faults: [] });
  });

  it.each([1, 10])('takes the number %d, at the edge of its range', (given) => {
    expect(readAndFault((reader) => reader.number('n', given, 3, { min: 1, max: 10 })).value).toBe(given);
  });

  it.each([0, 11, 1.5, Number.NaN, '2', null, true])('goes on with the fallback for the number %p', (given) => {
    const { value, faults } = readAndFault((reader) => reader.number('n', given, 3, { min: 1, max: 10 }));
    expect(value).toBe(3);
    expect(faults).toEqual([expect.stringMatching(/^n: is .*; a whole number from 1 to 10 is wanted$/)]);
  });

  it('takes a fraction where it may be one', () => {
    const rule = { min: 0, max: 1, integer: false };
    expect(readAndFault((reader) => reader.number('n', 0.5, 0, rule))).toEqual({ value: 0.5, faults: [] });
    expect(readAndFault((reader) => reader.number('n', 2, 0, rule)).faults).toEqual([
      'n: is 2; a number from 0 to 1 is wanted',
    ]);
  });

  it('says where a range is open', () => {
    expect(readAndFault((reader) => reader.number('n', 0, 1, { min: 1 })).faults).toEqual([
      'n: is 0; a whole number from 1 up is wanted',
    ]);
  });

  it('takes true and false for booleans, and nothing else', () => {
    expect(readAndFault((reader) => reader.boolean('b', false, true))).toEqual({ value: false, faults: [] });
    for (const given of ['false', 0, null]) {
      const { value, faults } = readAndFault((reader) => reader.boolean('b', given, true));
      expect(value).toBe(true);
      expect(faults).toEqual([expect.stringMatching(/^b: is .*; true or false is wanted$/)]);
    }
  });

  it('names what is allowed', () => {
    const { value, faults } = readAndFault((reader) => reader.oneOf('o', 3, 'a', ['a', 'b']));
    expect(value).toBe('a');
    expect(faults).toEqual(["o: is a number; 'a' or 'b' is wanted"]);
  });

  it('takes a list of names, and one alone where that is said', () => {
    expect(readAndFault((reader) => reader.strings('s', ['a', 'b'])).value).toEqual(['a', 'b']);
    expect(readAndFault((reader) => reader.strings('s', 'a', true))).toEqual({ value: ['a'], faults: [] });
    expect(readAndFault((reader) => reader.strings('s', 'a')).faults).toEqual([
      's: is a string; an array of strings is wanted',
    ]);
  });

  it('names the place of each faulty name and keeps the others', () => {
    expect(readAndFault((reader) => reader.strings('s', ['a', '', 3, null]))).toEqual({
      value: ['a'],
      faults: [
        's[1]: is an empty string; a name is wanted',
        's[2]: is a number; a name is wanted',
        's[3]: is null; a name is wanted',
      ],
    });
  });

  it('finds every unknown key of an object, under its path', () => {
    const { faults } = readAndFault((reader) => reader.object('a.b', { known: 1, x: 2, y: 3 }, ['known']));
    expect(faults).toEqual(['a.b.x: is no option here; known are known', 'a.b.y: is no option here; known are known']);
  });

  it('takes arrays and null for no objects', () => {
    for (const given of [[], null, 'x']) {
      expect(readAndFault((reader) => reader.object('x', given, [])).faults).toHaveLength(1);
    }
  });

  it('does not copy the list of the user into the configuration', () => {
    const mine = ['a'];
    expect(readAndFault((reader) => reader.strings('s', mine)).value).not.toBe(mine);
  });
});
