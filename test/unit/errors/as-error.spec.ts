import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { asError } from '#lib/errors/as-error.js';

describe('whatever was thrown', () => {
  it('stays what it is where it is an error, of this context or another', () => {
    class Mine extends Error {}
    for (const error of [new Error('x'), new Mine('x'), runInNewContext('new TypeError("x")') as Error]) {
      expect(asError(error)).toBe(error);
    }
  });

  it.each([
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [{}, '[object Object]'],
  ])('becomes one where it is none: %p', (thrown, message) => {
    const error = asError(thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe(message);
  });

  it('becomes one even where it cannot be told as text', () => {
    for (const thrown of [Object.create(null), { toString: () => raise(new Error('no text')) }] as unknown[]) {
      expect(asError(thrown)).toBeInstanceOf(Error);
    }
  });
});

function raise(error: Error): never {
  throw error;
}
