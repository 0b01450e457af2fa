import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  HandlerHaltError,
  OnTableChange,
  ParkChange,
  SkipChange,
  type InsertChange,
  type PgListenerOptions,
} from 'nestjs-pg-listener';
import { parseLsn } from '#lib/protocol/lsn.js';
import { TestApplications } from '../support/application.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { slotAndRecord } from '../support/own-tables.js';
import { sleep, waitFor } from '../support/wait.js';

interface Row {
  readonly id: number;
}
type OnExhausted = NonNullable<PgListenerOptions['onExhausted']>;
type OrdersHandler = Type & { calls: number[]; lsns: Map<number, string>; act: (id: number) => unknown };

/** Calls are kept, and do what `act` does. */
function ordersHandler(onExhausted: OnExhausted, attempts = 2): OrdersHandler {
  @Injectable()
  class Handler {
    static readonly calls: number[] = [];
    static readonly lsns = new Map<number, string>();
    static act: (id: number) => unknown = () => undefined;

    @OnTableChange<Row>('orders', 'insert', {
      id: 'orders',
      onExhausted,
      retry: { attempts, minDelayMs: 1, maxDelayMs: 20 },
    })
    onInsert({ record, lsn }: InsertChange<Row>): unknown {
      Handler.calls.push(record.id);
      Handler.lsns.set(record.id, lsn);
      return Handler.act(record.id);
    }
  }
  return Handler as unknown as OrdersHandler;
}

const failOn = (id: number) => (given: number) => {
  if (given === id) throw new Error(`order ${id} is broken`);
};

