/**
 * Why changes may be missing.
 *
 * - `slot-advanced`: the slot stands beyond the last recorded position: it was re-created, or moved by somebody else.
 * - `slot-missing`: the slot that a position was recorded of is gone.
 * - `slot-invalidated`: the server has thrown log away that the slot still needed.
 * - `other-cluster`: another PostgreSQL cluster answers at the address.
 * - `publication-missing`: a publication did not exist at a point of the log.
 * - `history-lost`: handlers have seen changes that the database no longer has, after a promotion or a restore.
 */
export type GapKind =
  'slot-advanced' | 'slot-missing' | 'slot-invalidated' | 'other-cluster' | 'publication-missing' | 'history-lost';

/** A place in the stream where changes may be missing, or where handlers have seen too many. */
export interface PgListenerGap {
  /** A number as text; `process-1` and so on where it could not be written to the database. */
  readonly id: string;
  readonly app: string;
  readonly slot: string;
  readonly kind: GapKind;
  /** What happened, as a sentence. */
  readonly detail: string;
  /** Where it begins, as `X/Y`; null where that is not known. */
  readonly from: string | null;
  /** Where it ends, as `X/Y`; null where that is not known (yet). */
  readonly to: string | null;
  readonly detectedAt: Date;
  /** Null: nobody has acknowledged it, and the app does not go on. */
  readonly acknowledgedAt: Date | null;
  /** `application`, `policy`, or whoever acknowledged it with SQL; null where that was not said. */
  readonly acknowledgedBy: string | null;
  /** When a stream has begun behind it; null: none has. */
  readonly resolvedAt: Date | null;
}

/** Which gaps are meant. */
export interface GapFilter {
  /** Those that are resolved, too. @default false */
  readonly all?: boolean;
}
