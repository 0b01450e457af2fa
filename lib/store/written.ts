import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../protocol/lsn.js';

/** Where the log ends: what was written before lies before it, see `failover`. */
export const WRITTEN = 'SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS lsn';

/** @param rows the answer to `WRITTEN` */
export function writtenIn(rows: readonly object[]): Lsn {
  return parseLsn((rows[0] as { lsn: string }).lsn);
}

export async function logEnd(client: Client): Promise<Lsn> {
  return writtenIn((await client.query(WRITTEN)).rows as object[]);
}
