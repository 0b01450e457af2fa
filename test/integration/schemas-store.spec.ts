import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SlotInUseError } from '#lib/errors/replication.error.js';
import type { EffectPlace, StreamHistory } from '#lib/interfaces/effects-store.interface.js';
import type { TableShape } from '#lib/interfaces/schema-change.interface.js';
import { STREAM_TABLES } from '#lib/store/own-tables.sql.js';
import { PgSchemaStore } from '#lib/store/schemas.store.js';
import { StreamLease } from '#lib/store/stream-lease.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { HISTORY } from '../support/history.js';

const shapeOf = (oid: number, table = 't', columns: readonly string[] = ['a']): TableShape => ({
  oid,
  schema: 'public',
  table,
  replicaIdentity: 'default',
  columns: columns.map((name) => ({
    name,
    typeOid: 23,
    typeName: 'public.ünïcode "x"',
    typeModifier: -1,
    isKey: true,
  })),
});
const place = (commitLsn: bigint, history: StreamHistory = HISTORY): EffectPlace => ({
  commitLsn,
  walHigh: 0,
  // As the wire has it: signed.
  walLow: Number(BigInt.asIntN(32, commitLsn - 8n)),
  ordinal: 2,
  history,
});

describe('the table of what is known of tables', () => {
  let db: TestDatabase;
  const stores: PgSchemaStore[] = [];
  const warnings: string[] = [];

  beforeAll(async () => {
    db = await createDatabase();
    for (const statement of STREAM_TABLES.statements) await db.query(statement);
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await db?.drop();
  });

  const open = (slotName: string, lease = new StreamLease(slotName)): PgSchemaStore => {
    const logger = { log: () => undefined, error: () => undefined, warn: (text: string) => void warnings.push(text) };
    const store = new PgSchemaStore(
      { app: 'default', connection: { connectionString: db.url } },
      { app: 'default', slotName, lease, logger },
    );
    stores.push(store);
    return store;
  };

  it('gives back what was recorded, in that order, of one slot', async () => {
    const store = open('shop');
    expect(await store.load(HISTORY)).toEqual([]);
    await store.record(shapeOf(1), place(0xfffffff0n));
    await store.record(shapeOf(2, 'u', ['ä"', "b'"]), place(0x300n));
    await store.record(shapeOf(1, 't', ['a', 'b']), place(0xfffffff8n));
    await open('other').record(shapeOf(9), place(0x100n));
    const known = await store.load(HISTORY);
    expect(known!.map(({ shape }) => shape)).toEqual([shapeOf(2, 'u', ['ä"', "b'"]), shapeOf(1, 't', ['a', 'b'])]);
    const { since } = known![1]!;
    expect(since).toMatchObject({ commitLsn: 0xfffffff8n, ordinal: 2 });
    expect(since!.walLow >>> 0).toBe(0xfffffff0);
    expect(since!.history).toBe(HISTORY);
    // Of another log, positions mean nothing.
    expect((await store.load({ ...HISTORY, timeline: '2' }))!.map(({ since: at }) => at)).toEqual([null, null]);
  });

  it('keeps one of the tables that had a name before', async () => {
    const store = open('recreated');
    for (const oid of [11, 12, 13, 14]) await store.record(shapeOf(oid), place(BigInt(oid)));
    await store.record(shapeOf(13, 't_old'), place(0x20n));
    expect((await store.load(HISTORY))!.map(({ shape }) => `${shape.table} ${shape.oid}`)).toEqual([
      't 13',
      't 14',
      't_old 13',
    ]);
  });

  it('is written by the process that has the slot only', async () => {
    await db.query(`INSERT INTO nestjs_pg_listener.slots (slot_name, app, system_identifier, timeline, confirmed_lsn, epoch)
      VALUES ('leased', 'default', '1', '1', '0/0', 7)`);
    const [mine, theirs] = [new StreamLease('leased'), new StreamLease('leased')];
    mine.epoch = 7n;
    theirs.epoch = 6n;
    await open('leased', mine).record(shapeOf(1), place(0x100n));
    const frozen = open('leased', theirs);
    await expect(frozen.record(shapeOf(1, 't', ['old']), place(0x90n))).rejects.toBeInstanceOf(SlotInUseError);
    expect((await frozen.load(HISTORY))!.map(({ shape }) => shape)).toEqual([shapeOf(1)]);
  });

  it('is made again where somebody has dropped it', async () => {
    const store = open('dropped');
    await store.record(shapeOf(1), place(0x100n));
    await db.query('DROP TABLE nestjs_pg_listener.described');
    await store.record(shapeOf(2), place(0x200n));
    expect((await store.load(HISTORY))!.map(({ shape }) => shape.oid)).toEqual([2]);
    expect(warnings).toEqual([]);
  });
});
