import { isBeyond } from '../../changes/wal-position.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { lsnFromParts, lsnParts, parseLsn, type Lsn } from '../../protocol/lsn.js';
import type { PlaceRow, SpanRow } from './call.sql.js';

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

/**
 * What a call has claimed, and nobody has done before: what could be claimed although a span covers it is done by somebody
 * else.
 *
 * @param wanted indexes of `places`
 * @param rows what the handler's spans are, by an answer that is newer than the claim
 * @returns those of `wanted`, in the order of the stream
 */
export function claimedOf(
  claimed: readonly PlaceRow[],
  places: readonly WalPosition[],
  wanted: readonly number[],
  rows: readonly SpanRow[],
): number[] {
  const spans = spansOf(rows);
  const keys = new Set(claimed.map((row) => placeKey(placeOfRow(row))));
  return wanted.filter((index) => keys.has(placeKey(places[index]!)) && !isCovered(places[index]!, spans));
}

function placeKey({ commitLsn, walHigh, walLow, ordinal }: WalPosition): string {
  return `${commitLsn} ${lsnFromParts(walHigh, walLow)} ${ordinal}`;
}
