import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parseLsn } from '#lib/protocol/lsn.js';
import type { PgEffectsStore } from '#lib/store/effects/effects.store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { EffectsBench } from '../support/effects/effects-bench.js';

/** What a standby must have of effects before the position is confirmed, see `failover`. */
describe('the store of effects behind a failover slot', () => {
  let db: TestDatabase;
  let bench: EffectsBench;

  beforeAll(async () => {
    db = await createDatabase();
    bench = await EffectsBench.of(db);
  });
  afterEach(() => bench.close());
  afterAll(() => db?.drop());

  const open = (): Promise<PgEffectsStore> => bench.open({}, { isFailover: true });

  const logEnd = async (): Promise<bigint> =>
    parseLsn((await db.query('SELECT pg_current_wal_insert_lsn()::text AS lsn'))[0].lsn);

  it('says where the log ended after effects of its own', async () => {
    const store = await open();
    const before = await logEnd();
    expect(await bench.book(store, 1n)).toBe(true);
    expect(store.writtenUpTo).toBeGreaterThan(before);
  });

  it('says so of effects that another process has committed meanwhile', async () => {
    const [first, second] = [await open(), await open()];
    const before = await logEnd();
    expect(await bench.book(first, 2n)).toBe(true);
    expect(second.writtenUpTo).toBeLessThanOrEqual(before);
    expect(await bench.book(second, 2n)).toBe(false);
    expect(second.writtenUpTo).toBeGreaterThanOrEqual(first.writtenUpTo);
  });

  it('says so of those that lie behind the progress that it finds, in the history that it finds', async () => {
    const first = await open();
    expect(await bench.book(first, 3n)).toBe(true);
    const { writtenUpTo } = first;
    await bench.fold(first, 3n);
    const second = await open();
    expect(second.writtenUpTo).toBeGreaterThanOrEqual(writtenUpTo);
    expect(await bench.book(second, 3n)).toBe(false);
    first.writtenUpTo = 2n ** 60n;
    await first.open(bench.stream());
    expect(first.writtenUpTo).toBeLessThan(2n ** 60n);
  });
});
