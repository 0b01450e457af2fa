import { describe, expect, it } from '@jest/globals';
import { HandledPrefix } from '#lib/events/effects/handled-prefix.js';

const at = (number: number) => ({ commitLsn: BigInt(number), walHigh: 0, walLow: number, ordinal: 0 });

describe('the part of the progress that is one position', () => {
  it('goes as far as everything is done, in whatever order that was', () => {
    const prefix = new HandledPrefix();
    const given = [1, 2, 3, 4].map((number) => prefix.give(at(number)));
    prefix.done(given[1]!);
    prefix.done(given[3]!);
    expect(prefix.upTo).toBeNull();
    prefix.done(given[0]!);
    expect(prefix.upTo).toEqual(at(2));
    prefix.done(given[2]!);
    expect(prefix.upTo).toEqual(at(4));
  });

  it('stops before what was given up, and what is done of it late means nothing any more', () => {
    const prefix = new HandledPrefix();
    const [first, second] = [prefix.give(at(1)), prefix.give(at(2))];
    prefix.done(first);
    prefix.giveUp();
    prefix.done(second);
    expect(prefix.upTo).toEqual(at(1));
    prefix.done(prefix.give(at(2)));
    expect(prefix.upTo).toEqual(at(2));
  });

  it('forgets where positions mean nothing any more', () => {
    const prefix = new HandledPrefix();
    const given = prefix.give(at(9));
    prefix.done(prefix.give(at(8)));
    prefix.forget();
    prefix.done(given);
    expect(prefix.upTo).toBeNull();
  });

  it('keeps no memory of what is done, however long one at the head takes', () => {
    const prefix = new HandledPrefix();
    for (let number = 1; number <= 5_000; number++) prefix.done(prefix.give(at(number)));
    const open = prefix.give(at(5_001));
    for (let number = 5_002; number <= 8_000; number++) prefix.done(prefix.give(at(number)));
    expect(prefix.upTo).toEqual(at(5_000));
    prefix.done(open);
    expect(prefix.upTo).toEqual(at(8_000));
    expect((prefix as unknown as { queue: unknown[] }).queue).toHaveLength(0);
  });
});
