/** Where a change stands in the write-ahead log: it stays the same however often the change is delivered. */
export interface WalPosition {
  readonly commitLsn: bigint;
  /** The change's own WAL record, in two 32-bit halves, signed or not. */
  readonly walHigh: number;
  readonly walLow: number;
  /** From 0 among the changes of one WAL record. */
  readonly ordinal: number;
}
