import { describe, expect, it } from '@jest/globals';
import { checkFilter, keysOverlap, parkedErrorText } from '#lib/changes/parking.js';

describe('keysOverlap', () => {
  it.each([
    [['1'], ['1'], true],
    [['1'], ['2'], false],
    [['1', '2'], ['2', '3'], true],
    [['*'], ['1'], true],
    [['1'], ['*'], true],
    [['*'], ['*'], true],
    [[], ['1'], false],
    [[], ['*'], false],
    [[], [], false],
  ])('of %j and %j is %s', (one, other, overlap) => {
    expect(keysOverlap(one, other)).toBe(overlap);
  });
});

describe('checkFilter', () => {
  it('fills in what is not given', () => {
    expect(checkFilter({})).toEqual({ ids: null, handler: null, table: null, limit: 1000 });
    expect(checkFilter({ ids: ['9223372036854775807'], handler: 'A.b', table: 'orders', limit: 3 })).toEqual({
      ids: ['9223372036854775807'],
      handler: 'A.b',
      table: { schema: 'public', table: 'orders' },
      limit: 3,
    });
  });
});

describe('parkedErrorText', () => {
  it('is the message, cut, without null bytes; the name where there is none', () => {
    expect(parkedErrorText(new Error('a\0b'))).toBe('ab');
    expect(parkedErrorText(new TypeError(''))).toBe('TypeError');
    expect(parkedErrorText(new Error('x'.repeat(10_001)))).toBe('x'.repeat(10_000));
  });
});
