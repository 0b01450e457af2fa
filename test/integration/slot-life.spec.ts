import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { parseLsn } from '#lib/protocol/lsn.js';
import { SlotLife } from '#lib/slots/slot-life.js';
import { SlotRecord } from '#lib/slots/slot-record.js';
import { ensureOwnTables } from '#lib/store/own-tables.js';
import { StreamLease } from '#lib/store/stream-lease.js';
import { LogCollector } from '../support/application.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';

describe('the look at a slot that a sibling streams from', () => {
  let db: TestDatabase;
  let client: pg.Client;

  beforeEach(async () => {
    db = await createDatabase();
    client = await connect(db.url);
    await ensureOwnTables(client);
  });
  afterEach(async () => {
    await client.end();
    await db.drop();
  });

  /** As the holder does it: the record first. */
  async function moveOn(): Promise<void> {
    await db.query('UPDATE nestjs_pg_listener.slots SET confirmed_lsn = pg_current_wal_lsn()');
    await db.query('SELECT pg_replication_slot_advance(slot_name, confirmed_lsn) FROM nestjs_pg_listener.slots');
  }

  it('finds no gap that there is none of, wherever in it the sibling records and confirms', async () => {
    const slotName = db.slot();
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slotName]);
    const [{ lsn }] = await db.query('SELECT pg_current_wal_lsn() AS lsn');
    const identity = { systemIdentifier: '4711', timeline: '1', walEnd: 0n };
    await new SlotRecord(slotName).takeOver(client, {
      owner: { service: 'shop', app: 'default' },
      identity,
      handlers: {},
      slotLsn: 0n,
      rebase: 'hold',
    });
    await moveOn();
    const life = new SlotLife({
      target: { app: 'default', connection: { connectionString: db.url } },
      slot: { name: slotName, failover: false },
      service: () => 'shop',
      handlerIds: [],
      onGap: 'halt',
      lease: new StreamLease(slotName),
      logger: new LogCollector(),
      onGapFound: () => undefined,
    });
    // After each of its queries, the sibling goes on.
    const query = client.query.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
    client.query = (async (...parameters: unknown[]) => {
      const answer = await query(...parameters);
      await moveOn();
      return answer;
    }) as unknown as typeof client.query;
    const found = await life.look(client, { version: 180_000 } as Parameters<SlotLife['look']>[1]);
    expect(found.slot!.confirmedLsn).toBeGreaterThan(parseLsn(lsn));
    expect(found.recorded!.position).toBeGreaterThan(found.slot!.confirmedLsn);
  });
});
