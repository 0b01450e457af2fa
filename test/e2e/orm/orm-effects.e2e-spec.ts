import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type Type } from '@nestjs/common';
import { relations, sql } from 'drizzle-orm';
import { bigserial, integer, pgTable, text } from 'drizzle-orm/pg-core';
import {
  HandlerDefinitionError,
  OnLogicalMessage,
  OnTableChange,
  OnTransaction,
  type HandlerOptions,
  type InsertChange,
  type LogicalMessage,
  type Transaction,
  type TransactionAdapter,
} from 'nestjs-pg-listener';
import { drizzle, type DrizzleContext } from 'nestjs-pg-listener/drizzle';
import { typeorm, type TypeormContext } from 'nestjs-pg-listener/typeorm';
import { Column, DataSource, Entity, PrimaryColumn, PrimaryGeneratedColumn, type EntityManager } from 'typeorm';
import { TestApplications, type TestApplication } from '../../support/application.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../../support/database.js';
import { startScript } from '../../support/child.js';
import { waitFor } from '../../support/wait.js';

@Entity('orders')
class Order {
  @PrimaryColumn('int')
  id!: number;
}
@Entity('booked')
class Booked {
  @PrimaryGeneratedColumn('increment', { type: 'bigint' })
  seq!: string;
  @Column('int', { name: 'id' })
  orderId!: number;
  @Column('text')
  note!: string;
}

const orders = pgTable('orders', { id: integer().primaryKey() });
const booked = pgTable('booked', {
  seq: bigserial({ mode: 'number' }).primaryKey(),
  orderId: integer('id').notNull(),
  note: text(),
});
const bookedRelations = relations(booked, ({ one }) => ({
  order: one(orders, { fields: [booked.orderId], references: [orders.id] }),
}));
const schema = { orders, booked, bookedRelations };

/** What the same handler does in either of them. */
interface Writer {
  /** One row, and the number of rows that it sees then. */
  book(id: number, note: string): Promise<number>;
  /** A row that is taken back, and one that stays, in transactions within. */
  nest(id: number): Promise<void>;
  /** With an SQLSTATE. */
  fail(state: string): Promise<unknown>;
  end(): Promise<unknown>;
}

function writerOfManager(manager: EntityManager): Writer {
  return {
    book: async (orderId, note) => {
      await manager.save(Booked, { orderId, note });
      return manager.countBy(Booked, {});
    },
    nest: async (orderId) => {
      await manager
        .transaction(async (inner) => {
          await inner.insert(Booked, { orderId, note: 'taken back' });
          throw new Error('within');
        })
        .catch(() => undefined);
      await manager.transaction((inner) => inner.insert(Booked, { orderId, note: 'nested' }));
    },
    fail: (state) => manager.query(raise(state)),
    end: () => manager.queryRunner!.commitTransaction(),
  };
}

function writerOfDrizzle({ db }: DrizzleContext<typeof schema>): Writer {
  return {
    book: async (orderId, note) => {
      await db.insert(booked).values({ orderId, note });
      return (await db.query.booked.findMany({ with: { order: true } })).length;
    },
    nest: async (orderId) => {
      await db
        .transaction(async (inner) => {
          await inner.insert(booked).values({ orderId, note: 'taken back' });
          inner.rollback();
        })
        .catch(() => undefined);
      await db.transaction((inner) => inner.insert(booked).values({ orderId, note: 'nested' }));
    },
    fail: (state) => db.execute(sql.raw(raise(state))),
    end: () => db.execute(sql`COMMIT`),
  };
}

const raise = (state: string): string => `DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '${state}'; END $$`;

interface Orm {
  readonly name: string;
  readonly adapter: TransactionAdapter;
  readonly writer: (context: any) => Writer;
}

const ORMS: Orm[] = [
  {
    name: 'typeorm',
    adapter: typeorm(),
    writer: ({ manager }: TypeormContext) => writerOfManager(manager),
  },
  { name: 'drizzle', adapter: drizzle({ schema }), writer: writerOfDrizzle },
];

