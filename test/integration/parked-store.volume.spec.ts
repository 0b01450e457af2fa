import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PgParkedStore } from '#lib/store/parked.store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openStore } from '../support/parked/open-store.js';
import { parkingOf, WireSource } from '../support/parked/wire-source.js';

const ROWS = 100_000;
const HOT = 10_000;
/** Some 0.3 s here; what looks from each change for those before it takes hours. */
const PATIENCE_MS = 20_000;
const FIGURES = process.env['PG_LISTENER_FIGURES'] === '1';

describe('100,000 parked changes, one key with 10,000 among them', () => {
  let db: TestDatabase;
  let store: PgParkedStore;
  let ids: string[];

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, name text)');
    const source = await WireSource.open(db);
    const [received] = await source.changesOf(`INSERT INTO orders VALUES (1, 'one')`);
    store = openStore(db.url, { slotName: 'many' });
    await store.park(parkingOf(received!, { keys: ['hot'] }));
    // The others as the first one is, but for their place in the log and their keys.
    await db.query(`INSERT INTO nestjs_pg_listener.parked (slot_name, app, handler, schema_name, table_name, operation, keys,
        commit_lsn, wal_lsn, ordinal, xid, commit_timestamp, index, relation, message, change, attempts)
      SELECT slot_name, app, handler, schema_name, table_name, operation,
             CASE WHEN g % ${ROWS / HOT} = 0 THEN ARRAY['hot'] WHEN g % 10 = 1 THEN ARRAY['k' || g, 'k' || g - 1000] ELSE ARRAY['k' || g] END,
             commit_lsn + g, wal_lsn, ordinal, xid, commit_timestamp, index, relation, message, change, attempts
        FROM nestjs_pg_listener.parked, generate_series(1, ${ROWS - 1}) g ORDER BY g`);
    ids = (await store.keys()).map(({ id }) => id);
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    await db?.drop();
  });

  async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
    const before = performance.now();
    const result = await work();
    const took = performance.now() - before;
    if (FIGURES) process.stdout.write(`${what}: ${took.toFixed(0)} ms\n`);
    expect(took).toBeLessThan(PATIENCE_MS);
    return result;
  }

  it('have their keys read at once', async () => {
    const keys = await timed('keys', () => store.keys());
    expect(keys).toHaveLength(ROWS);
    expect(keys.filter((each) => each.keys[0] === 'hot')).toHaveLength(HOT);
  });

  it('give what is due', async () => {
    const due = await timed('due, 100', () => store.due({}, [], 100));
    expect(due).toHaveLength(100);
    expect(due.filter(({ keys }) => keys[0] === 'hot').map(({ id }) => id)).toEqual([ids[0]]);
    const one = await timed('due, the last by its id', () => store.due({ ids: [ids.at(-1)!] }, [], 100));
    expect(one.map(({ id }) => id)).toEqual([ids.at(-1)]);
    const hot = await timed('due, one of the hot key by its id', () => store.due({ ids: [ids[10]!] }, [], 100));
    expect(hot).toEqual([]);
  });

  it('give what is due behind all that is left out', async () => {
    const oldest = ids.slice(0, -1);
    expect(
      (await timed('due, all but the last left out', () => store.due({}, oldest, 100))).map(({ id }) => id),
    ).toEqual([ids.at(-1)]);
    expect(await timed('due, all left out', () => store.due({}, ids, 100))).toEqual([]);
  });

  it('give what is due where a single key is left, link by link', async () => {
    await db.query(`CREATE TEMP TABLE kept AS SELECT * FROM nestjs_pg_listener.parked WHERE keys <> ARRAY['hot'];
      DELETE FROM nestjs_pg_listener.parked WHERE keys <> ARRAY['hot']`);
    for (let link = 0; link < 3; link++) {
      const due = await timed('due, the hot key alone', () => store.due({}, [], 100));
      expect(due).toHaveLength(1);
      await timed('handled', () => store.handled(due[0]!.id));
    }
    expect(await timed('count', () => store.count({}))).toBe(HOT - 3);
    expect(await timed('discard', () => store.discard({ table: 'orders' }))).toHaveLength(HOT - 3);
  });

  it('give what is due where many wait for their whole tables', async () => {
    await db.query(`UPDATE kept SET handler = 'H' || id % 100, keys = CASE WHEN id % 7 = 0 AND id > 50000 THEN ARRAY['*'] ELSE keys END;
      INSERT INTO nestjs_pg_listener.parked OVERRIDING SYSTEM VALUE SELECT * FROM kept`);
    const due = await timed('due, with whole tables', () => store.due({ ids: ids.slice(-60_000) }, [], 100));
    expect(due).toHaveLength(100);
    const late = await timed('due, behind whole tables', () => store.due({ ids: ids.slice(-40_000) }, [], 100));
    expect(late).toEqual([]);
  });
});
