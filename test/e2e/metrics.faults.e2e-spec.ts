import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { OnTableChange, type InsertChange, type PgListenerOptions } from 'nestjs-pg-listener';
import type { HealthThresholds } from 'nestjs-pg-listener/terminus';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { ObservedApplications } from '../support/observed-application.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { sleep, waitFor } from '../support/wait.js';

/** A server that is silent is known by it soon. */
describe('what is told of an app, where something is wrong', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  const apps = new ObservedApplications();
  const undo: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_sender_timeout: '3s' } });
  });
  beforeEach(async () => {
    db = await createDatabase(server.url);
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    for (const each of undo.splice(0).toReversed()) await each();
    await apps.close();
    await db.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  function ordersHandler(): Type {
    @Injectable()
    class OrdersHandler {
      @OnTableChange<{ id: number }>('orders', 'insert', { id: 'orders', onExhausted: 'park', retry: { attempts: 1 } })
      onInsert({ record: { id } }: InsertChange<{ id: number }>): void {
        if (id === 13) throw new Error('no luck');
      }
    }
    return OrdersHandler;
  }
  const start = (more: Partial<PgListenerOptions> = {}, degradedAbove?: HealthThresholds) =>
    apps.start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 200, ...more }, [ordersHandler()], {
      degradedAbove,
    });
  const insert = (id: number) => db.query('INSERT INTO orders VALUES ($1)', [id]);
  async function behindProxy(): Promise<FaultProxy> {
    const proxy = await startProxy(new URL(db.url));
    undo.push(() => proxy.close());
    return proxy;
  }

  it('is a lag since the server was heard last, while it is silent and when it is given up', async () => {
    const proxy = await behindProxy();
    const app = await start({ connection: proxy.through(db.url) }, { lagSeconds: 1 });
    await insert(1);
    await waitFor(() => app.listener.stats().changesHandled === 1, 'the change');
    // Idle for longer than a silence takes to be noticed: no lag.
    for (let look = 0; look < 16; look++) {
      await sleep(200);
      expect(app.listener.stats().lagSeconds).toBeLessThan(0.5);
    }
    proxy.freeze();
    await insert(2);
    const frozenAt = Date.now();
    await waitFor(() => app.listener.stats().lagSeconds! > 2, 'a lag of a silent server');
    expect(app.listener.status.state).toBe('streaming');
    expect((await app.health()).body).toMatchObject({ status: 'degraded' });
    await waitFor(() => app.listener.status.state !== 'streaming', 'its end', 20_000);
    const silentMs = Date.now() - frozenAt;
    expect(silentMs).toBeGreaterThan(1_500);
    expect(app.listener.stats().lagSeconds! * 1_000).toBeGreaterThan(silentMs - 300);
    proxy.cut();
    await waitFor(() => app.listener.stats().changesHandled === 2, 'the next change', 20_000);
    await waitFor(() => app.listener.stats().lagSeconds! < 0.5, 'the end of the lag');
  });

  it('comes within seconds where the server lets nobody in, and the stream goes on meanwhile', async () => {
    const app = await start({}, { lagBytes: 1e9 });
    const [{ file }] = await db.query(`SELECT pg_read_file('postmaster.pid') AS file`);
    const postmaster = Number(String(file).split('\n')[0]);
    process.kill(postmaster, 'SIGSTOP');
    undo.push(() => process.kill(postmaster, 'SIGCONT'));
    const begun = performance.now();
    const scraping = app.scrape();
    const checking = app.health();
    for (let id = 1; id <= 5; id++) await insert(id);
    await waitFor(() => app.listener.stats().changesHandled === 5, 'the changes');
    expect(performance.now() - begun).toBeLessThan(2_500);
    const scrape = await scraping;
    expect(performance.now() - begun).toBeLessThan(4_500);
    expect(scrape.value('pg_listener_slot_measured')).toBe(0);
    expect(scrape.value('pg_listener_lag_bytes')).toBeUndefined();
    expect(scrape.value('pg_listener_up')).toBe(1);
    expect((await checking).body).toMatchObject({
      status: 'degraded',
      details: { default: { slotProblem: 'no answer within 3000 ms' } },
    });
    expect(app.listener.stats().reconnects).toBe(0);
    // A close does not wait for it either.
    const again = app.listener.measure({ maxAgeMs: 0 });
    const closing = performance.now();
    await apps.close();
    await again;
    expect(performance.now() - closing).toBeLessThan(3_000);
  });

  it('is why, where the role may not look at slots', async () => {
    const app = await start();
    await db.query('REVOKE SELECT ON pg_replication_slots FROM PUBLIC');
    await db.query(`CREATE ROLE plain_${db.name} LOGIN`);
    undo.push(() => db.query(`DROP ROLE plain_${db.name}`));
    undo.push(() => db.query('GRANT SELECT ON pg_replication_slots TO PUBLIC'));
    const other = await start({
      connection: server.urlOf(db.name, `plain_${db.name}`),
      slot: db.slot('other'),
      autoStart: false,
    });
    const { slot, slotProblem } = await other.listener.measure();
    expect(slot).toBeNull();
    expect(slotProblem).toContain('permission denied');
    expect((await app.listener.measure()).slot).not.toBeNull();
  });

  it('is up and without a lag where another process has the slot, and what is parked is told once', async () => {
    const first = await start({}, { lagSeconds: 1, parked: 0 });
    await insert(13);
    await waitFor(() => first.listener.stats().parked === 1, 'the parked change');
    const second = await start({}, { lagSeconds: 1, parked: 0 });
    await waitFor(() => second.listener.status.state === 'standby', 'the standby');
    expect((await second.health()).body).toMatchObject({
      status: 'ok',
      details: { default: { status: 'up', state: 'standby', lagSeconds: null, parked: 0 } },
    });
    const standby = await second.scrape();
    expect(standby.value('pg_listener_up')).toBe(1);
    expect(standby.value('pg_listener_lag_seconds')).toBeUndefined();
    expect(standby.value('pg_listener_slot_active')).toBe(1);
    // The other way round: the first knows what it has parked, and it is not its own any more.
    await first.listener.stop();
    await waitFor(() => second.listener.status.state === 'streaming', 'the other one', 20_000);
    await first.listener.start();
    expect(first.listener.status.state).toBe('standby');
    const parked = (scrape: Awaited<ReturnType<typeof first.scrape>>) =>
      scrape.value('pg_listener_handler_parked_changes', { handler: 'orders' });
    expect([parked(await first.scrape()), parked(await second.scrape())]).toEqual([0, 1]);
    expect(first.listener.stats().parked).toBe(0);
    expect((await first.health()).body.details.default).toMatchObject({ status: 'up', parked: 0 });
    // What it has counted stays.
    expect(
      (await first.scrape()).value('pg_listener_handler_changes_total', { handler: 'orders', outcome: 'parked' }),
    ).toBe(1);
  });

  it('is not asked for any more while the application closes: no connection is left behind', async () => {
    const app = await start();
    const asked = async (): Promise<number> =>
      withClient(server.url, async (client) => {
        const text = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%safe_wal_size%' AND pid <> pg_backend_pid()`;
        return (await client.query<{ n: number }>(text)).rows[0]!.n;
      });
    await app.listener.measure();
    expect(await asked()).toBe(1);
    const { listener } = app;
    const closing = apps.close();
    const measuring: Promise<unknown>[] = [];
    const timer = setInterval(() => measuring.push(listener.measure({ maxAgeMs: 0 })), 1);
    await closing;
    measuring.push(listener.measure({ maxAgeMs: 0 }));
    clearInterval(timer);
    await Promise.all(measuring);
    await waitFor(async () => (await asked()) === 0, 'the end of the connection', 3_000);
  });
});
