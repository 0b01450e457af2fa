import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnLogicalMessage,
  OnTableChange,
  type InsertChange,
  type LogicalMessage,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { sleep, waitFor } from '../support/wait.js';

interface Order {
  readonly id: number;
}

type Handle = (change: InsertChange<Order>, context: TransactionalContext) => unknown;

const TABLES =
  'CREATE TABLE orders (id int PRIMARY KEY, pad text); CREATE TABLE booked (seq bigserial, id int, note text)';

/** A handler of `orders` with the id `orders`. */
function handlerOf(handle: Handle, concurrency = 1): Type {
  @Injectable()
  class Orders {
    @OnTableChange('orders', 'insert', {
      id: 'orders',
      retry: { minDelayMs: 20, maxDelayMs: 50, attempts: 3 },
      concurrency,
      transactional: true,
    })
    async handle(change: InsertChange<Order>, context: TransactionalContext): Promise<unknown> {
      return handle(change, context);
    }
  }
  return Orders;
}

const book: Handle = (change, { client }) => client.query('INSERT INTO booked (id) VALUES ($1)', [change.record.id]);

describe('transactional handlers in trouble', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query(`${TABLES}; CREATE PUBLICATION mine FOR TABLE orders`);
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  const start = (handlers: readonly Type[], slot = db.slot()): Promise<TestApplication> =>
    apps.start({ connection: db.url, slot, service: 'shop', publications: ['mine'] }, handlers);

  const booked = async (): Promise<unknown[]> => (await db.query('SELECT * FROM booked ORDER BY seq')) as unknown[];

  it('know a message outside of a transaction again, whatever their stream brought before it', async () => {
    @Injectable()
    class Outbox {
      @OnLogicalMessage('outbox', { id: 'outbox', transactional: true })
      async handle({ text }: LogicalMessage, { client }: TransactionalContext): Promise<void> {
        await client.query('INSERT INTO booked (note) VALUES ($1)', [text]);
      }
    }
    const message = (text: string): Promise<unknown> =>
      db.query(`SELECT pg_logical_emit_message(false, 'outbox', $1)`, [text]);
    const first = await start([Outbox, handlerOf(book)]);
    await db.query('INSERT INTO orders VALUES (1)');
    // It will not see the order that comes before the message.
    const late = db.slot('late');
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [late]);
    await message('once');
    await waitFor(async () => (await booked()).length === 2, 'the order and the message');
    await first.close();
    const second = await start([Outbox, handlerOf(book)], late);
    await message('another');
    await waitFor(async () => (await booked()).length >= 3, 'the other message');
    expect(await booked()).toMatchObject([{ id: 1 }, { note: 'once' }, { note: 'another' }]);
    expect(second.listener.stats().repeats).toBe(1);
  });

  it('say in the health of their app what keeps them from being run, and go on when it is mended', async () => {
    const app = await start([handlerOf(book)]);
    const rename = (from: string, to: string): Promise<unknown> =>
      db.query(`ALTER TABLE nestjs_pg_listener.${from} RENAME TO ${to}`);
    await rename('claims', 'away');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => app.listener.health().status === 'down', 'the app to be down');
    expect(app.listener.health().reason).toMatch(
      /^handler orders cannot be run and holds the position: .*relation "nestjs_pg_listener.claims" does not exist/,
    );
    await rename('away', 'claims');
    await waitFor(async () => (await booked()).length === 1, 'the order');
    await waitFor(() => app.listener.health().status === 'up', 'the app to be up');
  });

  it('say that the row of their progress is gone, and what to do', async () => {
    const app = await start([handlerOf(book)]);
    await db.query('DELETE FROM nestjs_pg_listener.progress');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => app.listener.health().status === 'down', 'the app to be down');
    expect(app.listener.health().reason).toMatch(/The row of orders is gone from nestjs_pg_listener.progress/);
    await app.listener.stop();
    await app.listener.start();
    await waitFor(async () => (await booked()).length === 1, 'the order');
  });

  it('may not return before their queries are over', async () => {
    const attempts: number[] = [];
    const app = await start([
      handlerOf(async (change, context) => {
        attempts.push(context.attempt);
        const query = context.client.query('SELECT pg_sleep(0.2)');
        query.catch(() => undefined);
        if (context.attempt > 1) await query;
        await book(change, context);
        if (context.attempt === 1) context.client.query('SELECT pg_sleep(0.2)').catch(() => undefined);
      }),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(async () => (await booked()).length === 1, 'the order');
    expect(attempts).toEqual([1, 2]);
    expect(app.listener.stats().failures).toBe(1);
    expect(app.logs.find(/Handler orders returned before a query of it was over/)).toBeDefined();
  });
});

