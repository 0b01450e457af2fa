import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnTableChange, PgListenerModule, type InsertChange, type PgListenerOptions } from 'nestjs-pg-listener';
import { PgListenerPrometheusModule } from 'nestjs-pg-listener/prometheus';
import { Gauge, Registry, type OpenMetricsContentType } from 'prom-client';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { ObservedApplications, type ObservedApplication } from '../support/observed-application.js';
import type { Scrape } from '../support/prometheus-text.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { sleep, waitFor } from '../support/wait.js';

const KEEP_BYTES = 64 * 1024 * 1024;
/** A measurement that is older than this is taken anew. */
const FRESH_MS = 5_000;

/** A server of its own: it may give slots up. */
describe('metrics', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  let version: number;
  const apps = new ObservedApplications();

  beforeAll(async () => {
    server = await startPostgres({
      settings: { max_slot_wal_keep_size: '64MB', min_wal_size: '32MB', checkpoint_timeout: '1h' },
    });
  });
  beforeEach(async () => {
    db = await createDatabase(server.url);
    version = Number((await db.query(`SELECT current_setting('server_version_num') AS number`))[0].number);
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, filler text)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  /** Fails on 13, is at 7 until it is let go. */
  function ordersHandler(): Type & { release(): void } {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    @Injectable()
    class OrdersHandler {
      static readonly release = (): void => release();

      @OnTableChange<{ id: number }>('orders', 'insert', {
        id: 'orders',
        onExhausted: 'park',
        retry: { attempts: 2, minDelayMs: 1 },
      })
      onInsert({ record: { id } }: InsertChange<{ id: number }>): void | Promise<void> {
        if (id === 13) throw new Error('no luck');
        if (id === 7) return gate;
      }
    }
    return OrdersHandler;
  }

  const start = (providers: Type[], more: Partial<PgListenerOptions> = {}) =>
    apps.start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 200, ...more }, providers);
  const insert = (id: number) => db.query('INSERT INTO orders VALUES ($1)', [id]);
  const writeLog = (bytes: number) =>
    db.query(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', $1::int))`, [bytes]);

  async function scraped(app: ObservedApplication, is: (scrape: Scrape) => boolean, what: string): Promise<Scrape> {
    let last: Scrape | undefined;
    return waitFor(
      async () => {
        last = await app.scrape();
        return is(last) ? last : undefined;
      },
      () => `${what}\n${last?.text}`,
      25_000,
    );
  }

  it('count what a handler got, by what became of it, its failures and how long its calls took', async () => {
    const app = await start([ordersHandler()]);
    const first = await app.scrape();
    expect(first.value('pg_listener_up')).toBe(1);
    expect(first.value('pg_listener_state', { state: 'streaming' })).toBe(1);
    expect(first.value('pg_listener_state', { state: 'halted' })).toBe(0);
    expect(first.series('pg_listener_state')).toHaveLength(7);
    expect(first.value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'handled' })).toBe(0);
    await insert(1);
    await insert(13);
    await insert(2);
    const { value, types, text } = await scraped(
      app,
      (scrape) => scrape.value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'handled' }) === 2,
      'two that are handled',
    ).then((scrape) => ({ ...scrape, value: scrape.value.bind(scrape), types: scrape.types, text: scrape.text }));
    expect(value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'parked' })).toBe(1);
    expect(value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'skipped' })).toBe(0);
    expect(value('pg_listener_handler_parked_changes', { handler: 'orders' })).toBe(1);
    expect(value('pg_listener_handler_failures_total', { handler: 'orders' })).toBe(2);
    expect(value('pg_listener_changes_received_total')).toBe(3);
    // Two that succeed at once, one that is tried twice.
    expect(value('pg_listener_handler_duration_seconds_count', { handler: 'orders' })).toBe(4);
    expect(value('pg_listener_handler_duration_seconds_bucket', { handler: 'orders', le: '+Inf' })).toBe(4);
    expect(value('pg_listener_handler_duration_seconds_sum', { handler: 'orders' })).toBeGreaterThan(0);
    // Conventions: base units, and `_total` for what only grows.
    for (const [name, type] of types) expect([name, type === 'counter']).toEqual([name, name.endsWith('_total')]);
    expect(text).not.toContain('no luck');
    // A parked one that is tried again counts as handled.
    expect(await app.listener.parked.discard({ handler: 'orders' })).toBeDefined();
    const after = await scraped(
      app,
      (scrape) => scrape.value('pg_listener_handler_parked_changes', { handler: 'orders' }) === 0,
      'nothing parked',
    );
    expect(after.value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'parked' })).toBe(1);
  });

  it('show a lag that grows while a handler is at work, in seconds and in bytes, and ends with it', async () => {
    const handler = ordersHandler();
    const app = await start([handler]);
    // Before 15, transactions in which nothing is published come too.
    expect((await app.scrape()).value('pg_listener_lag_seconds')).toBeLessThan(1);
    const before = (await app.scrape()).value('pg_listener_lag_bytes')!;
    await insert(7);
    const early = await scraped(
      app,
      (scrape) => scrape.value('pg_listener_handler_in_flight', { handler: 'orders' }) === 1,
      'a call in flight',
    );
    await writeLog(3_000_000);
    await sleep(FRESH_MS + 100);
    const late = await app.scrape();
    expect(late.value('pg_listener_lag_seconds')!).toBeGreaterThan(early.value('pg_listener_lag_seconds')! + 4);
    expect(late.value('pg_listener_lag_bytes')!).toBeGreaterThan(before + 2_900_000);
    expect(late.value('pg_listener_slot_retained_bytes')!).toBeGreaterThan(2_900_000);
    expect(late.value('pg_listener_unsettled_transactions')).toBe(1);
    expect(late.value('pg_listener_pending_changes')).toBe(1);
    handler.release();
    const end = await scraped(app, (scrape) => scrape.value('pg_listener_lag_seconds') === 0, 'the end of the lag');
    expect(end.value('pg_listener_handler_in_flight', { handler: 'orders' })).toBe(0);
    await sleep(FRESH_MS + 100);
    expect((await app.scrape()).value('pg_listener_lag_bytes')!).toBeLessThan(2_000_000);
  });

  it('tell when the slot will be given up, as the log grows: by max_slot_wal_keep_size', async () => {
    const handler = ordersHandler();
    const app = await start([handler]);
    await insert(7);
    const first = await app.scrape();
    // How fast the log grows, two measurements tell.
    expect(first.value('pg_listener_slot_seconds_until_invalidated')).toBeUndefined();
    expect(first.value('pg_listener_slot_safe_bytes')!).toBeLessThanOrEqual(KEEP_BYTES + 16 * 1024 * 1024);
    const seconds: number[] = [];
    for (let step = 0; step < 3; step++) {
      await writeLog(8_000_000);
      await app.listener.measure({ maxAgeMs: 0 });
      await sleep(600);
      const { slot } = await app.listener.measure({ maxAgeMs: 0 });
      seconds.push(slot!.secondsUntilInvalidated!);
      expect(slot!.secondsUntilInvalidated).toBeCloseTo(slot!.safeBytes! / slot!.walBytesPerSecond!, 6);
    }
    expect(seconds.every((each) => each > 0 && Number.isFinite(each))).toBe(true);
    expect((await app.scrape()).value('pg_listener_slot_seconds_until_invalidated')).toBe(seconds[2]);
    // Beyond what is kept, at the next checkpoint.
    for (let segment = 0; segment < 7; segment++)
      await db.query('CREATE TABLE x (); DROP TABLE x; SELECT pg_switch_wal()');
    expect((await app.listener.measure({ maxAgeMs: 0 })).slot).toMatchObject({
      secondsUntilInvalidated: 0,
      invalidated: null,
    });
    await db.query('CHECKPOINT');
    const { slot } = await waitFor(async () => {
      const stats = await app.listener.measure({ maxAgeMs: 0 });
      return stats.slot?.invalidated === null ? undefined : stats;
    }, 'the end of the slot');
    expect(slot).toMatchObject({ invalidated: 'wal_removed', secondsUntilInvalidated: 0, retainedBytes: null });
    const lost = await scraped(
      app,
      (scrape) => scrape.value('pg_listener_gaps_total', { kind: 'slot-invalidated' }) === 1,
      'the gap',
    );
    expect(lost.value('pg_listener_slot_invalidated')).toBe(1);
    expect(lost.value('pg_listener_gaps_open')).toBe(1);
    expect(lost.value('pg_listener_up')).toBe(0);
    handler.release();
  });

  it('tell when the slot will be given up because nobody streams: by idle_replication_slot_timeout', async () => {
    const app = await start([ordersHandler()]);
    // What is measured while the slot is read: nothing idles.
    expect((await app.listener.measure()).slot).toMatchObject({ isActive: true });
    await app.listener.stop();
    if (version < 180_000) {
      const { slot } = await app.listener.measure({ maxAgeMs: 0 });
      console.log(`Only without the timeout: PostgreSQL ${version} has none`);
      expect(slot).toMatchObject({ isActive: false });
      return;
    }
    await db.query(`ALTER SYSTEM SET idle_replication_slot_timeout = '10min'`);
    await db.query('SELECT pg_reload_conf()');
    try {
      const { slot } = await waitFor(async () => {
        const stats = await app.listener.measure({ maxAgeMs: 0 });
        return stats.slot?.isActive === false && (stats.slot.secondsUntilInvalidated ?? Infinity) < 601
          ? stats
          : undefined;
      }, 'the timeout');
      expect(slot!.secondsUntilInvalidated!).toBeGreaterThan(550);
      await sleep(1_000);
      const later = await app.listener.measure({ maxAgeMs: 0 });
      expect(later.slot!.secondsUntilInvalidated!).toBeLessThanOrEqual(slot!.secondsUntilInvalidated! - 0.9);
    } finally {
      await db.query('ALTER SYSTEM RESET idle_replication_slot_timeout');
      await db.query('SELECT pg_reload_conf()');
    }
  });

  it('count reconnects, after the server has ended the stream', async () => {
    const app = await start([ordersHandler()]);
    expect((await app.scrape()).value('pg_listener_reconnects_total')).toBe(0);
    await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
      db.slot(),
    ]);
    const after = await scraped(app, (scrape) => scrape.value('pg_listener_reconnects_total') === 1, 'the reconnect');
    expect(after.value('pg_listener_up')).toBe(1);
    // Nothing adds up from scrape to scrape, nor in two at once.
    const more = await Promise.all([app.scrape(), app.scrape()]);
    expect(more.map((scrape) => scrape.value('pg_listener_reconnects_total'))).toEqual([1, 1]);
  });

  it('show a lag while there is no stream', async () => {
    const app = await start([ordersHandler()]);
    await insert(1);
    await waitFor(() => app.listener.stats().changesHandled === 1, 'the change');
    await withClient(server.url, async (admin) => {
      await admin.query(`ALTER DATABASE ${db.name} WITH ALLOW_CONNECTIONS false`);
      await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name <> ''`,
        [db.name],
      );
      await waitFor(() => app.listener.stats().lagSeconds! > 0.3, 'a lag without a stream');
      expect(app.listener.status.state).not.toBe('streaming');
      await admin.query(`ALTER DATABASE ${db.name} WITH ALLOW_CONNECTIONS true`);
    });
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    await waitFor(() => app.listener.stats().lagSeconds === 0, 'its being up to date');
    await app.listener.stop();
    expect(app.listener.stats().lagSeconds).toBeNull();
    expect((await app.scrape()).value('pg_listener_lag_seconds')).toBeUndefined();
  });

  it('show several apps side by side, and several applications in one registry', async () => {
    const registry = new Registry();
    const own = new Gauge({ name: 'mine', help: 'of the user', registers: [registry] });
    own.set(1);
    const options = (name?: string): PgListenerOptions => ({ name, connection: db.url, slot: db.slot(name) });
    const both = await apps.start([options(), options('billing')], [ordersHandler()], { registry });
    await apps.start(options('third'), [], { registry });
    const scrape = await both.scrape();
    for (const app of ['default', 'billing', 'third']) expect(scrape.value('pg_listener_up', { app })).toBe(1);
    expect(scrape.text).toContain('mine 1');
    await expect(apps.start(options('billing'), [], { registry })).rejects.toThrow('registry of its own');
    await apps.close();
    expect(await registry.metrics()).toBe('# HELP mine of the user\n# TYPE mine gauge\nmine 1\n');
  });

  it('are those of the next application, where one did not come up', async () => {
    const registry = new Registry();
    const nowhere = { connection: 'postgresql://127.0.0.1:1/none', slot: 'none', startup: { timeoutMs: 300 } };
    await expect(apps.start(nowhere, [], { registry })).rejects.toThrow('No stream within 300 ms');
    const app = await apps.start({ connection: db.url, slot: db.slot() }, [], { registry });
    expect((await app.scrape()).value('pg_listener_up')).toBe(1);
  });

  it('refuse to be registered twice in one application', async () => {
    const registry = new Registry();
    const root = PgListenerModule.forRoot({ connection: db.url, slot: db.slot(), enabled: false });
    const twice = [1, 2].map(() => PgListenerPrometheusModule.forRoot({ registry }));
    @Module({ imports: [root, ...twice] })
    class Twice {}
    const booting = NestFactory.createApplicationContext(Twice, { logger: false, abortOnError: false });
    await expect(booting).rejects.toThrow('shows the app twice in one registry');
  });

  it('can be read in the format of OpenMetrics, and as JSON', async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    registry.setDefaultLabels({ service: 'shop' });
    const options: PgListenerOptions = { connection: db.url, slot: db.slot() };
    const app = await apps.start(options, [ordersHandler()], { registry: registry as unknown as Registry });
    await insert(1);
    await waitFor(() => app.listener.stats().changesHandled === 1, 'the change');
    const text = await registry.metrics();
    expect(text).toMatch(/^# EOF$/m);
    expect(text).toMatch(/^pg_listener_changes_received_total\{.*app="default".*\} 1$/m);
    expect(text).toMatch(/^pg_listener_handler_duration_seconds_count\{.*service="shop".*\} 1$/m);
    expect(text).toMatch(/^# TYPE pg_listener_changes_received counter$/m);
    const json = await registry.getMetricsAsJSON();
    const durations = json.find(({ name }) => name === 'pg_listener_handler_duration_seconds')!;
    expect(durations).toMatchObject({ type: 'histogram' });
  });

  it('take the bounds that they are told, and refuse some that are none', async () => {
    const options: PgListenerOptions = { connection: db.url, slot: db.slot() };
    const app = await apps.start(options, [ordersHandler()], { durationBuckets: [0.5, 2] });
    await insert(1);
    const scrape = await scraped(
      app,
      (each) => each.value('pg_listener_handler_duration_seconds_count', { handler: 'orders' }) === 1,
      'a call',
    );
    const buckets = scrape
      .series('pg_listener_handler_duration_seconds_bucket')
      .map(([key]) => /le=([^,}]+)/.exec(key)![1]);
    expect(buckets).toEqual(['0.5', '2', '+Inf']);
    await apps.close();
    await expect(apps.start(options, [], { durationBuckets: [2, 1] })).rejects.toThrow('timeHandlers');
  });

  it('ask the server once for all that scrape at a time, over one connection', async () => {
    const app = await start([ordersHandler()]);
    await app.scrape();
    const count = async (): Promise<number> =>
      Number(
        (
          await db.query(
            `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%safe_wal_size%' AND pid <> pg_backend_pid()`,
          )
        )[0].count,
      );
    expect(await count()).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => app.scrape()));
    expect(await count()).toBe(1);
    await app.app.close();
    await waitFor(async () => (await count()) === 0, 'the end of the connection');
  });

  it('say that the server did not answer, and show nothing old', async () => {
    const lone = await startPostgres();
    const own = await createDatabase(lone.url);
    try {
      await own.query('CREATE TABLE orders (id int PRIMARY KEY)');
      const app = await apps.start({ connection: own.url, slot: own.slot(), shutdownTimeoutMs: 200 }, [
        ordersHandler(),
      ]);
      expect((await app.scrape()).value('pg_listener_slot_measured')).toBe(1);
      await lone.stop('immediate');
      await app.listener.measure({ maxAgeMs: 0 });
      const scrape = await scraped(app, (each) => each.value('pg_listener_up') === 0, 'it to be down');
      expect(scrape.value('pg_listener_slot_measured')).toBe(0);
      expect(scrape.value('pg_listener_lag_bytes')).toBeUndefined();
      expect(scrape.value('pg_listener_slot_retained_bytes')).toBeUndefined();
      expect(scrape.value('pg_listener_lag_seconds')!).toBeGreaterThan(0);
      expect(app.listener.stats().slotProblem).not.toContain('password');
      await apps.close();
    } finally {
      await own.client.end().catch(() => undefined);
      await lone.stop('immediate').catch(() => undefined);
    }
  });
});