describe.each(ORMS)('effects exactly once through $name', ({ name, adapter, writer }) => {
  let db: TestDatabase;
  let source: DataSource;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query(
      'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE booked (seq bigserial PRIMARY KEY, id int, note text)',
    );
    await db.query('CREATE PUBLICATION mine FOR TABLE orders');
    source = await new DataSource({ type: 'postgres', url: db.url, entities: [Order, Booked] }).initialize();
  });
  afterEach(async () => {
    await apps.close();
    await source.destroy();
    await db.drop();
  });

  function handlerOf(
    handle: (id: number, writer: Writer, attempt: number) => unknown,
    options: Pick<HandlerOptions, 'retry' | 'onExhausted'> = {},
  ): Type {
    @Injectable()
    class Orders {
      @OnTableChange(orders, 'insert', {
        retry: { minDelayMs: 1, attempts: 2 },
        ...options,
        id: 'orders',
        mapped: true,
        transactional: adapter,
      })
      async handle(change: InsertChange<any>, context: any): Promise<unknown> {
        return handle(change.record.id, writer(context), context.attempt);
      }
    }
    return Orders;
  }

  function start(handlers: readonly Type[], slot = db.slot()): Promise<TestApplication> {
    class SourceModule {}
    Module({ providers: [{ provide: DataSource, useValue: source }], exports: [DataSource] })(SourceModule);
    return apps.start({ connection: db.url, slot, service: 'shop', publications: ['mine'] }, handlers, [SourceModule]);
  }

  const rows = async (): Promise<string[]> =>
    (await db.query('SELECT id, note FROM booked ORDER BY seq')).map(({ id, note }) => `${id} ${note}`);

  const handled = ({ listener, logs }: TestApplication, count: number): Promise<unknown> =>
    waitFor(
      () => listener.stats().changesHandled >= count,
      () => `${count} handled: ${JSON.stringify(listener.stats())}; ${logs.lines.slice(-3).join('\n')}`,
    );

  async function copySlot(): Promise<string> {
    const copy = db.slot('copy');
    await db.query('SELECT pg_copy_logical_replication_slot($1, $2)', [db.slot(), copy]);
    return copy;
  }

  it('commits what is written with the claim, and no half of it, whoever it comes to again', async () => {
    const failing = new Set([2, 3]);
    const book = (id: number, to: Writer, attempt: number): Promise<unknown> =>
      to.book(id, `attempt ${attempt}`).then(() => {
        if (failing.delete(id)) throw new Error('once');
      });
    const first = await start([handlerOf(book)]);
    const copy = await copySlot();
    await db.query('INSERT INTO orders SELECT generate_series(1, 4)');
    await handled(first, 4);
    const expected = ['1 attempt 1', '2 attempt 2', '3 attempt 2', '4 attempt 1'];
    expect(await rows()).toEqual(expected);
    await first.close();
    const second = await start([handlerOf(book)], copy);
    await db.query('INSERT INTO orders VALUES (5)');
    await handled(second, 5);
    expect(await rows()).toEqual([...expected, '5 attempt 1']);
    expect(second.listener.stats()).toMatchObject({ repeats: 4 });
  });

  it('sees its own rows before they are committed, which nobody else does', async () => {
    const inside: number[] = [];
    const outside: number[] = [];
    const app = await start([
      handlerOf(async (id, to) => {
        inside.push(await to.book(id, 'x'));
        outside.push((await rows()).length);
      }),
    ]);
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await handled(app, 2);
    expect([inside, outside]).toEqual([
      [1, 2],
      [0, 1],
    ]);
  });

  it('makes savepoints of transactions within', async () => {
    const app = await start([handlerOf((id, to) => to.nest(id))]);
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await handled(app, 2);
    expect(await rows()).toEqual(['1 nested', '2 nested']);
  });

  it('rolls back with a statement that failed, also where its error was kept back', async () => {
    const app = await start([
      handlerOf(
        async (id, to) => {
          await to.book(id, 'x');
          if (id < 3) await to.fail('22012').catch(() => undefined);
        },
        { onExhausted: 'skip' },
      ),
    ]);
    await db.query('INSERT INTO orders SELECT generate_series(1, 3)');
    await handled(app, 3);
    expect(await rows()).toEqual(['3 x']);
    expect(app.logs.find(/returned although a statement of it had failed/)).toBeDefined();
  });

  it('lets nobody end the transaction, nor write when the call is over', async () => {
    let kept: Writer | undefined;
    const app = await start([
      handlerOf(
        async (id, to) => {
          kept = to;
          await to.book(id, 'x');
          if (id === 1) await to.end();
        },
        { onExhausted: 'skip' },
      ),
    ]);
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await handled(app, 2);
    expect(await rows()).toEqual(['2 x']);
    await expect(kept!.book(3, 'late')).rejects.toThrow();
    expect(await rows()).toEqual(['2 x']);
  });

  it('does not count a connection that breaks, nor a deadlock that it has lost', async () => {
    let attempts = 0;
    const app = await start([
      handlerOf(
        async (id, to) => {
          await to.book(id, 'x');
          attempts++;
          if (attempts === 1) {
            await db.query(
              `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND state = 'idle in transaction'`,
            );
          }
          if (attempts === 2) await to.fail('40P01');
          await to.book(id, 'y');
        },
        { onExhausted: 'skip', retry: { attempts: 1, minDelayMs: 1 } },
      ),
    ]);
    await db.query('INSERT INTO orders VALUES (1)');
    await handled(app, 1);
    expect(await rows()).toEqual(['1 x', '1 y']);
    expect(attempts).toBe(3);
    expect(app.listener.stats()).toMatchObject({ skipped: 0, failures: 0 });
  });

  it('serves messages, whole transactions and arrays', async () => {
    @Injectable()
    class Others {
      @OnLogicalMessage('outbox', { id: 'messages', transactional: adapter })
      async message(message: LogicalMessage, context: any): Promise<void> {
        await writer(context).book(Number(message.text), 'message');
      }
      @OnTransaction({ id: 'transactions', transactional: adapter })
      async transaction(transaction: Transaction, context: any): Promise<void> {
        await writer(context).book(transaction.size, 'transaction');
      }
      @OnTableChange(orders, 'insert', { id: 'arrays', batch: { size: 3, maxWaitMs: 10_000 }, transactional: adapter })
      async array(changes: readonly InsertChange<any>[], context: any): Promise<void> {
        for (const { record } of changes) await writer(context).book(record.id, 'array');
      }
    }
    await start([Others]);
    await db.query(
      `BEGIN; INSERT INTO orders VALUES (1), (2), (3); SELECT pg_logical_emit_message(true, 'outbox', '71'); COMMIT`,
    );
    await waitFor(async () => (await rows()).length === 5);
    expect((await rows()).sort()).toEqual(['1 array', '2 array', '3 array', '3 transaction', '71 message']);
  });

  it('writes each row once, however often the process is killed', async () => {
    const run = (): ReturnType<typeof startScript> => startScript('orm-effects-child', [db.url, db.slot(), name]);
    let child = run();
    try {
      await waitFor(() => child.messages.some(({ state }) => state === 'streaming'), child.output);
      await db.query('INSERT INTO orders SELECT generate_series(1, 200)');
      for (const at of [40, 120]) {
        await waitFor(async () => (await rows()).length >= at, child.output);
        await child.kill();
        await slotToBeFree(db, db.slot());
        child = run();
      }
      await waitFor(async () => (await rows()).length >= 200, child.output, 30_000);
    } finally {
      await child.kill();
    }
    const ids = (await db.query('SELECT id FROM booked ORDER BY id')).map(({ id }) => id);
    expect(ids).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  });
});

