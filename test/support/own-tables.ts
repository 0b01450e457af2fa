import { connect, lockWaiters, type TestDatabase } from './database.js';

/** What is recorded of a slot, and where it stands, read in this order: a record that lags behind is a fault. */
export async function slotAndRecord(
  db: Pick<TestDatabase, 'query'>,
  slot: string,
): Promise<{
  confirmed: bigint;
  recorded: bigint;
  recordedAt: string;
  epoch: number;
  handlers: Record<string, string>;
}> {
  const [{ confirmed }] = await db.query(
    `SELECT (confirmed_flush_lsn - '0/0')::text AS confirmed FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
  const [row] = await db.query(
    `SELECT (confirmed_lsn - '0/0')::text AS recorded, recorded_at::text AS at, epoch::int AS epoch, handlers
       FROM nestjs_pg_listener.slots WHERE slot_name = $1`,
    [slot],
  );
  return {
    confirmed: BigInt(confirmed),
    recorded: BigInt(row.recorded),
    recordedAt: row.at,
    epoch: row.epoch,
    handlers: row.handlers,
  };
}

/**
 * Stops whoever starts, between the look at its slot and the start of its stream: there it asks for earlier gaps.
 *
 * @param meanwhile what happens to the slot then
 */
export async function betweenLookAndStream(
  db: Pick<TestDatabase, 'query' | 'url'>,
  boot: () => Promise<unknown>,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  const locker = await connect(db.url);
  try {
    await locker.query('BEGIN; LOCK TABLE nestjs_pg_listener.gaps');
    await boot();
    await lockWaiters(db);
    await meanwhile();
  } finally {
    await locker.end();
  }
}
