import type { EffectPlace, StreamHistory, StreamStart } from '#lib/interfaces/effects-store.interface.js';
import { lsnParts } from '#lib/protocol/lsn.js';
import { PgEffectsStore, type PgEffectsStoreOptions } from '#lib/store/effects/effects.store.js';
import { LogCollector } from '../application.js';
import type { TestDatabase } from '../database.js';

export const HANDLER = 'Orders.onInsert';
const { signal } = new AbortController();

/** Stores of effects of one app on a server, and a handler that books the place of what it gets. */
export class EffectsBench {
  private readonly stores: PgEffectsStore[] = [];

  private constructor(
    private readonly db: TestDatabase,
    readonly history: StreamHistory,
  ) {}

  static async of(db: TestDatabase): Promise<EffectsBench> {
    await db.query('CREATE TABLE booked (seq bigserial, lsn text, session int)');
    const [{ system }] = await db.query('SELECT system_identifier::text AS system FROM pg_control_system()');
    return new EffectsBench(db, { systemIdentifier: system, timeline: '1' });
  }

  async close(): Promise<void> {
    await Promise.all(this.stores.splice(0).map((store) => store.close()));
  }

  /** What the process of a stream has. */
  async open(stream: Partial<StreamStart> = {}, options: Partial<PgEffectsStoreOptions> = {}): Promise<PgEffectsStore> {
    const store = new PgEffectsStore(
      { app: 'default', connection: { connectionString: this.db.url } },
      {
        app: 'default',
        service: () => 'shop',
        handlers: [HANDLER],
        storeSlot: 'shop',
        lease: { slotName: null, epoch: null },
        concurrency: 1,
        isFailover: false,
        isMarked: false,
        logger: new LogCollector(),
        ...options,
      },
    );
    this.stores.push(store);
    await store.open(this.stream(stream));
    return store;
  }

  stream(stream: Partial<StreamStart> = {}): StreamStart {
    return { history: this.history, slotName: 'shop', from: 0n, isContinued: true, ...stream };
  }

  /** Of a transaction of one change. */
  place(commitLsn: bigint, history: StreamHistory | null = this.history): EffectPlace {
    return { commitLsn, ...lsnParts(commitLsn), ordinal: 0, history };
  }

  /** @returns whether the handler was called */
  async book(store: PgEffectsStore, place: EffectPlace | bigint): Promise<boolean> {
    const given = typeof place === 'bigint' ? this.place(place) : place;
    const booked = await store.run({
      handler: HANDLER,
      places: [given],
      xid: 1,
      parkedId: null,
      signal,
      body: async (client) => {
        await client.query('INSERT INTO booked (lsn, session) VALUES ($1, pg_backend_pid())', [
          String(given.commitLsn),
        ]);
        return true;
      },
    });
    return booked ?? false;
  }

  fold(store: PgEffectsStore, upTo: bigint, history = this.history): Promise<void> {
    return store.fold(HANDLER, history, this.place(upTo));
  }

  /** As `slot from..up to`, by where they begin. */
  async spans(): Promise<string[]> {
    const rows = await this.db.query(
      `SELECT slot_name || ' ' || (from_lsn - '0/0') || '..' || (commit_lsn - '0/0') AS span
         FROM nestjs_pg_listener.spans ORDER BY from_lsn, slot_name`,
    );
    return rows.map(({ span }: { span: string }) => span);
  }

  async claims(): Promise<number> {
    return (await this.db.query('SELECT count(*)::int AS n FROM nestjs_pg_listener.claims'))[0].n;
  }
}