describe('an adapter', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(() => apps.close());
  afterAll(() => db.drop());

  const boot = (adapter: unknown, sources: Record<string, unknown> = {}): Promise<unknown> => {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { transactional: adapter as true })
      handle(): void {}
    }
    class SourceModule {}
    const providers = Object.entries(sources).map(([provide, useValue]) => ({ provide, useValue }));
    Module({ providers, exports: providers.map(({ provide }) => provide) })(SourceModule);
    return apps
      .start({ connection: db.url, slot: 'temporary', service: 'shop' }, [Orders], [SourceModule])
      .catch((reason: unknown) => (reason as HandlerDefinitionError).mistakes);
  };
  const sourceOf = (type: 'postgres' | 'cockroachdb'): DataSource =>
    new DataSource({ type, url: db.url, ...(type === 'postgres' ? {} : { timeTravelQueries: false }) } as never);

  it('that lacks what it needs stops the boot', async () => {
    const [one, other] = [sourceOf('postgres'), sourceOf('postgres')];
    expect(await boot(typeorm())).toEqual([expect.stringContaining('typeorm, which finds no DataSource')]);
    expect(await boot(typeorm(), { one, other })).toEqual([expect.stringContaining('finds several DataSources')]);
    expect(await boot(typeorm({ dataSource: 'three' }), { one })).toEqual([
      expect.stringContaining('names a token of no'),
    ]);
    expect(await boot(typeorm(), { one: sourceOf('cockroachdb') })).toEqual([
      expect.stringContaining('finds a DataSource of cockroachdb'),
    ]);
    expect(await boot('yes')).toEqual([expect.stringContaining('transactional is a string')]);
  });

  it('takes the data source that is named', async () => {
    const [one, other] = [sourceOf('postgres'), sourceOf('postgres')];
    expect(await boot(typeorm({ dataSource: 'other' }), { one, other })).toHaveProperty('listener');
  });

  it('may be of anybody', async () => {
    const seen: string[] = [];
    const adapter: TransactionAdapter<{ readonly one: () => Promise<number> }> = {
      name: 'mine',
      bind: () => ({
        enter: (client) => ({ one: async () => (await client.query('SELECT 1 AS one')).rows[0].one as number }),
      }),
    };
    @Injectable()
    class Orders {
      @OnTableChange(orders, 'insert', { transactional: adapter })
      async handle(
        { record }: InsertChange<{ id: number }>,
        context: { one: () => Promise<number>; handler: string },
      ): Promise<void> {
        seen.push(`${context.handler} ${record.id} ${await context.one()}`);
      }
    }
    await apps.start({ connection: db.url, slot: 'temporary', service: 'shop' }, [Orders]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual(['Orders.handle 1 1']);
  });
});
