import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parseLsn } from '#lib/protocol/lsn.js';
import { PgEffectsStore } from '#lib/store/effects/effects.store.js';
import type { EffectPlace, StreamHistory } from '#lib/interfaces/effects-store.interface.js';
import { LogCollector } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const HANDLER = 'Orders.onInsert';
const { signal } = new AbortController();

/** What a standby must have of effects before the position is confirmed, see `failover`. */
describe('the store of effects behind a failover slot', () => {
  let db: TestDatabase;
  let history: StreamHistory;
  const stores: PgEffectsStore[] = [];

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE booked (id int)');
    const [{ system }] = await db.query('SELECT system_identifier::text AS system FROM pg_control_system()');
    history = { systemIdentifier: system, timeline: '1' };
  });
  afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));
  afterAll(() => db?.drop());

  async function open(): Promise<PgEffectsStore> {
    const store = new PgEffectsStore(
      { app: 'default', connection: { connectionString: db.url } },
      {
        app: 'default',
        service: () => 'shop',
        handlers: [HANDLER],
        storeSlot: 'shop',
        lease: { slotName: null, epoch: null },
        concurrency: 1,
        isFailover: true,
        isMarked: false,
        logger: new LogCollector(),
      },
    );
    stores.push(store);
    await store.open(history);
    return store;
  }

  const place = (walLow: number): EffectPlace => ({ commitLsn: 0x9000n, walHigh: 0, walLow, ordinal: 0, history });

  const book = (store: PgEffectsStore, walLow: number): Promise<string | undefined> =>
    store.run({
      handler: HANDLER,
      places: [place(walLow)],
      xid: 1,
      parkedId: null,
      signal,
      body: async (client) => {
        await client.query('INSERT INTO booked VALUES ($1)', [walLow]);
        return 'booked';
      },
    });

  const logEnd = async (): Promise<bigint> =>
    parseLsn((await db.query('SELECT pg_current_wal_insert_lsn()::text AS lsn'))[0].lsn);

  it('says where the log ended after effects of its own', async () => {
    const store = await open();
    const before = await logEnd();
    expect(await book(store, 1)).toBe('booked');
    expect(store.writtenUpTo).toBeGreaterThan(before);
  });

  it('says so of effects that another process has committed meanwhile', async () => {
    const [first, second] = [await open(), await open()];
    const before = await logEnd();
    expect(await book(first, 2)).toBe('booked');
    expect(second.writtenUpTo).toBeLessThanOrEqual(before);
    expect(await book(second, 2)).toBeUndefined();
    expect(second.writtenUpTo).toBeGreaterThanOrEqual(first.writtenUpTo);
  });

  it('says so of those that lie behind the progress that it finds, in the history that it finds', async () => {
    const first = await open();
    expect(await book(first, 3)).toBe('booked');
    const { writtenUpTo } = first;
    await first.fold(HANDLER, history, place(3));
    const second = await open();
    expect(second.writtenUpTo).toBeGreaterThanOrEqual(writtenUpTo);
    expect(await book(second, 3)).toBeUndefined();
    first.writtenUpTo = 2n ** 60n;
    await first.open(history);
    expect(first.writtenUpTo).toBeLessThan(2n ** 60n);
  });
});
