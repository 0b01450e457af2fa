import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { GapError, OnTableChange, type InsertChange, type TransactionalContext } from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { recorderOf, startApplication, type TestApplication } from '../support/application.js';
import { withClient } from '../support/database.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { startStandby, type StandbyServer } from '../support/standby.js';
import { sleep, waitFor } from '../support/wait.js';

/** More than a pause of a process: a standby that was cut off for one comes back after 5 s, and is missed till then. */
const SETTINGS = { wal_sender_timeout: '5s' };

@Injectable()
class Books {
  @OnTableChange('orders', 'insert', { id: 'books', transactional: true })
  async book({ record }: InsertChange, { client }: TransactionalContext): Promise<void> {
    await client.query('INSERT INTO booked VALUES ($1)', [record['id']]);
  }
}

/** A primary and a real standby; the application's address is moved from the one to the other. */
describe('a failover', () => {
  let primary: PostgresServer | undefined;
  let standby: StandbyServer | undefined;
  let proxy: FaultProxy | undefined;
  let app: TestApplication | undefined;
  let address: URL;

  afterEach(async () => {
    await app?.close();
    await proxy?.close();
    await primary?.stop('immediate');
    await standby?.stop();
    app = proxy = primary = standby = undefined;
  });

  const sql = (server: PostgresServer, text: string): Promise<Record<string, unknown>[]> =>
    withClient(server.url, async (client) => (await client.query(text)).rows);
  const insert = (server: PostgresServer, from: number, to: number): Promise<unknown> =>
    sql(server, `INSERT INTO orders SELECT generate_series(${from}, ${to})`);

  async function setUp(settings: Record<string, string> = {}, standbySettings: Record<string, string> = {}) {
    primary = await startPostgres({ settings: { ...SETTINGS, ...settings } });
    await sql(primary, 'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE booked (id int)');
    standby = await startStandby(primary, { ...SETTINGS, ...standbySettings });
    address = new URL(primary.url);
    proxy = await startProxy(address);
    const recorder = recorderOf('orders');
    app = await startApplication({ connection: proxy.through(primary.url), slot: { name: 'shop', failover: true } }, [
      recorder,
      Books,
    ]);
    const ids = (): unknown[] => recorder.changes.map((change) => (change as InsertChange).record['id']);
    return { app, ids };
  }

  /**
   * Waits until the standby has the slot, as it is to be taken over. It takes one that has moved on behind the standby's
   * own beginning: so rows come meanwhile, from 1001 on.
   */
  async function synced(): Promise<void> {
    let id = 1_000;
    await waitFor(
      async () => {
        await sql(primary!, 'SELECT pg_log_standby_snapshot()');
        await insert(primary!, ++id, id);
        await sleep(100);
        const slot = `SELECT FROM pg_replication_slots WHERE slot_name = 'shop' AND synced AND NOT temporary`;
        return (await sql(standby!.server, slot)).length === 1;
      },
      'the standby to have the slot',
      40_000,
    );
  }

  async function promote(): Promise<void> {
    await primary!.pause('immediate');
    await standby!.promote();
    address.port = String(standby!.server.port);
    proxy!.cut();
  }

  it('with a failover slot loses nothing: the stream goes on from the slot that the standby has synchronised', async () => {
    const { app, ids } = await setUp({ synchronized_standby_slots: 'standby_1' });
    expect(app.logs.find(/^warn Failover/)).toBeUndefined();
    expect(app.logs.find(/sync_replication_slots = on, hot_standby_feedback = on/)).toBeDefined();
    await insert(primary!, 1, 100);
    await waitFor(() => ids().includes(100), 'the first changes');
    await synced();
    await insert(primary!, 101, 200);
    await waitFor(() => ids().includes(200), 'more of them');
    await promote();
    await waitFor(() => app.listener.stats().reconnects > 0 && app.listener.status.state === 'streaming', 'the stream');
    await insert(standby!.server, 201, 300);
    await waitFor(() => ids().includes(300), 'the last change');
    const there = (await sql(standby!.server, 'SELECT id FROM orders')).map(({ id }) => id);
    expect(new Set(ids())).toEqual(new Set(there));
    expect(there.length).toBeGreaterThan(300);
    expect(await app.listener.gaps({ all: true })).toEqual([]);
    const once = 'SELECT id, count(*)::int AS times FROM booked GROUP BY id HAVING count(*) <> 1';
    const open = 'SELECT id FROM orders WHERE NOT EXISTS (SELECT FROM booked WHERE booked.id = orders.id)';
    await waitFor(async () => (await sql(standby!.server, open)).length === 0, 'effects of all that is there');
    expect(await sql(standby!.server, once)).toEqual([]);
    console.log(`failover: ${there.length} rows, ${ids().length - there.length} of them handled twice, no gap`);
    const [record] = await sql(standby!.server, 'SELECT timeline FROM nestjs_pg_listener.slots');
    expect(record).toEqual({ timeline: '2' });
  }, 90_000);

  it('to a standby that was behind is a gap where handlers have seen what is lost', async () => {
    const { app, ids } = await setUp();
    expect(app.logs.find(/^warn Failover: synchronized_standby_slots is empty/)).toBeDefined();
    await insert(primary!, 1, 10);
    await waitFor(() => ids().includes(10), 'the first changes');
    await synced();
    await standby!.server.pause('fast');
    await insert(primary!, 11, 19);
    // So that the positions of the new history lie before those that handlers have seen in the old one.
    await sql(
      primary!,
      `SELECT pg_logical_emit_message(false, 'noise', repeat('x', 1000000)) FROM generate_series(1, 8)`,
    );
    await insert(primary!, 20, 20);
    await waitFor(() => ids().includes(20), 'what will be lost');
    await primary!.pause('immediate');
    // Nobody may make its slot wait for a primary that is gone.
    await standby!.server.start();
    await promote();
    await waitFor(() => app.listener.status.state === 'halted', 'the gap', 30_000);
    expect(app.listener.status.error).toBeInstanceOf(GapError);
    const gaps = await app.listener.gaps();
    expect(gaps).toMatchObject([{ kind: 'history-lost', acknowledgedAt: null }]);
    const [{ is }] = (await sql(
      standby!.server,
      `SELECT '${gaps[0]!.from}'::pg_lsn < '${gaps[0]!.to}'::pg_lsn AS is`,
    )) as [{ is: boolean }];
    expect(is).toBe(true);
    await app.listener.acknowledgeGaps();
    expect(app.listener.status.state).toBe('streaming');
    await insert(standby!.server, 11, 12);
    await waitFor(() => ids().at(-1) === 12, 'changes of the new history');
    expect(ids().slice(-2)).toEqual([11, 12]);
  }, 90_000);

  it('has a slot that exists already synchronised, and leaves one that is, although nobody asks', async () => {
    primary = await startPostgres({ settings: SETTINGS });
    await sql(primary, 'CREATE TABLE orders (id int PRIMARY KEY)');
    const start = async (failover: boolean): Promise<TestApplication> =>
      startApplication({ connection: primary!.url, slot: { name: 'shop', failover } }, [recorderOf('orders')]);
    const isFailover = async (): Promise<unknown> =>
      (await sql(primary!, `SELECT failover FROM pg_replication_slots WHERE slot_name = 'shop'`))[0]!['failover'];
    /** Closing waits two seconds for the server's last word: where that is late, whoever starts next stands by. */
    const close = async (each: TestApplication): Promise<void> => {
      await each.close();
      const held = `SELECT FROM pg_replication_slots WHERE slot_name = 'shop' AND active`;
      await waitFor(async () => (await sql(primary!, held)).length === 0, 'the slot to be let go');
    };
    await close(await start(false));
    expect(await isFailover()).toBe(false);
    app = await start(true);
    expect(await isFailover()).toBe(true);
    expect(app.logs.find(/^warn Failover: no standby could take the slot over/)).toBeDefined();
    await close(app);
    app = await start(false);
    expect(await isFailover()).toBe(true);
    expect(app.logs.find('although `slot.failover` is not set')).toBeDefined();
  });
});
