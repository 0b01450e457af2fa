/** What was written before lies before it: see `failover`. */
export interface WrittenRow {
  /** As `X/Y`. */
  readonly lsn: string;
}

/** Where the log ends. */
export const WRITTEN = 'SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS lsn';
