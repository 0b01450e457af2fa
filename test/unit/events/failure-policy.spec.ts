import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decideFailure, type RetryPolicy } from '#lib/events/failure-policy.js';

const POLICY: RetryPolicy = { attempts: 4, minDelayMs: 100, maxDelayMs: 300, factor: 2, jitter: 0 };

const policy = fc.record({
  attempts: fc.integer({ min: 1, max: 100_000 }),
  minDelayMs: fc.integer({ min: 1, max: 10_000 }),
  maxDelayMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('a failed attempt', () => {
  it('is tried again with growing delays, and then on at the longest, as exhausted', () => {
    const decisions = [1, 2, 3, 4, 5, 100].map((attempt) => decideFailure(attempt, POLICY, 'block'));
    expect(decisions).toEqual([
      { action: 'retry', delayMs: 100, isExhausted: false },
      { action: 'retry', delayMs: 200, isExhausted: false },
      { action: 'retry', delayMs: 300, isExhausted: false },
      { action: 'retry', delayMs: 300, isExhausted: true },
      { action: 'retry', delayMs: 300, isExhausted: true },
      { action: 'retry', delayMs: 300, isExhausted: true },
    ]);
  });

  it('is exhausted at the first where one attempt is all there is', () => {
    expect(decideFailure(1, { ...POLICY, attempts: 1 }, 'block')).toMatchObject({ isExhausted: true, delayMs: 100 });
  });

  it('waits less by chance, by the share that the jitter says at most', () => {
    const at = (random: number) => decideFailure(2, { ...POLICY, jitter: 0.5 }, 'block', () => random).delayMs;
    expect([at(0), at(0.5), at(1)]).toEqual([200, 150, 100]);
  });

  it('waits for nothing where nothing is the shortest delay, after however many attempts', () => {
    const eager = { ...POLICY, attempts: 1_000_000, minDelayMs: 0 };
    for (const attempt of [1, 2, 1_024, 1_025, 100_000]) {
      expect(decideFailure(attempt, eager, 'block').delayMs).toBe(0);
    }
  });

  it('always waits a whole number of milliseconds within the bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), policy, chance, (attempt, each, random) => {
        const { delayMs, isExhausted } = decideFailure(attempt, each, 'block', () => random);
        expect(isExhausted).toBe(attempt >= each.attempts);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(each.maxDelayMs);
      }),
    );
  });
});
