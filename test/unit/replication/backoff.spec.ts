import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffDelay, RECONNECT_BACKOFF } from '#lib/replication/backoff.js';

const options = fc.record({
  minDelayMs: fc.integer({ min: 1, max: 10_000 }),
  maxDelayMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('the delay before the next try', () => {
  it('is a whole number of milliseconds within its bounds, after however many failures', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), options, chance, (attempt, each, random) => {
        const delay = backoffDelay(attempt, each, () => random);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeLessThanOrEqual(each.maxDelayMs);
        expect(delay).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('stays nothing where nothing is the shortest, after however many failures', () => {
    for (const attempt of [1, 2, 1_024, 1_025, 100_000]) {
      expect(backoffDelay(attempt, { ...RECONNECT_BACKOFF, minDelayMs: 0 })).toBe(0);
    }
  });

  it('grows with each failure until it has reached the longest', () => {
    const delays = [1, 2, 3, 4, 9, 10, 50].map((attempt) => backoffDelay(attempt, RECONNECT_BACKOFF, () => 0));
    expect(delays).toEqual([100, 200, 400, 800, 25_600, 30_000, 30_000]);
  });

  it('is shortened by chance, by the share that the jitter says at most', () => {
    const at = (random: number) => backoffDelay(2, { ...RECONNECT_BACKOFF, jitter: 0.5 }, () => random);
    expect([at(0), at(0.5), at(1)]).toEqual([200, 150, 100]);
  });

  it('differs between the members of a fleet', () => {
    const delays = Array.from({ length: 50 }, () => backoffDelay(8, RECONNECT_BACKOFF));
    expect(new Set(delays).size).toBeGreaterThan(1);
    for (const delay of delays) expect(delay).toBeGreaterThanOrEqual(12_800 * 0.7);
  });
});
