import type { Client } from 'pg';

/** What was written in less time says little of what will be. */
const LEAST_SECONDS = 30;

/**
 * Bytes of write-ahead log that the server writes in a second, on average since its statistics were reset (manual, section
 * 27.2). Null: it writes none, has not counted for long enough, or is a standby, which counts its own only.
 */
export async function readWalRate(client: Client): Promise<number | null> {
  const { rows } = await client.query<{ bytes: string; seconds: string | null; standby: boolean }>(
    `SELECT wal_bytes::text AS bytes, extract(epoch FROM clock_timestamp() - stats_reset)::text AS seconds,
            pg_is_in_recovery() AS standby
       FROM pg_catalog.pg_stat_wal`,
  );
  const { bytes, seconds, standby } = rows[0]!;
  if (standby || seconds === null || Number(seconds) < LEAST_SECONDS) return null;
  const rate = Number(bytes) / Number(seconds);
  return rate > 0 ? rate : null;
}
