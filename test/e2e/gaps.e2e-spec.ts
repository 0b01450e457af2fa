import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { GapError, SlotError, type InsertChange, type PgListenerGap, type PgListenerOptions } from 'nestjs-pg-listener';
import { recorderOf, TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { betweenLookAndStream } from '../support/own-tables.js';
import { startProxy } from '../support/proxy.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { waitFor } from '../support/wait.js';

type Recorder = ReturnType<typeof recorderOf>;

/** A server of its own: its log is thrown away under a slot. */
describe('a gap is an explicit record and event: health is down and nothing is confirmed until it is acknowledged', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    // Checkpoints are those of the tests only: one by the clock may invalidate a slot that still reads an earlier segment.
    const settings = { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', checkpoint_timeout: '1h' };
    server = await startPostgres({ settings });
  });
  beforeEach(async () => {
    db = await createDatabase(server.url);
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  const boot = async (recorder: Recorder, more: Partial<PgListenerOptions> = {}): Promise<TestApplication> => {
    const startup = { wait: false };
    return apps.start({ connection: db.url, slot: db.slot(), startup, ...more }, [recorder]);
  };
  const state = ({ listener }: TestApplication, wanted: string): Promise<unknown> =>
    waitFor(
      () => listener.status.state === wanted,
      () => `${wanted}, is ${JSON.stringify(listener.status)}`,
    );
  const handled = async (recorder: Recorder, id: number): Promise<void> => {
    await db.query('INSERT INTO orders VALUES ($1)', [id]);
    await waitFor(() => idsOf(recorder).includes(id), `change ${id}`);
  };
  const idsOf = ({ changes }: Recorder): unknown[] => changes.map((change) => (change as InsertChange).record['id']);
  const slotLsn = async (): Promise<string | undefined> =>
    (await db.query('SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1', [db.slot()]))[0]
      ?.lsn;
  const rows = (): Promise<Record<string, unknown>[]> =>
    db.query(
      'SELECT kind, acknowledged_by, resolved_at IS NOT NULL AS resolved FROM nestjs_pg_listener.gaps ORDER BY id',
    );

  /** An application that has streamed, and is gone. */
  async function past(more: Partial<PgListenerOptions> = {}): Promise<void> {
    const recorder = recorderOf('orders');
    const app = await boot(recorder, more);
    await state(app, 'streaming');
    await handled(recorder, 0);
    await app.close();
    await slotToBeFree(db, db.slot());
  }

  /** Halted by a gap of this kind, down, nothing confirmed; a restart of the process does not change that. */
  async function expectHalt(kind: string, recorder: Recorder, more: Partial<PgListenerOptions> = {}) {
    const before = await slotLsn();
    let app = await boot(recorder, more);
    await state(app, 'halted');
    await app.close();
    app = await boot(recorder, more);
    const told: PgListenerGap[] = [];
    app.listener.gaps$.subscribe((gap) => told.push(gap));
    await state(app, 'halted');
    expect(app.listener.status.error).toBeInstanceOf(GapError);
    expect(app.listener.health()).toMatchObject({ status: 'down', state: 'halted' });
    expect(await slotLsn()).toBe(before);
    // One row, however often it is met.
    expect(await rows()).toEqual([{ kind, acknowledged_by: null, resolved: false }]);
    const [gap] = await app.listener.gaps();
    expect(gap).toMatchObject({ kind, app: 'default', slot: db.slot(), acknowledgedAt: null, resolvedAt: null });
    expect(told).toEqual([gap]);
    // Replayed to who comes late.
    const late: PgListenerGap[] = [];
    app.listener.gaps$.subscribe((each) => late.push(each));
    expect(late).toEqual([gap]);
    return { app, gap: gap! };
  }

  const advance = async (): Promise<void> => {
    await db.query('INSERT INTO orders VALUES (1)');
    await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [db.slot()]);
  };
  const recreate = async (): Promise<void> => {
    await db.query('SELECT pg_drop_replication_slot($1)', [db.slot()]);
    await db.query('INSERT INTO orders VALUES (1)');
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [db.slot()]);
  };
  const drop = (): Promise<unknown> => db.query('SELECT pg_drop_replication_slot($1)', [db.slot()]);
  const invalidate = async (): Promise<void> => {
    for (let segment = 0; segment < 4; segment++)
      await db.query('CREATE TABLE x (); DROP TABLE x; SELECT pg_switch_wal()');
    await db.query('CHECKPOINT');
    const status = 'SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1';
    expect(await db.query(status, [db.slot()])).toEqual([{ wal_status: 'lost' }]);
  };

  it.each([
    ['advanced', 'slot-advanced', advance],
    ['re-created', 'slot-advanced', recreate],
    ['dropped', 'slot-missing', drop],
  ])('where the slot was %s behind our back', async (_, kind, harm) => {
    await past();
    await harm();
    const recorder = recorderOf('orders');
    const { app, gap } = await expectHalt(kind, recorder);
    expect(gap.from).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    const done = await app.listener.acknowledgeGaps([gap.id]);
    expect(done).toMatchObject([{ id: gap.id, acknowledgedBy: 'application', resolvedAt: null }]);
    expect(app.listener.status.state).toBe('streaming');
    expect(app.listener.health().status).toBe('up');
    await handled(recorder, 2);
    expect(await rows()).toEqual([{ kind, acknowledged_by: 'application', resolved: true }]);
    expect(await app.listener.gaps()).toEqual([]);
    expect(await app.listener.gaps({ all: true })).toMatchObject([{ id: gap.id, resolvedAt: expect.any(Date) }]);
    await app.close();
    // It is over: the next boot is an ordinary one.
    await state(await boot(recorder), 'streaming');
  });

  it.each([['halt'], ['continue']] as const)(
    'where the slot was advanced between the look at it and the start of the stream, with onGap %s',
    async (onGap) => {
      await past();
      const recorder = recorderOf('orders');
      let app!: TestApplication;
      await betweenLookAndStream(db, async () => (app = await boot(recorder, { onGap })), advance);
      if (onGap === 'halt') {
        await state(app, 'halted');
        expect(app.listener.status.error).toBeInstanceOf(GapError);
        await app.listener.acknowledgeGaps();
      }
      await state(app, 'streaming');
      await handled(recorder, 2);
      expect(idsOf(recorder)).toEqual([2]);
      const acknowledged_by = onGap === 'halt' ? 'application' : 'policy';
      expect(await rows()).toEqual([{ kind: 'slot-advanced', acknowledged_by, resolved: true }]);
      await app.close();
      await state(await boot(recorder), 'streaming');
    },
  );

  it('is acknowledged by the SQL in the error, and a restart', async () => {
    await past();
    await advance();
    const recorder = recorderOf('orders');
    const { app } = await expectHalt('slot-advanced', recorder);
    const [sql] = /UPDATE nestjs_pg_listener\.gaps [^;]+;/.exec(app.listener.status.error!.message)!;
    await app.close();
    await db.query(sql);
    await state(await boot(recorder), 'streaming');
    await handled(recorder, 2);
    expect(await rows()).toEqual([{ kind: 'slot-advanced', acknowledged_by: 'postgres', resolved: true }]);
  });

  it('where the slot was invalidated: it is for a person to drop it', async () => {
    await past();
    await invalidate();
    const recorder = recorderOf('orders');
    const { app } = await expectHalt('slot-invalidated', recorder);
    expect(app.listener.status.error!.message).toContain(`SELECT pg_drop_replication_slot('${db.slot()}')`);
    await expect(app.listener.acknowledgeGaps()).rejects.toBeInstanceOf(SlotError);
    await drop();
    await app.listener.start();
    await handled(recorder, 2);
    expect(await rows()).toEqual([{ kind: 'slot-invalidated', acknowledged_by: 'application', resolved: true }]);
  });

  it('where the slot is invalidated while it streams', async () => {
    const recorder = recorderOf('orders', () => new Promise(() => undefined));
    const app = await boot(recorder, { shutdownTimeoutMs: 0 });
    await state(app, 'streaming');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the handler that blocks');
    await invalidate();
    await state(app, 'halted');
    expect(app.listener.status.error).toBeInstanceOf(GapError);
    expect(await rows()).toMatchObject([{ kind: 'slot-invalidated' }]);
  });

  it.each([
    ['made by the module', undefined],
    ['of the user’s own', ['mine']],
  ])('where a publication was missing for a while: one %s', async (_, publications) => {
    await db.query('CREATE PUBLICATION mine FOR TABLE orders');
    const more = publications === undefined ? {} : { publications };
    const recorder = recorderOf('orders');
    const first = await boot(recorder, more);
    await state(first, 'streaming');
    await handled(recorder, 0);
    await db.query(`DROP PUBLICATION ${publications?.[0] ?? `pg_listener_${db.slot()}`}`);
    await db.query('INSERT INTO orders VALUES (1)');
    await state(first, 'halted');
    await first.close();
    await db.query('INSERT INTO orders VALUES (2)');
    if (publications !== undefined) await db.query('CREATE PUBLICATION mine FOR TABLE orders');
    const { app, gap } = await expectHalt('publication-missing', recorder, more);
    const from = await slotLsn();
    expect(gap).toMatchObject({ to: null });
    await app.listener.acknowledgeGaps();
    const [resolved] = await app.listener.gaps({ all: true });
    expect(resolved).toMatchObject({ id: gap.id, resolvedAt: expect.any(Date), to: expect.any(String) });
    const [{ beyond }] = await db.query('SELECT $1::pg_lsn > $2::pg_lsn AS beyond', [resolved!.to, from]);
    expect(beyond).toBe(true);
    await handled(recorder, 3);
    expect(idsOf(recorder)).toEqual([0, 3]);
    await app.close();
    await state(await boot(recorder, more), 'streaming');
  });

  it('where another cluster answers than the one that a position was recorded on', async () => {
    await past();
    // As a dump that was restored elsewhere brings it.
    await db.query(`UPDATE nestjs_pg_listener.slots SET system_identifier = '4711'`);
    const recorder = recorderOf('orders');
    const { app } = await expectHalt('other-cluster', recorder);
    await app.listener.acknowledgeGaps();
    await handled(recorder, 2);
    expect(await db.query(`SELECT system_identifier <> '4711' AS renewed FROM nestjs_pg_listener.slots`)).toEqual([
      { renewed: true },
    ]);
    await app.close();
    await state(await boot(recorder), 'streaming');
  });

  it.each([
    ['a slot that is gone', 'slot-missing', drop],
    ['a slot that was moved', 'slot-advanced', advance],
  ])('is told and passed by where policy says so: %s', async (_, kind, harm) => {
    await past();
    await harm();
    const recorder = recorderOf('orders');
    const app = await boot(recorder, { onGap: 'continue' });
    await state(app, 'streaming');
    expect(app.listener.health().status).toBe('up');
    expect(app.logs.find(/^error Changes may be missing/)).toBeDefined();
    await handled(recorder, 2);
    expect(await rows()).toEqual([{ kind, acknowledged_by: 'policy', resolved: true }]);
  });

  it('passes a missing publication by where policy says so, and goes on behind it', async () => {
    const recorder = recorderOf('orders');
    const app = await boot(recorder, { onGap: 'continue' });
    const told: PgListenerGap[] = [];
    app.listener.gaps$.subscribe((gap) => told.push(gap));
    await state(app, 'streaming');
    await db.query(`DROP PUBLICATION pg_listener_${db.slot()}`);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => told.length === 1, 'the gap');
    await waitFor(
      () => app.listener.stats().reconnects === 1 && app.listener.status.state === 'streaming',
      'the stream',
    );
    await handled(recorder, 2);
    expect(idsOf(recorder)).toEqual([2]);
    expect(told).toMatchObject([{ kind: 'publication-missing', acknowledgedBy: 'policy' }]);
  });

  it('is not met again where the start behind it fails half-way: the slot has been moved, and nothing streams yet', async () => {
    const recorder = recorderOf('orders');
    const proxy = await startProxy(new URL(server.url));
    try {
      const app = await boot(recorder, { connection: proxy.through(db.url) });
      await state(app, 'streaming');
      await db.query(`DROP PUBLICATION pg_listener_${db.slot()}`);
      await db.query('INSERT INTO orders VALUES (1)');
      await state(app, 'halted');
      let isCut = false;
      proxy.rewrite((chunk) => {
        if (!isCut && chunk.includes('START_REPLICATION')) {
          isCut = true;
          proxy.cut();
        }
        return chunk;
      });
      await app.listener.acknowledgeGaps();
      expect(isCut).toBe(true);
      await handled(recorder, 2);
      expect(await rows()).toEqual([{ kind: 'publication-missing', acknowledged_by: 'application', resolved: true }]);
    } finally {
      await proxy.close();
    }
  });

  it('is passed by where the policy was changed after it had halted the app', async () => {
    await past();
    await advance();
    const recorder = recorderOf('orders');
    const { app } = await expectHalt('slot-advanced', recorder);
    await app.close();
    await state(await boot(recorder, { onGap: 'continue' }), 'streaming');
    expect(await rows()).toEqual([{ kind: 'slot-advanced', acknowledged_by: 'policy', resolved: true }]);
  });
});
