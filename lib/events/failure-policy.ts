import { withConsequence } from '../errors/pg-listener.error.js';
import type { RetryChange } from '../errors/verdict.error.js';
import type { OnExhausted } from '../interfaces/pg-listener-options.interface.js';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Retry options with every default filled in. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  readonly jitter: number;
}

/** What to do about a call that failed. */
export type FailureDecision =
  | {
      readonly action: 'retry';
      readonly delayMs: number;
      /** 'block': tried on, the delays growing to the longest, loudly, holding the position. */
      readonly isExhausted: boolean;
      /** False: the handler asked for another try, and it is none of its attempts. */
      readonly isAttempt: boolean;
    }
  | {
      readonly action: 'park' | 'skip' | 'halt';
      /** The handler itself says so; else it has used up its attempts. */
      readonly isVerdict: boolean;
    };

/**
 * Decides about a failed attempt; pure. What the handler threw may decide itself (`RetryChange`, `ParkChange`,
 * `SkipChange`, `HaltApp`); else its attempts are counted, and then its policy decides: at once about a row that does not
 * fit the handler's schema.
 *
 * @param attempt the one that failed, from 1
 */
export function decideFailure(
  error: unknown,
  attempt: number,
  retry: RetryPolicy,
  onExhausted: OnExhausted,
  random: () => number = Math.random,
): FailureDecision {
  const delayMs = jittered(grownDelay(attempt, retry), retry.jitter, random);
  switch (verdictOf(error)) {
    case 'PG_LISTENER_RETRY_CHANGE': {
      const asked: unknown = (error as RetryChange).delayMs;
      return { action: 'retry', delayMs: timerDelay(asked) ?? delayMs, isExhausted: false, isAttempt: false };
    }
    case 'PG_LISTENER_PARK_CHANGE':
      return { action: 'park', isVerdict: true };
    case 'PG_LISTENER_SKIP_CHANGE':
      return { action: 'skip', isVerdict: true };
    case 'PG_LISTENER_HALT_APP':
      return { action: 'halt', isVerdict: true };
  }
  if (attempt < retry.attempts && !isInvalidRow(error))
    return { action: 'retry', delayMs, isExhausted: false, isAttempt: true };
  if (onExhausted === 'block') return { action: 'retry', delayMs, isExhausted: true, isAttempt: true };
  return { action: onExhausted, isVerdict: false };
}

/** Whether an array is taken apart: one of its items may be to blame for all, and each has to show for itself. */
export function isTakenApart(decision: FailureDecision, items: number): boolean {
  if (items < 2 || decision.action === 'halt') return false;
  return decision.action === 'retry' ? decision.isExhausted : !decision.isVerdict;
}

/** By its code: there may be two copies of the package in one application. */
function verdictOf(error: unknown): string | undefined {
  return (error as { code?: string } | null | undefined)?.code;
}

/** Null: none that a timer could wait for. One that is too long for it would fire at once, again and again. */
function timerDelay(asked: unknown): number | null {
  return typeof asked === 'number' && asked >= 0 ? Math.min(asked, LONGEST_TIMER_MS) : null;
}

/**
 * After tries that do not count, for nobody's fault: the delays grow as those of attempts do.
 *
 * @param tries so far
 */
export function delayAfter(tries: number, retry: RetryPolicy, random: () => number = Math.random): number {
  return jittered(grownDelay(tries, retry), retry.jitter, random);
}

/** Whether the handler is not to blame, and nothing of the call has happened. */
export function isInterruption(error: unknown): boolean {
  return verdictOf(error) === 'PG_LISTENER_EFFECTS_INTERRUPTED';
}

/** Whether the row does not fit the handler's schema: it fits no better at another try. */
function isInvalidRow(error: unknown): boolean {
  return verdictOf(error) === 'PG_LISTENER_ROW_SCHEMA';
}

/** Whether the handler asks for parking. */
export function isParkChange(error: unknown): boolean {
  return verdictOf(error) === 'PG_LISTENER_PARK_CHANGE';
}

/**
 * What the log says of a failed attempt.
 *
 * @param hasKey false: a message, which nothing waits behind
 */
export function failureText(
  handler: string,
  work: string,
  attempt: number,
  decision: FailureDecision,
  reason: Error,
  hasKey = true,
): string {
  return `Handler ${handler} failed on ${work} (attempt ${attempt}): ${withConsequence(reason, consequenceOf(decision, hasKey))}`;
}

function consequenceOf(decision: FailureDecision, hasKey: boolean): string {
  switch (decision.action) {
    case 'retry': {
      const hold = decision.isExhausted ? '; the position holds until it succeeds' : '';
      return `next try in ${decision.delayMs} ms${hold}`;
    }
    case 'park':
      return `it is parked${hasKey ? ', and what follows for the same key waits behind it' : ''}`;
    case 'skip':
      return 'it is skipped';
    case 'halt':
      return 'the app halts';
  }
}

function grownDelay(attempt: number, { minDelayMs, maxDelayMs, factor }: RetryPolicy): number {
  // 0 stays 0, also where the factor's power has become infinite.
  return minDelayMs && Math.min(minDelayMs * factor ** (attempt - 1), maxDelayMs);
}

function jittered(delayMs: number, jitter: number, random: () => number): number {
  return Math.round(delayMs * (1 - jitter * random()));
}
