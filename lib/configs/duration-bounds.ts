import { PgListenerConfigError } from '../errors/config.error.js';

/** From a handler that touches memory only to one that waits for another service, in seconds. */
const DEFAULT_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** @throws PgListenerConfigError where they are no growing positive numbers */
export function durationBounds(app: string, bounds: readonly number[] = DEFAULT_BOUNDS): readonly number[] {
  const isGrowing = bounds.every((bound, index) => Number.isFinite(bound) && bound > (bounds[index - 1] ?? 0));
  if (bounds.length > 0 && isGrowing) return [...bounds];
  const problem = 'are not bounds of durations; growing positive numbers, in seconds, are wanted';
  throw new PgListenerConfigError(app, [{ path: 'timeHandlers', problem }]);
}
