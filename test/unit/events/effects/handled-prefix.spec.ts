import { describe, expect, it } from '@jest/globals';
import { HandledPrefix } from '#lib/events/effects/handled-prefix.js';
import type { StreamHistory } from '#lib/interfaces/effects-store.interface.js';
import { HISTORY } from '../../../support/history.js';

const at = (number: number) => ({ commitLsn: BigInt(number), walHigh: 0, walLow: number, ordinal: 0 });
const from = (history: StreamHistory | null, number: number) => ({ ...at(number), history });
const of = (number: number) => from(HISTORY, number);

/** Of a stream that has begun. */
function begun(): HandledPrefix {
  const prefix = new HandledPrefix();
  prefix.enter(HISTORY);
  return prefix;
}

describe('the part of the progress that is one position', () => {
  it('goes as far as everything is done, in whatever order that was', () => {
    const prefix = begun();
    const given = [1, 2, 3, 4].map((number) => prefix.give(of(number)));
    prefix.done(given[1]!);
    prefix.done(given[3]!);
    expect(prefix.upTo).toBeNull();
    prefix.done(given[0]!);
    expect(prefix.upTo).toEqual(at(2));
    prefix.done(given[2]!);
    expect(prefix.upTo).toEqual(at(4));
  });

  it('stops before what was given up, and what is done of it late means nothing any more', () => {
    const prefix = begun();
    const [first, second] = [prefix.give(of(1)), prefix.give(of(2))];
    prefix.done(first);
    prefix.giveUp();
    prefix.done(second);
    expect(prefix.upTo).toEqual(at(1));
    prefix.done(prefix.give(of(2)));
    expect(prefix.upTo).toEqual(at(2));
  });

  it('forgets where positions mean nothing any more', () => {
    const prefix = begun();
    const given = prefix.give(of(9));
    prefix.done(prefix.give(of(8)));
    prefix.forget();
    prefix.done(given);
    expect(prefix.upTo).toBeNull();
  });

  it('does not count what was in hand when the server left its history: it may have more handlers to come to', () => {
    const prefix = begun();
    const left = prefix.give(of(8));
    // The same names: a server that was put back.
    const now = { ...HISTORY };
    prefix.forget();
    prefix.done(left);
    prefix.done(prefix.give(of(9)));
    prefix.enter(now);
    prefix.done(prefix.give(of(10)));
    prefix.done(prefix.give(from(null, 11)));
    expect(prefix.upTo).toBeNull();
    prefix.done(prefix.give(from(now, 2)));
    expect(prefix.upTo).toEqual(at(2));
    prefix.enter(now);
    expect(prefix.upTo).toEqual(at(2));
    prefix.enter(HISTORY);
    expect(prefix.upTo).toBeNull();
  });

  it('keeps no memory of what is done, however long one at the head takes', () => {
    const prefix = begun();
    for (let number = 1; number <= 5_000; number++) prefix.done(prefix.give(of(number)));
    const open = prefix.give(of(5_001));
    for (let number = 5_002; number <= 8_000; number++) prefix.done(prefix.give(of(number)));
    expect(prefix.upTo).toEqual(at(5_000));
    prefix.done(open);
    expect(prefix.upTo).toEqual(at(8_000));
    expect((prefix as unknown as { queue: unknown[] }).queue).toHaveLength(0);
  });
});
