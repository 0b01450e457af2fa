import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { OnLogicalMessage, OnTableChange, type Change, type PgListenerOptions } from 'nestjs-pg-listener';
import pg from 'pg';
import { TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor, waitForCount } from '../support/wait.js';

const FURTHER = 100_000;
const MANY = 2_000;
const FIGURES = process.env['PG_LISTENER_FIGURES'] === '1';

interface Account {
  readonly id: number;
  readonly version: number;
}

/** Fails on the accounts that are told; keeps what it has done, and how often it was called. */
function accountsHandler(): Type & { done: Account[]; broken: Set<number>; calls: number } {
  @Injectable()
  class AccountsHandler {
    static readonly done: Account[] = [];
    static readonly broken = new Set<number>();
    static calls = 0;

    @OnTableChange<Account>('accounts', ['insert', 'update'], {
      id: 'accounts',
      onExhausted: 'park',
      retry: { attempts: 2, minDelayMs: 1 },
    })
    onChange({ record: { id, version } }: { record: Account }): void {
      AccountsHandler.calls++;
      if (AccountsHandler.broken.has(id)) throw new Error(`account ${id} is broken`);
      AccountsHandler.done.push({ id, version });
    }
  }
  return AccountsHandler;
}

describe('parking', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE accounts (id int PRIMARY KEY, version int NOT NULL)');
  });
  afterEach(async () => {
    await apps.close();
    await db.query('TRUNCATE accounts');
  });
  afterAll(() => db?.drop());

  const start = (slot: string, providers: Type[], options: Partial<PgListenerOptions> = {}) =>
    apps.start({ connection: db.url, slot, shutdownTimeoutMs: 2_000, ...options }, providers);

  async function isConfirmed(slot: string, lsn: string): Promise<boolean> {
    const [row] = await db.query(
      'SELECT confirmed_flush_lsn > $2 AS is FROM pg_replication_slots WHERE slot_name = $1',
      [slot, lsn],
    );
    return row.is;
  }

  const insert = (id: number, version = 0) => db.query('INSERT INTO accounts VALUES ($1, $2)', [id, version]);
  const update = (id: number, version: number) =>
    db.query('UPDATE accounts SET version = $2 WHERE id = $1', [id, version]);
  const isCount = (app: TestApplication, count: number) =>
    waitFor(async () => (await app.listener.parked.count()) === count, `${count} parked`);

  it(`lets ${FURTHER} changes of other keys pass a poison change, and keeps those of its key in order behind it`, async () => {
    const handler = accountsHandler();
    handler.broken.add(1);
    const slot = db.slot('poison');
    const { listener } = await start(slot, [handler]);
    const before = performance.now();
    await insert(1);
    for (let version = 1; version <= 10; version++) {
      await db.query('INSERT INTO accounts SELECT 1 + $1::int + g, 0 FROM generate_series(1, $2::int) g', [
        ((version - 1) * FURTHER) / 10,
        FURTHER / 10,
      ]);
      await update(1, version);
    }
    await waitForCount(
      () => handler.done.length,
      FURTHER,
      () => 'others',
    );
    const took = performance.now() - before;
    await waitFor(async () => (await listener.parked.count()) === 11, 'those of its key to be parked');
    const waiting = await listener.parked.list();
    expect(waiting.map(({ change }) => (change as { record?: Account }).record)).toEqual(
      Array.from({ length: 11 }, (_, version) => ({ id: 1, version })),
    );
    expect(waiting.map(({ attempts, error }) => [attempts, error])).toEqual([
      [2, 'account 1 is broken'],
      ...Array.from({ length: 10 }, () => [0, null]),
    ]);
    await waitFor(
      () => isConfirmed(slot, (waiting.at(-1)!.change as Change).lsn),
      'the position to move past all of it',
    );
    expect(handler.calls).toBe(FURTHER + 2);
    expect(listener.health()).toMatchObject({ status: 'up' });
    expect(listener.stats()).toMatchObject({ parked: 11, skipped: 0 });

    expect(await listener.parked.retry()).toEqual({ handled: 0, failed: 1, requested: 0 });
    handler.broken.clear();
    handler.done.length = 0;
    expect(await listener.parked.retry()).toEqual({ handled: 11, failed: 0, requested: 0 });
    await update(1, 11);
    await waitFor(() => handler.done.length === 12, 'the live change');
    expect(handler.done).toEqual(Array.from({ length: 12 }, (_, version) => ({ id: 1, version })));
    expect([await listener.parked.count(), listener.stats().parked]).toEqual([0, 0]);
    if (FIGURES) process.stdout.write(`${FURTHER} changes past a poison change: ${took.toFixed(0)} ms\n`);
  }, 180_000);

  it(`parks ${MANY} and tries them again while changes of their keys go on`, async () => {
    const handler = accountsHandler();
    for (let id = 1; id <= MANY; id++) handler.broken.add(id);
    const { listener } = await start(db.slot('many'), [handler]);
    const begun = performance.now();
    await db.query('INSERT INTO accounts SELECT g, 0 FROM generate_series(1, $1::int) g', [MANY]);
    await waitForCount(
      () => listener.parked.count(),
      MANY,
      () => 'parked',
    );
    const parked = performance.now();
    handler.broken.clear();
    const retrying = listener.parked.retry();
    for (let version = 1; version <= 20; version++)
      await db.query('UPDATE accounts SET version = $1 WHERE id % 100 = 0', [version]);
    const { handled } = await retrying;
    const redriven = performance.now();
    await waitFor(
      () => handler.done.length === MANY + (20 * MANY) / 100,
      () => `${handler.done.length} of all`,
    );
    const versions = new Map<number, number>();
    for (const { id, version } of handler.done) {
      expect(version).toBe(versions.has(id) ? versions.get(id)! + 1 : 0);
      versions.set(id, version);
    }
    expect(handled).toBeGreaterThanOrEqual(MANY);
    // What came while it ended, if anything, is held by nothing any more.
    expect([await listener.parked.count(), listener.stats().parked]).toEqual([0, 0]);
    if (FIGURES) {
      const [each, again] = [MANY / (parked - begun), handled / (redriven - parked)].map((rate) => rate * 1000);
      process.stdout.write(`${each!.toFixed(0)} parked/s (2 attempts each), ${again!.toFixed(0)} redriven/s\n`);
    }
  }, 180_000);

  it('is retried and discarded from a process that stands by', async () => {
    const handler = accountsHandler();
    for (const id of [1, 2, 3]) handler.broken.add(id);
    const slot = db.slot('standby');
    const active = await start(slot, [handler]);
    const standby = await start(slot, [handler]);
    expect(standby.listener.status.state).toBe('standby');
    for (const id of [1, 2, 3]) await insert(id);
    await isCount(active, 3);
    const [first, second] = await standby.listener.parked.list();
    handler.broken.clear();
    expect(await standby.listener.parked.retry({ ids: [first!.id] })).toEqual({ handled: 0, failed: 0, requested: 1 });
    await isCount(active, 2);
    expect(handler.done).toEqual([{ id: 1, version: 0 }]);
    expect(await standby.listener.parked.discard({ ids: [second!.id] })).toBe(1);
    await isCount(active, 1);
    await update(2, 1);
    await waitFor(() => handler.done.length === 2, 'the key of what was discarded to be free');
    expect(await active.listener.parked.discard({ handler: 'accounts' })).toBe(1);
    expect(handler.done.at(-1)).toEqual({ id: 2, version: 1 });
    expect(active.listener.stats().parked).toBe(0);
  });

  it('is known to the process that takes over', async () => {
    const handler = accountsHandler();
    handler.broken.add(1);
    const slot = db.slot('takeover');
    const active = await start(slot, [handler]);
    const standby = await start(slot, [handler]);
    await insert(1);
    await isCount(active, 1);
    handler.broken.clear();
    await active.listener.stop();
    await waitFor(() => standby.listener.status.state === 'streaming', 'the take-over');
    await update(1, 1);
    await isCount(standby, 2);
    expect(handler.done).toEqual([]);
    expect(await standby.listener.parked.retry()).toMatchObject({ handled: 2 });
    expect(handler.done.map(({ version }) => version)).toEqual([0, 1]);
  });

  it('is left to the process that has taken over, and is not written behind its back', async () => {
    const handler = accountsHandler();
    const slot = db.slot('superseded');
    const { listener, logs } = await start(slot, [handler]);
    // As one that takes over does, while this process is frozen.
    await db.query('UPDATE nestjs_pg_listener.slots SET epoch = epoch + 1 WHERE slot_name = $1', [slot]);
    handler.broken.add(1);
    await insert(1);
    await insert(2);
    await waitFor(() => logs.find('changes nothing of what is parked'), 'the refusal');
    // The slot is free, for nobody is there: the change comes again, and is parked under the new count.
    await waitFor(async () => (await listener.parked.count()) === 1, 'a new stream');
    await waitFor(() => handler.done.length === 1, 'the next one');
    expect(handler.calls).toBe(5);
    expect(listener.stats().reconnects).toBe(1);
  });

  it('is tried again in the background where that is wanted', async () => {
    const handler = accountsHandler();
    handler.broken.add(1);
    const { listener, logs } = await start(db.slot('background'), [handler], { parked: { retryEveryMs: 150 } });
    await insert(1);
    await update(1, 1);
    await waitFor(() => handler.calls >= 4, 'tries in the background');
    expect((await listener.parked.list())[0]!.attempts).toBeGreaterThan(2);
    expect(logs.find('failed on the parked insert of public.accounts')).toBeDefined();
    handler.broken.clear();
    await waitFor(() => handler.done.length === 2, 'both');
    expect(handler.done.map(({ version }) => version)).toEqual([0, 1]);
    await waitFor(async () => (await listener.parked.count()) === 0, 'none to be parked');
  });

  it('lists typed values, by id, handler and table', async () => {
    await db.query(`CREATE TABLE parcels (id uuid PRIMARY KEY, at timestamptz, raw bytea, price numeric(10, 2), tags text[]);
      CREATE SCHEMA shop; CREATE TABLE shop.accounts (id int PRIMARY KEY);`);
    @Injectable()
    class Failing {
      @OnTableChange(['parcels', 'shop.accounts'], 'insert', {
        id: 'tables',
        onExhausted: 'park',
        retry: { attempts: 1 },
      })
      onChange(): void {
        throw new Error('no');
      }
      @OnLogicalMessage('outbox', { id: 'messages', onExhausted: 'park', retry: { attempts: 1 } })
      onMessage(): void {
        throw new Error('no message');
      }
    }
    const cents = (text: string) => ({ cents: Math.round(Number(text) * 100) });
    const types = {
      getTypeParser: (oid: number, format: 'text') => (oid === 1700 ? cents : pg.types.getTypeParser(oid, format)),
    };
    const { listener } = await start(db.slot('typed'), [Failing], {
      connection: { connectionString: db.url, types: types as never },
    });
    const { parked } = listener;
    const id = '6ecd8c99-4036-403d-bf84-cf8400f67836';
    await db.query(`INSERT INTO parcels VALUES ($1, '2020-02-29 12:00:00.5+00', '\\x00ff', 12.34, '{a,NULL}')`, [id]);
    await db.query(`INSERT INTO shop.accounts VALUES (1); SELECT pg_logical_emit_message(true, 'outbox', 'hello')`);
    await waitFor(async () => (await parked.count()) === 3, 'all to be parked');
    const [parcel, account, message] = await parked.list();
    expect(parcel).toMatchObject({
      table: 'public.parcels',
      operation: 'insert',
      keys: [id],
      error: 'no',
      attempts: 1,
    });
    expect((parcel!.change as { record?: unknown }).record).toEqual({
      id,
      at: new Date('2020-02-29T12:00:00.500Z'),
      raw: Buffer.from([0, 255]),
      price: { cents: 1234 },
      tags: ['a', null],
    });
    expect(message).toMatchObject({ handler: 'messages', table: null, operation: null, keys: [] });
    expect(message!.change).toMatchObject({ prefix: 'outbox', content: Buffer.from('hello') });
    const idsOf = async (filter: object) => (await parked.list(filter)).map((each) => each.id);
    expect(await idsOf({ table: 'shop.accounts' })).toEqual([account!.id]);
    expect(await idsOf({ handler: 'tables' })).toEqual([parcel!.id, account!.id]);
    expect(await idsOf({ ids: [message!.id, account!.id], limit: 1 })).toEqual([account!.id]);
    expect(await parked.retry({ table: 'parcels' })).toMatchObject({ handled: 0, failed: 1 });
    await expect(parked.discard({ tabel: 'parcels' } as never)).rejects.toMatchObject({
      code: 'PG_LISTENER_PARKED_FILTER',
    });
    expect(await parked.count()).toBe(3);
  });
});
