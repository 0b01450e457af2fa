import type { EffectPlace } from '../interfaces/effects-store.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import { lsnFromParts, lsnParts } from '../protocol/lsn.js';

/** Whether `position` lies behind `other` in the stream. */
export function isBeyond(position: WalPosition, other: WalPosition): boolean {
  if (position.commitLsn !== other.commitLsn) return position.commitLsn > other.commitLsn;
  const here = lsnFromParts(position.walHigh, position.walLow);
  const there = lsnFromParts(other.walHigh, other.walLow);
  return here > there || (here === there && position.ordinal > other.ordinal);
}

/** Of a transaction as a whole: it lies behind its changes. */
export function placeOfCommit({ commitLsn, history }: Pick<EffectPlace, 'commitLsn' | 'history'>): EffectPlace {
  return { commitLsn, ...lsnParts(commitLsn), ordinal: 0, history };
}

/** The one that lies behind the other; null is before everything. */
export function laterOf(one: WalPosition | null, other: WalPosition | null): WalPosition | null {
  if (one === null || other === null) return one ?? other;
  return isBeyond(one, other) ? one : other;
}
