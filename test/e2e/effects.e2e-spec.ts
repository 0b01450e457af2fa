import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnLogicalMessage,
  OnTableChange,
  OnTransaction,
  type Change,
  type HandlerOptions,
  type InsertChange,
  type LogicalMessage,
  type Transaction,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { TestApplications, type TestApplication } from '../support/application.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';
import { sleep, waitFor } from '../support/wait.js';

interface Order {
  readonly id: number;
}

const QUICK = { minDelayMs: 1, attempts: 2 };
const BOOK = 'INSERT INTO booked (id, note) VALUES ($1, $2)';

describe('effects exactly once', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE booked (seq bigserial, id int, note text)');
    // One for all slots: a managed one goes by its slot's name.
    await db.query('CREATE PUBLICATION mine FOR TABLE orders');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  /** A handler of `orders` with the id `orders`. */
  function handlerOf(
    handle: (change: InsertChange<Order>, context: TransactionalContext) => unknown,
    options: HandlerOptions<Order, 'default', undefined, true> = {},
  ): Type {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { id: 'orders', retry: QUICK, ...options, transactional: true })
      async handle(change: InsertChange<Order>, context: TransactionalContext): Promise<unknown> {
        return handle(change, context);
      }
    }
    return Orders;
  }

  const book = (change: InsertChange<Order>, { client, attempt }: TransactionalContext): Promise<unknown> =>
    client.query(BOOK, [change.record.id, `attempt ${attempt}`]);

  const start = (handlers: readonly Type[], slot = db.slot()): Promise<TestApplication> =>
    apps.start({ connection: db.url, slot, service: 'shop', publications: ['mine'] }, handlers);

  const booked = async (): Promise<number[]> =>
    (await db.query('SELECT id FROM booked ORDER BY seq')).map(({ id }) => id);

  const handled = ({ listener, logs }: TestApplication, count: number): Promise<unknown> =>
    waitFor(
      () => listener.stats().changesHandled >= count,
      () => `${count} handled: ${JSON.stringify(listener.stats())}; ${logs.lines.slice(-3).join('\n')}`,
    );

  const claims = async (): Promise<number> =>
    (await db.query('SELECT count(*)::int AS n FROM nestjs_pg_listener.claims'))[0].n;

  /** Another slot at the place where this one stands: all that comes from now on comes again to whoever has it. */
  async function copySlot(): Promise<string> {
    const copy = db.slot('copy');
    await db.query('SELECT pg_copy_logical_replication_slot($1, $2)', [db.slot(), copy]);
    return copy;
  }

  it('commits what the handler writes together with the claim of its change, and no half of it', async () => {
    const failing = new Set([2, 3]);
    const app = await start([
      handlerOf(async (change, context) => {
        await book(change, context);
        const { id } = change.record;
        const inside = await context.client.query('SELECT count(*)::int AS n FROM nestjs_pg_listener.claims');
        expect(inside.rows).toEqual([{ n: expect.any(Number) }]);
        if (failing.delete(id)) throw new Error('once');
      }),
    ]);
    await db.query('INSERT INTO orders SELECT generate_series(1, 5)');
    await handled(app, 5);
    expect(await db.query('SELECT id, note FROM booked ORDER BY seq')).toEqual([
      { id: 1, note: 'attempt 1' },
      { id: 2, note: 'attempt 2' },
      { id: 3, note: 'attempt 2' },
      { id: 4, note: 'attempt 1' },
      { id: 5, note: 'attempt 1' },
    ]);
  });

  it('does not repeat what comes again to another process, whatever its slot is called', async () => {
    const first = await start([handlerOf(book)]);
    const copy = await copySlot();
    await db.query('INSERT INTO orders SELECT generate_series(1, 20)');
    await handled(first, 20);
    await first.close();
    const second = await start([handlerOf(book)], copy);
    await db.query('INSERT INTO orders VALUES (21)');
    await handled(second, 21);
    expect(await booked()).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
    expect(second.listener.stats()).toMatchObject({ repeats: 20 });
  });

  it('needs no slot that stays', async () => {
    const app = await start([handlerOf(book)], 'temporary');
    await db.query('INSERT INTO orders SELECT generate_series(1, 3)');
    await handled(app, 3);
    expect(await booked()).toEqual([1, 2, 3]);
  });

  it('makes one position of what was claimed one by one, and knows both', async () => {
    const app = await start([handlerOf(book, { concurrency: 4 })]);
    const copy = await copySlot();
    await db.query('INSERT INTO orders SELECT generate_series(1, 50)');
    await handled(app, 50);
    await waitFor(async () => (await claims()) === 0, 'the claims to be folded');
    expect(await db.query('SELECT slot_name FROM nestjs_pg_listener.spans')).toEqual([{ slot_name: db.slot() }]);
    await app.close();
    const again = await start([handlerOf(book, { concurrency: 4 })], copy);
    await handled(again, 50);
    expect((await booked()).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });

  it('keeps what a handler of arrays says is done, and repeats nothing of it', async () => {
    let calls = 0;
    @Injectable()
    class Batches {
      @OnTableChange('orders', 'insert', {
        id: 'orders',
        // All ten in one array, however they are read.
        batch: { size: 10, maxWaitMs: 10_000 },
        transactional: true,
        onExhausted: 'skip',
        retry: { attempts: 1 },
      })
      async handle(changes: readonly InsertChange<Order>[], { client }: TransactionalContext): Promise<unknown> {
        calls++;
        const results: unknown[] = [];
        for (const { record } of changes) {
          await client.query(BOOK, [record.id, 'array']);
          results.push(record.id % 4 === 0 ? new Error('no') : undefined);
        }
        return results;
      }
    }
    const app = await start([Batches]);
    const copy = await copySlot();
    await db.query('INSERT INTO orders SELECT generate_series(1, 10)');
    await handled(app, 10);
    expect(await booked()).toEqual([1, 2, 3, 5, 6, 7, 9, 10]);
    expect(calls).toBe(4);
    expect(app.listener.stats().skipped).toBe(2);
    await app.close();
    const again = await start([Batches], copy);
    await handled(again, 10);
    expect(await booked()).toEqual([1, 2, 3, 5, 6, 7, 9, 10]);
  });

  it('parks and claims in one, and takes out what is parked with the effects of the next try', async () => {
    let isPoisoned = true;
    const poisonous = (): Type =>
      handlerOf(
        async (change, context) => {
          await book(change, context);
          if (isPoisoned && change.record.id === 2) throw new Error('poison');
        },
        { onExhausted: 'park' },
      );
    const app = await start([poisonous()]);
    const copy = await copySlot();
    await db.query('INSERT INTO orders SELECT generate_series(1, 3)');
    await handled(app, 3);
    expect(await booked()).toEqual([1, 3]);
    isPoisoned = false;
    expect(await app.listener.parked.retry()).toMatchObject({ handled: 1, failed: 0 });
    expect(await booked()).toEqual([1, 3, 2]);
    await app.close();
    const again = await start([poisonous()], copy);
    await handled(again, 3);
    expect(await booked()).toEqual([1, 3, 2]);
    expect(await again.listener.parked.count()).toBe(0);
  });

  it('claims what it parks, in the same statement', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((done) => (release = done));
    const app = await start([
      handlerOf(
        async (change, context) => {
          // While this one is in hand, nothing behind it becomes one position.
          if (change.record.id === 1) await gate;
          await book(change, context);
          if (change.record.id === 2) throw new Error('poison');
        },
        { onExhausted: 'park', concurrency: 4 },
      ),
    ]);
    await db.query('INSERT INTO orders SELECT generate_series(1, 3)');
    await handled(app, 2);
    expect(await app.listener.parked.count()).toBe(1);
    expect(await claims()).toBe(2);
    release();
    await handled(app, 3);
  });

  it('serves messages and whole transactions in the same way', async () => {
    @Injectable()
    class Others {
      @OnLogicalMessage('outbox', { id: 'messages', transactional: true })
      async message(message: LogicalMessage, { client }: TransactionalContext): Promise<void> {
        await client.query(BOOK, [Number(message.text), 'message']);
      }
      @OnTransaction({ id: 'transactions', transactional: true })
      async transaction(transaction: Transaction, { client }: TransactionalContext): Promise<void> {
        await client.query(BOOK, [transaction.size, 'transaction']);
      }
    }
    const listening = { connection: db.url, service: 'shop', publications: ['mine'] };
    const app = await apps.start({ ...listening, slot: db.slot() }, [Others]);
    const copy = await copySlot();
    const done = (count: number): Promise<unknown> =>
      waitFor(async () => (await booked()).length >= count, `${count} booked`);
    await db.query(
      `BEGIN; INSERT INTO orders VALUES (1), (2); SELECT pg_logical_emit_message(true, 'outbox', '71'); COMMIT`,
    );
    await db.query(`SELECT pg_logical_emit_message(false, 'outbox', '72')`);
    await done(3);
    await app.close();
    await apps.start({ ...listening, slot: copy }, [Others]);
    await db.query(`SELECT pg_logical_emit_message(false, 'outbox', '73')`);
    await done(4);
    const rows = await db.query('SELECT id, note FROM booked');
    expect(rows.map(({ id, note }) => `${note} ${id}`).sort()).toEqual([
      'message 71',
      'message 72',
      'message 73',
      'transaction 2',
    ]);
  });

  it('tries again, without counting, what has lost against another transaction', async () => {
    const other = await connect(db.url);
    await db.query('CREATE TABLE locks (id int PRIMARY KEY); INSERT INTO locks VALUES (1), (2)');
    const lock = (id: number): string => `SELECT FROM locks WHERE id = ${id} FOR UPDATE`;
    let attempts = 0;
    const app = await start([
      handlerOf(
        async (change, context) => {
          attempts++;
          await context.client.query('SET LOCAL deadlock_timeout = 10');
          await context.client.query(lock(1));
          if (attempts === 1) await sleep(300);
          await context.client.query(lock(2));
          await book(change, context);
        },
        { onExhausted: 'skip', retry: { attempts: 1, minDelayMs: 1 } },
      ),
    ]);
    await other.query(`SET deadlock_timeout = '10s'`);
    await other.query(`BEGIN; ${lock(2)}`);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => attempts === 1);
    await sleep(50);
    await other.query(`${lock(1)}; COMMIT`);
    await handled(app, 1);
    await other.end();
    expect(await booked()).toEqual([1]);
    expect(attempts).toBe(2);
    expect(app.listener.stats()).toMatchObject({ skipped: 0, failures: 0 });
    expect(app.logs.find(/this try does not count/)).toBeDefined();
  });

  it('does not count a connection that breaks', async () => {
    const pids = new Set<number>();
    const app = await start([
      handlerOf(
        async (change, context) => {
          const { rows } = await context.client.query('SELECT pg_backend_pid() AS pid');
          if (pids.size === 0) await db.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
          pids.add(rows[0].pid);
          await book(change, context);
        },
        { onExhausted: 'skip', retry: { attempts: 1, minDelayMs: 1 } },
      ),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(await booked()).toEqual([1]);
    expect(pids.size).toBe(2);
  });

  it.each([
    ['ends its transaction', 'COMMIT', /begins or ends a transaction/],
    ['ends it behind a comment', '/* x */ -- y\n rollback', /begins or ends a transaction/],
    ['ends it among other statements', 'SELECT 1; COMMIT; BEGIN; SELECT 2', /has ended the transaction/],
    ['prepares it', `PREPARE TRANSACTION 'x'`, /begins or ends a transaction/],
  ])('refuses a handler that %s', async (_, text, message) => {
    const app = await start([
      handlerOf(
        async (change, context) => {
          await book(change, context);
          await context.client.query(text);
        },
        { onExhausted: 'skip' },
      ),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(app.logs.find(message)).toContain('SAVEPOINT');
  });

  it('lets a handler use savepoints, and commits nothing after a statement whose error it has kept to itself', async () => {
    let swallows = true;
    const app = await start([
      handlerOf(async (change, context) => {
        await book(change, context);
        if (!swallows) await context.client.query('SAVEPOINT mine');
        await context.client.query('SELECT 1 / 0').catch(() => undefined);
        if (!swallows) await context.client.query('ROLLBACK TO SAVEPOINT mine');
        swallows = false;
      }),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(app.logs.find(/returned although a statement of it had failed/)).toBeDefined();
    expect(await db.query('SELECT id, note FROM booked')).toEqual([{ id: 1, note: 'attempt 2' }]);
  });

  it('gives a client that is of no use when the call is over, and that nobody can close', async () => {
    let kept: TransactionalContext | undefined;
    const faults: string[] = [];
    const app = await start([
      handlerOf(async (change, context) => {
        await book(change, context);
        kept = context;
        try {
          context.client.release();
        } catch (error) {
          faults.push((error as Error).message);
        }
      }),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(faults[0]).toMatch(/calls release\(\)/);
    expect(() => kept!.client.query('SELECT 1')).toThrow(/after its call is over/);
  });

  it('counts an error of a deferred constraint as the handler’s own', async () => {
    await db.query('ALTER TABLE booked ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED');
    const app = await start([
      handlerOf(
        async (change, context) => {
          await book(change, context);
          if (change.record.id === 1) await book(change, context);
        },
        { onExhausted: 'skip' },
      ),
    ]);
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await handled(app, 2);
    expect(await booked()).toEqual([2]);
    expect(app.listener.stats()).toMatchObject({ skipped: 1, failures: 2 });
  });

  it('reads values with the parsers of the application, and asks its own questions without them', async () => {
    const shout = { getTypeParser: () => (text: string) => `${text}!` };
    let seen: unknown;
    const app = await apps.start({ connection: { connectionString: db.url, types: shout as never }, slot: db.slot() }, [
      handlerOf(async (_, { client }) => (seen = (await client.query('SELECT 1 AS one')).rows[0])),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(seen).toEqual({ one: '1!' });
  });

  it('ignores the progress of another cluster, and says so', async () => {
    const first = await start([handlerOf(book)]);
    await first.close();
    await db.query(`UPDATE nestjs_pg_listener.progress SET system_identifier = '1';
      INSERT INTO nestjs_pg_listener.spans SELECT id, 'any', '0/0', 'FFFFFFFF/0', '0/0', 0 FROM nestjs_pg_listener.progress`);
    const second = await start([handlerOf(book)]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(second, 1);
    expect(await booked()).toEqual([1]);
    expect(second.logs.find(/recorded for another cluster \(1\) is ignored/)).toBeDefined();
  });

  it('does not share the progress of another service', async () => {
    const first = await start([handlerOf(book)]);
    await first.close();
    const other = apps.start({ connection: db.url, slot: db.slot('other'), service: 'billing' }, [handlerOf(book)]);
    await expect(other).rejects.toThrow(
      /belongs to the service "shop", not to "billing"[\s\S]*UPDATE nestjs_pg_listener.progress/,
    );
  });

  it('says what is missing where its tables cannot be made', async () => {
    const role = `poor_${db.name}`;
    await db.query(
      `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'x'; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`,
    );
    const url = new URL(db.url);
    url.username = role;
    url.password = 'x';
    const options = { connection: url.toString(), slot: db.slot(), publications: ['mine'] };
    await expect(apps.start(options, [handlerOf(book)])).rejects.toThrow(
      /`transactional` of orders needs tables[\s\S]*CREATE TABLE IF NOT EXISTS nestjs_pg_listener.claims/,
    );
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`).catch(() => undefined);
  });

  it('rolls back what is in hand when the application closes, and it comes again', async () => {
    let isStuck = true;
    const stuck = (): Type =>
      handlerOf(async (change: Change<Order> & { record: Order }, context) => {
        await book(change as InsertChange<Order>, context);
        if (isStuck) await new Promise(() => undefined);
      });
    const app = await apps.start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 100 }, [stuck()]);
    await db.query('INSERT INTO orders VALUES (1)');
    const open = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`;
    await waitFor(async () => (await db.query(open)).length === 1, 'the handler to be in its transaction');
    await app.close();
    await waitFor(async () => (await db.query(open)).length === 0, 'the transaction to be gone');
    expect(await booked()).toEqual([]);
    isStuck = false;
    const again = await apps.start({ connection: db.url, slot: db.slot() }, [stuck()]);
    await handled(again, 1);
    expect(await booked()).toEqual([1]);
  });
});
