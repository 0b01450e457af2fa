/** The timeline that the server writes to, as the names of its log files have it: the control file tells it late. */
export const TIMELINE = `pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8)`;

/** `'11'` to `'0000000B'`. */
export function timelineName(timeline: string): string {
  return Number(timeline).toString(16).toUpperCase().padStart(8, '0');
}
