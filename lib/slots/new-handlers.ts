import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { ServedHandlers } from './slot-record.js';

export interface HandlerReview {
  /** To be recorded: the app's handlers and no others. */
  readonly served: ServedHandlers;
  readonly warnings: readonly string[];
  readonly news: readonly string[];
}

/**
 * Compares the handlers that were served so far with those of this process.
 *
 * @param recorded null: nothing is recorded, so that none counts as new
 * @param slotLsn where the slot stands when this process takes over
 * @param waitingSince end of the log when this process began to wait for the slot; null: it did not have to
 */
export function reviewHandlers(
  recorded: ServedHandlers | null,
  ids: readonly string[],
  slotLsn: Lsn,
  waitingSince: Lsn | null,
): HandlerReview {
  const here = formatLsn(slotLsn);
  const known = recorded ?? {};
  const served = Object.fromEntries(ids.map((id) => [id, Object.hasOwn(known, id) ? known[id]! : here]));
  // Where none were recorded, it is the handlers that are first, not this one that is new.
  const fresh = Object.keys(known).length === 0 ? [] : ids.filter((id) => !Object.hasOwn(known, id));
  const hasWaited = waitingSince !== null && waitingSince < slotLsn;
  const warnings = hasWaited
    ? fresh.map(
        (id) =>
          `Handler ${id} is new: what was committed between ${formatLsn(waitingSince)} (when this process began to wait) ` +
          `and ${here} (where it takes over) was confirmed without it`,
      )
    : [];
  const news = hasWaited ? [] : fresh.map((id) => `Handler ${id} is new: it sees what was committed after ${here}`);
  return { served, warnings, news };
}
