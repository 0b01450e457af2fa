import { isBeyond } from '../../changes/wal-position.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { lsnParts, parseLsn, type Lsn } from '../../protocol/lsn.js';
import type { PlaceRow, SpanRow } from './effects.sql.js';

/** Everything that a handler was given from here up to there is done. */
export interface Span {
  /** The first commit that it covers begins here or later. */
  readonly from: Lsn;
  /** The last place that it covers. */
  readonly upTo: WalPosition;
}

/** Whether a place is done, as far as spans say. */
export function isCovered(place: WalPosition, spans: readonly Span[]): boolean {
  return spans.some(({ from, upTo }) => place.commitLsn >= from && !isBeyond(place, upTo));
}

/** Those of an answer: of a handler without any, it has a row with none. */
export function spansOf(rows: readonly SpanRow[]): Span[] {
  const spans: Span[] = [];
  for (const row of rows) {
    if (row.from_lsn !== null) spans.push({ from: parseLsn(row.from_lsn), upTo: placeOfRow(row) });
  }
  return spans;
}

export function placeOfRow({ commit_lsn, wal_lsn, ordinal }: PlaceRow): WalPosition {
  return { commitLsn: parseLsn(commit_lsn), ...lsnParts(parseLsn(wal_lsn)), ordinal: Number(ordinal) };
}
