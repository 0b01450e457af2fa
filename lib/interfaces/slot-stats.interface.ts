/** A replication slot as the server has it (manual, section 53.20, pg_replication_slots), and what follows from it. */
export interface SlotStats {
  readonly name: string;
  readonly measuredAt: Date;
  /** Somebody streams from it. */
  readonly isActive: boolean;
  /** Log between the confirmed position and the end of the log; null: there is no such position. */
  readonly lagBytes: number | null;
  /** Log that the server keeps for it: from its restart position to the end of the log. Null: it keeps none. */
  readonly retainedBytes: number | null;
  /** Log that can be written before `max_slot_wal_keep_size` costs the slot; null: there is no limit, or it is lost. */
  readonly safeBytes: number | null;
  /** How fast the log grows, over the measurements of the last five minutes; null: there was one only. */
  readonly walBytesPerSecond: number | null;
  /**
   * Seconds until the server may give the slot up, if it stays where it is and the log grows as it does
   * (`max_slot_wal_keep_size`), or if nobody streams from it (`idle_replication_slot_timeout`, PostgreSQL 18). 0: at the
   * next checkpoint. Infinity: nothing will. Null: not known before the second measurement.
   */
  readonly secondsUntilInvalidated: number | null;
  /** Why the server has given it up; null: it has not. */
  readonly invalidated: string | null;
}

/** How `measure()` asks. */
export interface MeasureOptions {
  /** What was measured this recently is taken as it is. @default 5000 */
  readonly maxAgeMs?: number;
}
