import { describe, expect, it } from '@jest/globals';
import { reviewHandlers } from '#lib/slots/new-handlers.js';

describe('the handlers of a process that takes over', () => {
  it('are all served from here on where none were recorded, and none is called new', () => {
    const review = reviewHandlers(null, ['a', 'b'], 0x500n, 0x100n);
    expect(review).toEqual({ served: { a: '0/500', b: '0/500' }, warnings: [], news: [] });
    expect(reviewHandlers({}, ['a'], 0x500n, 0x100n).warnings).toEqual([]);
  });

  it('keep since when they are served; those that are gone are dropped', () => {
    const review = reviewHandlers({ a: '0/100', old: '0/100' }, ['a'], 0x500n, 0x200n);
    expect(review).toEqual({ served: { a: '0/100' }, warnings: [], news: [] });
  });

  it('are told of as new with what they may have missed while the process waited', () => {
    const { served, warnings, news } = reviewHandlers({ a: '0/100' }, ['a', 'b'], 0x500n, 0x200n);
    expect(served).toEqual({ a: '0/100', b: '0/500' });
    expect(warnings).toEqual([
      expect.stringMatching(/^Handler b is new: .*between 0\/200 .* and 0\/500 .*without it$/),
    ]);
    expect(news).toEqual([]);
  });

  it('have missed nothing where the process did not wait, or nothing was confirmed meanwhile', () => {
    for (const since of [null, 0x500n, 0x600n]) {
      const { warnings, news } = reviewHandlers({ a: '0/100' }, ['a', 'b'], 0x500n, since);
      expect(warnings).toEqual([]);
      expect(news).toEqual(['Handler b is new: it sees what was committed after 0/500']);
    }
  });

  it('may have any name', () => {
    expect(Object.keys(reviewHandlers({ a: '0/1' }, ['toString', '__proto__'], 1n, null).served)).toEqual([
      'toString',
      '__proto__',
    ]);
  });
});
