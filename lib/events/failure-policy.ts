import type { OnExhausted } from '../interfaces/pg-listener-options.interface.js';

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
  | { readonly action: 'retry'; readonly delayMs: number; readonly isExhausted: false }
  /** 'block': tried on, the delays growing to the longest, loudly, holding the position. */
  | { readonly action: 'retry'; readonly delayMs: number; readonly isExhausted: true };

/**
 * Decides about a failed attempt; pure. This is the one place for policies: further members of `OnExhausted` become
 * further actions here and are carried out by the dispatcher.
 *
 * @param attempt the one that failed, from 1
 */
export function decideFailure(
  attempt: number,
  retry: RetryPolicy,
  onExhausted: OnExhausted,
  random: () => number = Math.random,
): FailureDecision {
  const delayMs = jittered(grownDelay(attempt, retry), retry.jitter, random);
  if (attempt < retry.attempts) return { action: 'retry', delayMs, isExhausted: false };
  switch (onExhausted) {
    case 'block':
      return { action: 'retry', delayMs, isExhausted: true };
  }
}

/** What the log says of a failed attempt. */
export function failureText(
  handler: string,
  work: string,
  attempt: number,
  { delayMs, isExhausted }: FailureDecision,
  reason: Error,
): string {
  const hold = isExhausted ? '; the position holds until it succeeds' : '';
  return `Handler ${handler} failed on ${work} (attempt ${attempt}): ${reason.message}; next try in ${delayMs} ms${hold}`;
}

function grownDelay(attempt: number, { minDelayMs, maxDelayMs, factor }: RetryPolicy): number {
  // 0 stays 0, also where the factor's power has become infinite.
  return minDelayMs && Math.min(minDelayMs * factor ** (attempt - 1), maxDelayMs);
}

function jittered(delayMs: number, jitter: number, random: () => number): number {
  return Math.round(delayMs * (1 - jitter * random()));
}