describe('the policy of a handler', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  let nextId = 1;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
  });
  afterAll(() => db?.drop());

  const start = (slot: string, handler: Type, options: Partial<PgListenerOptions> = {}) =>
    apps.start({ connection: db.url, slot, shutdownTimeoutMs: 2_000, ...options }, [handler]);

  /** @returns the id of the new row */
  async function insert(): Promise<number> {
    await db.query('INSERT INTO orders VALUES ($1)', [nextId]);
    return nextId++;
  }

  const confirmed = async (slot: string): Promise<bigint> => (await slotAndRecord(db, slot)).confirmed;

  it("'skip' passes the change over, in the log and in the count, and confirms it", async () => {
    const handler = ordersHandler('skip');
    const slot = db.slot('skip');
    const { listener, logs } = await start(slot, handler);
    handler.act = failOn(nextId);
    const [poison, other] = [await insert(), await insert()];
    await waitFor(() => handler.calls.includes(other), 'the next one');
    expect(handler.calls).toEqual([poison, poison, other]);
    // Not the end of the log, where others write, too: what nobody handles is confirmed in large steps only.
    const commit = parseLsn(handler.lsns.get(other)!);
    await waitFor(async () => (await confirmed(slot)) > commit, 'the position to pass it');
    expect(listener.stats()).toMatchObject({ skipped: 1, failures: 2, parked: 0, changesHandled: 2 });
    expect(listener.health().status).toBe('up');
    expect(logs.find(`order ${poison} is broken; it is skipped`)).toContain('Handler orders failed on insert');
    handler.act = () => {
      throw new SkipChange({ reason: 'of no interest' });
    };
    const skipped = await insert();
    await waitFor(() => listener.stats().skipped === 2, 'the handler to skip itself');
    expect(handler.calls.filter((id) => id === skipped)).toHaveLength(1);
    expect(logs.find('of no interest; it is skipped')).toBeDefined();
  });

  it("'halt' stops the app, holds the position, and start() gives the change again", async () => {
    const handler = ordersHandler('halt');
    const slot = db.slot('halt');
    const { listener } = await start(slot, handler);
    const before = await insert();
    await waitFor(() => handler.calls.includes(before), 'a change');
    handler.act = failOn(nextId);
    const [poison, other] = [await insert(), await insert()];
    await waitFor(() => listener.status.state === 'halted', 'the halt');
    expect(listener.status.error).toBeInstanceOf(HandlerHaltError);
    expect(listener.health()).toMatchObject({ status: 'down', state: 'halted' });
    expect(listener.health().reason).toContain(`order ${poison} is broken`);
    await sleep(300);
    expect(handler.calls).toEqual([before, poison, poison]);
    expect(await confirmed(slot)).toBeLessThanOrEqual(parseLsn(handler.lsns.get(poison)!));
    await listener.start();
    await waitFor(() => listener.status.state === 'halted' && handler.calls.length === 5, 'the second halt');
    handler.act = () => undefined;
    await listener.start();
    await waitFor(() => handler.calls.includes(other), 'the next one');
    expect(handler.calls.slice(5)).toEqual([poison, other]);
    expect(listener.health()).toEqual({ app: 'default', status: 'up', state: 'streaming' });
  });

  it('a halted app can be started by whoever hears of the halt', async () => {
    const handler = ordersHandler('halt', 1);
    const { listener } = await start(db.slot('halt_heard'), handler);
    let halts = 0;
    handler.act = () => {
      if (halts === 0) throw new Error('only once');
    };
    const starts: Promise<void>[] = [];
    listener.status$.subscribe(({ state }) => {
      if (state !== 'halted') return;
      halts++;
      starts.push(listener.start());
    });
    const id = await insert();
    await waitFor(() => handler.calls.length === 2, 'the change to come again');
    expect(handler.calls).toEqual([id, id]);
    expect(halts).toBe(1);
    await Promise.all(starts);
    expect(listener.status.state).toBe('streaming');
  });

  it('a halted app that is started and stopped at once is stopped', async () => {
    const handler = ordersHandler('halt', 1);
    const { listener } = await start(db.slot('halt_stopped'), handler);
    handler.act = failOn(nextId);
    await insert();
    await waitFor(() => listener.status.state === 'halted', 'the halt');
    handler.act = () => undefined;
    const isRefused = expect(listener.start()).rejects.toThrow('Stopped while it started');
    await listener.stop();
    await isRefused;
    expect(listener.status.state).toBe('stopped');
  });

  it("'block' tries on: health names the handler, nothing passes, the position holds", async () => {
    const handler = ordersHandler('block');
    const slot = db.slot('block');
    const { listener, logs } = await start(slot, handler);
    handler.act = failOn(nextId);
    const [poison, other] = [await insert(), await insert()];
    await waitFor(() => handler.calls.length > 5, 'more tries than attempts');
    expect(listener.health()).toMatchObject({
      status: 'down',
      reason: 'handler orders keeps failing and holds the position',
    });
    // Longer than a second, in which a position would be confirmed.
    await sleep(1_200);
    expect(new Set(handler.calls)).toEqual(new Set([poison]));
    expect(await confirmed(slot)).toBeLessThanOrEqual(parseLsn(handler.lsns.get(poison)!));
    expect(logs.find('the position holds until it succeeds')).toBeDefined();
    handler.act = () => undefined;
    await waitFor(() => handler.calls.includes(other), 'the next one');
    expect(listener.health().status).toBe('up');
  });

  it.each(['park', 'skip', 'halt'] as const)("'%s' does not apply while the app drains", async (onExhausted) => {
    const handler = ordersHandler(onExhausted, 1);
    const slot = db.slot(`drain_${onExhausted}`);
    const { listener, logs } = await start(slot, handler);
    let close: () => void = () => undefined;
    handler.act = () => new Promise((_resolve, reject) => (close = () => reject(new Error('the pool is closed'))));
    const id = await insert();
    await waitFor(() => handler.calls.length === 1, 'the call');
    const stopping = listener.stop();
    close();
    await stopping;
    expect(listener.stats()).toMatchObject({ skipped: 0, failures: 0, parked: 0, state: 'stopped' });
    expect(await listener.parked.count()).toBe(0);
    expect(logs.find('the pool is closed')).toBeUndefined();
    handler.act = () => undefined;
    await listener.start();
    await waitFor(() => handler.calls.length === 2, 'the change again');
    expect(handler.calls).toEqual([id, id]);
  });

  it('keeps what two apps park apart, although handlers and keys are the same', async () => {
    const [one, other] = [ordersHandler('park', 1), ordersHandler('park', 1)];
    const [first, second] = [await start(db.slot('one'), one), await start(db.slot('other'), other)];
    one.act = failOn(nextId);
    const id = await insert();
    await waitFor(async () => (await first.listener.parked.count()) === 1, 'one to park');
    await waitFor(() => other.calls.includes(id), 'the other to handle it');
    expect(await second.listener.parked.count()).toBe(0);
    expect(await second.listener.parked.retry()).toMatchObject({ handled: 0, failed: 0 });
    expect(await second.listener.parked.discard({})).toBe(0);
    one.act = () => undefined;
    expect(await first.listener.parked.retry()).toMatchObject({ handled: 1 });
  });

  describe('of a role without the right to make tables', () => {
    const role = `listener_${Math.random().toString(36).slice(2, 10)}`;
    let own: TestDatabase;
    let connection: string;

    beforeAll(async () => {
      own = await createDatabase();
      await own.query(`CREATE TABLE orders (id int PRIMARY KEY);
        CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret';
        GRANT SELECT ON orders TO ${role}; CREATE PUBLICATION theirs FOR TABLE orders;`);
      const address = new URL(own.url);
      [address.username, address.password] = [role, 'secret'];
      connection = address.toString();
    });
    afterAll(async () => {
      const { url } = own;
      await own.query(`DROP SCHEMA IF EXISTS nestjs_pg_listener CASCADE; DROP OWNED BY ${role}`);
      await own.drop();
      const server = new URL(url);
      server.pathname = '/postgres';
      await withClient(server.toString(), (client) => client.query(`DROP ROLE ${role}`));
    });

    const migrationIn = (message: string) => message.slice(message.indexOf('CREATE SCHEMA'));

    it('holds the position, loudly, where a handler parks nevertheless, and goes on when the migration has run', async () => {
      const handler = ordersHandler('block');
      const { listener, logs } = await start(own.slot('verdict'), handler, { connection, publications: ['theirs'] });
      handler.act = (id) => {
        if (id === 1) throw new ParkChange({ reason: 'not now' });
      };
      await own.query('INSERT INTO orders VALUES (1), (2)');
      const isTold = ({ message }: { message: string }) => message.includes('Cannot park');
      const { message: line } = await waitFor(() => logs.entries.find(isTold), 'the log to tell');
      expect(line).toContain('the position holds');
      expect(listener.health()).toMatchObject({ status: 'down' });
      expect(handler.calls).toEqual([1]);
      await own.query(migrationIn(line));
      await waitFor(() => handler.calls.includes(2), 'the next one');
      expect(listener.health().status).toBe('up');
      expect((await listener.parked.list())[0]).toMatchObject({ handler: 'orders', keys: ['1'] });
      await own.query('DROP SCHEMA nestjs_pg_listener CASCADE');
    });

    it('fails the boot with the SQL that mends it, after which it parks', async () => {
      const handler = ordersHandler('park', 1);
      const options = { connection, publications: ['theirs'] };
      const slot = own.slot('policy');
      const refusal = await start(slot, handler, options).then(
        () => undefined,
        (error: Error) => error,
      );
      expect(refusal).toMatchObject({ code: 'PG_LISTENER_SERVER_SETUP' });
      expect(refusal!.message).toContain("onExhausted 'park' of orders needs the table of parked changes");
      expect(refusal!.message).not.toContain('secret');
      await own.query(migrationIn(refusal!.message));
      const { listener } = await start(slot, handler, options);
      handler.act = failOn(3);
      await own.query('INSERT INTO orders VALUES (3)');
      await waitFor(async () => (await listener.parked.count()) === 1, 'it to be parked');
      handler.act = () => undefined;
      expect(await listener.parked.retry()).toMatchObject({ handled: 1 });
    });
  });
});