describe('transactional handlers that take what is prepared away', () => {
  const apps = new TestApplications();
  let db: TestDatabase;

  beforeEach(async () => {
    db = await createDatabase();
    await db.query(TABLES);
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  it('are told so, and find it again', async () => {
    const failing = new Set(['returns', 'throws']);
    const app = await apps.start({ connection: db.url, slot: db.slot(), service: 'shop' }, [
      handlerOf(async (change, context) => {
        await book(change, context);
        const [how] = failing;
        if (how === undefined) return;
        failing.delete(how);
        await context.client.query(`DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$`);
        if (how === 'throws') throw new Error('on purpose');
      }),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(async () => (await db.query('SELECT FROM booked')).length === 1, 'the order');
    expect(app.logs.find(/Handler orders has deallocated what is prepared in the session/)).toBeDefined();
    expect(app.listener.stats().failures).toBe(2);
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(async () => (await db.query('SELECT FROM booked')).length === 2, 'the next one');
  });
});

describe('transactional handlers on a server of their own', () => {
  let server: PostgresServer | undefined;
  const folders: string[] = [];
  const apps = new TestApplications();

  afterEach(async () => {
    await apps.close();
    await server?.stop('immediate');
    server = undefined;
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  const sql = (text: string): Promise<Record<string, unknown>[]> =>
    withClient(server!.url, async (client) => (await client.query(text)).rows);
  const ids = async (): Promise<unknown[]> => (await sql('SELECT id FROM booked ORDER BY seq')).map(({ id }) => id);

  it('take nothing for done that the server has forgotten: it was put back to an earlier state', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'put-back-'));
    folders.push(folder);
    // The server may run as another user, and so may its files be: `cp -a` keeps that.
    chmodSync(folder, 0o755);
    const [data, copy] = [join(folder, 'data'), join(folder, 'copy')];
    server = await startPostgres({ dataDirectory: data, settings: { max_wal_size: '1GB' } });
    await sql(TABLES);
    const app = await apps.start({ connection: server.url, slot: 'shop', service: 'shop' }, [handlerOf(book)]);
    await sql('INSERT INTO orders VALUES (1)');
    await waitFor(async () => (await ids()).length === 1, 'the first');
    await server.pause('fast');
    execFileSync('cp', ['-a', data, copy]);
    await server.start();
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    await sql(`INSERT INTO orders SELECT g, repeat('x', 1000) FROM generate_series(2, 300) g`);
    await waitFor(async () => (await ids()).length === 300, 'what will be lost');
    await server.pause('immediate');
    rmSync(data, { recursive: true });
    execFileSync('cp', ['-a', copy, data]);
    await server.start();
    await waitFor(() => app.listener.status.state === 'halted', 'the gap to be found');
    // The keeper of the progress had its turn.
    await sleep(1_500);
    await app.listener.acknowledgeGaps();
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    await sql('INSERT INTO orders VALUES (2), (3), (4)');
    await waitFor(
      async () => (await ids()).length >= 4,
      () => `the new ones: ${app.logs.lines.slice(-4).join('\n')}`,
    );
    expect(await ids()).toEqual([1, 2, 3, 4]);
  });

  it("say that no replication origin is left for `origin: 'none'`", async () => {
    const [{ version }] = (await withClient(
      process.env['PG_LISTENER_TEST_URL']!,
      async (client) => (await client.query(`SELECT current_setting('server_version_num')::int AS version`)).rows,
    )) as [{ version: number }];
    if (version < 180_000) return console.log('skipped: before 18, slots and origins share one limit');
    server = await startPostgres({ settings: { max_active_replication_origins: '1' } });
    await sql(TABLES);
    let running = 0;
    const app = await apps.start({ connection: server.url, slot: 'shop', service: 'shop', origin: 'none' }, [
      handlerOf(async (change, context) => {
        running++;
        await waitFor(() => running < 2 || change.record.id > 1, 'the other');
        await sleep(300);
        running--;
        await book(change, context);
      }, 2),
    ]);
    await sql('INSERT INTO orders VALUES (1), (2)');
    await waitFor(() => app.listener.health().status === 'down', 'the app to be down');
    expect(app.listener.health().reason).toMatch(/no replication origin is free.*max_active_replication_origins/);
    await waitFor(async () => (await ids()).length === 2, 'both, one after the other');
  });
});
