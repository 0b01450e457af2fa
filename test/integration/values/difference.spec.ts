import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { difference } from '../../support/values/difference.js';

const interval = (text: string): unknown => pg.types.getTypeParser(1186 as never, 'text')(text);

describe('difference', () => {
  it.each<[string, unknown, unknown]>([
    ['-0 and 0', { a: -0 }, { a: 0 }],
    ['null and undefined', [null], [undefined]],
    ['a missing key', { a: 1 }, { a: 1, b: undefined }],
    ['another order of keys', { a: 1, b: 2 }, { b: 2, a: 1 }],
    ['a number and a bigint', 1, 1n],
    ['a date and an invalid date', new Date(0), new Date(NaN)],
    ['two dates', new Date(0), new Date(1)],
    ['a Buffer and a Uint8Array', Buffer.from([1]), new Uint8Array([1])],
    ['two Buffers', Buffer.from([1]), Buffer.from([2])],
    ['an interval and a plain object', interval('1 day'), { days: 1 }],
    ['two intervals', interval('1 day'), interval('2 days')],
    ['an array and an object', [], {}],
    ['a longer array', [1, null], [1]],
    ['null and an object', null, {}],
    ['a null prototype', Object.create(null), {}],
    ['deep inside', { a: [{ b: NaN }] }, { a: [{ b: 0 }] }],
  ])('sees %s', (_, a, b) => {
    expect(difference(a, b)).toBeDefined();
    expect(difference(b, a)).toBeDefined();
  });

  it.each<[string, () => unknown]>([
    ['NaN', () => [NaN]],
    ['invalid dates', () => new Date(NaN)],
    ['Buffers', () => Buffer.from('ä')],
    ['intervals', () => interval('1 year -02:03:04.5')],
    ['objects with awkward keys', () => JSON.parse('{"__proto__":{"x":[1]},"constructor":null}') as unknown],
  ])('takes equal %s for equal', (_, make) => {
    expect(difference(make(), make())).toBeUndefined();
  });

  it('says where', () => {
    expect(difference({ a: [{ b: 'x' }] }, { a: [{ b: 'y' }] }, 'row')).toBe("row.a.0.b: 'x' instead of 'y'");
  });
});
