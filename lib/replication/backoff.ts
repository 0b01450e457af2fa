export interface BackoffOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  /** Share of the delay that is random, 0 to 1: a fleet that lost one server must not come back in step. */
  readonly jitter: number;
}

export const RECONNECT_BACKOFF: BackoffOptions = { minDelayMs: 100, maxDelayMs: 30_000, factor: 2, jitter: 0.3 };

/** Milliseconds to wait before try `attempt + 1`, `attempt` counting failures from 1. */
export function backoffDelay(attempt: number, options: BackoffOptions, random: () => number = Math.random): number {
  // 0 stays 0, also where the factor's power has become infinite.
  const grown =
    options.minDelayMs && Math.min(options.minDelayMs * options.factor ** (attempt - 1), options.maxDelayMs);
  return Math.round(grown * (1 - options.jitter * random()));
}
