import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HaltApp, ParkChange, RetryChange, SkipChange } from '#lib/errors/verdict.error.js';
import { GuardRefusalError } from '#lib/errors/handler.error.js';
import { decideFailure, failureText, isParkChange, type RetryPolicy } from '#lib/events/failure-policy.js';
import type { OnExhausted } from '#lib/interfaces/pg-listener-options.interface.js';

const POLICY: RetryPolicy = { attempts: 4, minDelayMs: 100, maxDelayMs: 300, factor: 2, jitter: 0 };

const policy = fc.record({
  attempts: fc.integer({ min: 1, max: 100_000 }),
  minDelayMs: fc.integer({ min: 1, max: 10_000 }),
  maxDelayMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
/** What `'block'` makes of an ordinary error. */
function decide(attempt: number, retry: RetryPolicy, random?: () => number) {
  const decision = decideFailure(new Error('sorry'), attempt, retry, 'block', random);
  if (decision.action !== 'retry') throw new Error(`'block' does not ${decision.action}`);
  return decision;
}
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('a failed attempt', () => {
  it('is tried again with growing delays, and then on at the longest, as exhausted', () => {
    const decisions = [1, 2, 3, 4, 5, 100].map((attempt) => decide(attempt, POLICY));
    expect(decisions).toEqual([
      { action: 'retry', delayMs: 100, isExhausted: false, isAttempt: true },
      { action: 'retry', delayMs: 200, isExhausted: false, isAttempt: true },
      { action: 'retry', delayMs: 300, isExhausted: false, isAttempt: true },
      { action: 'retry', delayMs: 300, isExhausted: true, isAttempt: true },
      { action: 'retry', delayMs: 300, isExhausted: true, isAttempt: true },
      { action: 'retry', delayMs: 300, isExhausted: true, isAttempt: true },
    ]);
  });

  it('is exhausted at the first where one attempt is all there is', () => {
    expect(decide(1, { ...POLICY, attempts: 1 })).toMatchObject({ isExhausted: true, delayMs: 100 });
  });

  it('waits less by chance, by the share that the jitter says at most', () => {
    const at = (random: number) => decide(2, { ...POLICY, jitter: 0.5 }, () => random).delayMs;
    expect([at(0), at(0.5), at(1)]).toEqual([200, 150, 100]);
  });

  it('waits for nothing where nothing is the shortest delay, after however many attempts', () => {
    const eager = { ...POLICY, attempts: 1_000_000, minDelayMs: 0 };
    for (const attempt of [1, 2, 1_024, 1_025, 100_000]) {
      expect(decide(attempt, eager).delayMs).toBe(0);
    }
  });

  it('always waits a whole number of milliseconds within the bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), policy, chance, (attempt, each, random) => {
        const { delayMs, isExhausted } = decide(attempt, each, () => random);
        expect(isExhausted).toBe(attempt >= each.attempts);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(each.maxDelayMs);
      }),
    );
  });
});

const POLICIES: readonly OnExhausted[] = ['block', 'park', 'skip', 'halt'];

describe('a handler that has used up its attempts', () => {
  it.each(['park', 'skip', 'halt'] as const)('obeys %s at its last attempt, and not before', (onExhausted) => {
    const at = (attempt: number) => decideFailure(new Error('sorry'), attempt, POLICY, onExhausted, () => 0);
    expect(at(3)).toEqual({ action: 'retry', delayMs: 300, isExhausted: false, isAttempt: true });
    expect(at(4)).toEqual({ action: onExhausted, isVerdict: false });
    expect(at(5)).toEqual({ action: onExhausted, isVerdict: false });
  });
});

describe('a handler that decides itself', () => {
  const ofAnotherCopy = (code: string, more: object = {}): Error =>
    Object.assign(new Error('sorry'), { code, ...more });

  it.each(POLICIES)('is obeyed at the first attempt and after the last, whatever the policy: %s', (onExhausted) => {
    for (const attempt of [1, 4, 100]) {
      const decide = (error: unknown) => decideFailure(error, attempt, POLICY, onExhausted, () => 0);
      for (const [verdict, code, action] of [
        [new ParkChange(), 'PG_LISTENER_PARK_CHANGE', 'park'],
        [new SkipChange(), 'PG_LISTENER_SKIP_CHANGE', 'skip'],
        [new HaltApp(), 'PG_LISTENER_HALT_APP', 'halt'],
      ] as const) {
        expect(decide(verdict)).toEqual({ action, isVerdict: true });
        expect(decide(ofAnotherCopy(code))).toEqual({ action, isVerdict: true });
      }
      const again = { action: 'retry', isExhausted: false, isAttempt: false };
      const { delayMs } = POLICY.attempts === attempt ? { delayMs: 300 } : { delayMs: Math.min(100 * attempt, 300) };
      expect(decide(new RetryChange())).toEqual({ ...again, delayMs });
      expect(decide(new RetryChange({ delayMs: 17 }))).toEqual({ ...again, delayMs: 17 });
      expect(decide(new RetryChange({ delayMs: 0 }))).toEqual({ ...again, delayMs: 0 });
      expect(decide(ofAnotherCopy('PG_LISTENER_RETRY_CHANGE', { delayMs: 18 }))).toEqual({ ...again, delayMs: 18 });
    }
  });

  it('is given a delay that a timer can wait for', () => {
    const delayOf = (delayMs: unknown) =>
      decideFailure(ofAnotherCopy('PG_LISTENER_RETRY_CHANGE', { delayMs }), 1, POLICY, 'block', () => 0);
    for (const none of [-1, NaN, '5', null, undefined]) expect(delayOf(none)).toMatchObject({ delayMs: 100 });
    for (const long of [2 ** 31, 1e300, Infinity]) expect(delayOf(long)).toMatchObject({ delayMs: 2 ** 31 - 1 });
  });

  it('is no more than a failure where what it throws is none of these', () => {
    for (const error of [null, undefined, 'PG_LISTENER_SKIP_CHANGE', { code: 17 }, ofAnotherCopy('ECONNREFUSED')]) {
      expect(decideFailure(error, 1, POLICY, 'skip')).toMatchObject({ action: 'retry', isAttempt: true });
      expect(isParkChange(error)).toBe(false);
    }
    expect(isParkChange(ofAnotherCopy('PG_LISTENER_PARK_CHANGE'))).toBe(true);
  });
});

describe('the log of a failed attempt', () => {
  it('tells what follows behind what happened, and last how to mend it', () => {
    const text = (error: Error, onExhausted: OnExhausted): string =>
      failureText('orders', 'insert of x', 1, decideFailure(error, 4, POLICY, onExhausted), error);
    expect(text(new Error('sorry'), 'skip')).toBe(
      'Handler orders failed on insert of x (attempt 1): sorry; it is skipped',
    );
    const refusal = new GuardRefusalError('Gate', new Error('no'));
    for (const [policy, follows] of [
      ['skip', 'it is skipped'],
      ['halt', 'the app halts'],
      ['park', 'it is parked, and what follows for the same key waits behind it'],
      ['block', 'next try in 300 ms; the position holds until it succeeds'],
    ] as const) {
      expect(text(refusal, policy)).toBe(
        `Handler orders failed on insert of x (attempt 1): The guard Gate refuses it; ${follows}\n  How to mend it: ${refusal.hint}`,
      );
    }
  });
});
