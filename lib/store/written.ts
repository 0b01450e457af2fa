import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../protocol/lsn.js';

/** What was written before lies before it: see `failover`. */
export interface WrittenRow {
  /** As `X/Y`. */
  readonly lsn: string;
}

/** Where the log ends. */
export const WRITTEN = 'SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS lsn';

/** @param rows the answer to `WRITTEN` */
export function writtenIn(rows: readonly object[]): Lsn {
  return parseLsn((rows[0] as WrittenRow).lsn);
}

export async function logEnd(client: Client): Promise<Lsn> {
  return writtenIn((await client.query(WRITTEN)).rows as object[]);
}
