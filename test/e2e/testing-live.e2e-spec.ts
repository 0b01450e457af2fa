import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  getPgListenerToken,
  OnTableChange,
  PgListenerModule,
  PgListenerConfigError,
  type InsertChange,
  type PgListenerOptions,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { LivePgListener, pgListenerMatchers, TestingError } from 'nestjs-pg-listener/testing';
import { LogCollector } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

expect.extend(pgListenerMatchers);

interface Order {
  id: number;
  status: string;
}

@Injectable()
class Orders {
  @OnTableChange('orders', 'insert', {
    retry: { attempts: 3, minDelayMs: 1, maxDelayMs: 5 },
    onExhausted: 'park',
  })
  async onCreated(): Promise<void> {
    await Promise.resolve();
  }
}

describe('LivePgListener, on a real server', () => {
  let database: TestDatabase;
  let modules: TestingModule[] = [];
  const logs = new LogCollector();

  beforeEach(async () => {
    database = await createDatabase();
    await database.query(`CREATE TABLE orders (id int PRIMARY KEY, status text)`);
    modules = [];
  });
  afterEach(async () => {
    await Promise.all(modules.map((module) => module.close()));
    await database.drop();
  });

  async function boot(
    providers: Type[],
    options: Partial<PgListenerOptions> = {},
    listener = new LivePgListener(),
  ): Promise<LivePgListener> {
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot({ connection: database.url, slot: database.slot(), ...options })],
      providers,
    })
      .overrideProvider(getPgListenerToken())
      .useValue(listener)
      .setLogger(logs)
      .compile();
    modules.push(module);
    await module.init();
    return listener;
  }

  it('streams, writes down what was handled, and fails what the test says', async () => {
    const listener = await boot([Orders]);
    const fault = listener.faults.fail({ table: 'orders', attempt: [1, 2] }, new Error('the mail server is down'));
    await database.query(`INSERT INTO orders VALUES (1, 'new')`);
    await listener.journal.until('handled', 'orders', { record: { id: 1 }, attempt: 3 });
    expect(fault.struck).toBe(2);
    expect(listener).toHaveRetried('orders', { error: 'the mail server', times: 2 });

    fault.off();
    listener.faults.fail({ where: (change) => (change as InsertChange<Order>).record.status === 'broken' });
    await database.query(`INSERT INTO orders VALUES (2, 'broken'), (3, 'new')`);
    await listener.journal.until('parked', 'orders', { record: { id: 2 } });
    await listener.journal.until('handled', 'orders', { record: { id: 3 } });
    expect(listener).toHaveParked('orders', { attempt: 3, times: 1 });
    expect(await listener.parked.count()).toBe(1);
    listener.faults.clear();
    expect(await listener.parked.retry()).toMatchObject({ handled: 1 });
    expect(listener).toHaveHandled('orders', { record: { id: 2 } });
  });

  it('drops the connection: the stream comes again by itself, and no change is lost or handled twice', async () => {
    @Injectable()
    class Slow {
      @OnTableChange<Order>('orders', 'insert')
      async onCreated({ record }: InsertChange<Order>): Promise<void> {
        if (record.id === 3) await waitFor(() => listener.stats().reconnects > 0, 'the next connection');
      }
    }
    const listener: LivePgListener = new LivePgListener();
    await boot([Slow], {}, listener);
    const states: string[] = [];
    listener.status$.subscribe(({ state }) => states.push(state));
    const fault = listener.faults.dropConnection({
      table: 'orders',
      where: (change) => (change as InsertChange<Order>).record.id === 3,
    });
    await database.query(`INSERT INTO orders SELECT id, 'new' FROM generate_series(1, 20) id`);
    await listener.journal.until('handled', 'orders', { times: 20, timeoutMs: 20_000 });
    await waitFor(() => states.at(-1) === 'streaming' && states.length > 1, 'the stream to run again');
    expect(fault.struck).toBe(1);
    expect(states).toEqual(expect.arrayContaining(['backing-off', 'connecting']));
    expect(listener.stats().reconnects).toBe(1);

    listener.faults.dropConnection();
    await waitFor(() => listener.stats().reconnects === 2, 'the next connection');
    await database.query(`INSERT INTO orders VALUES (21, 'new')`);
    await listener.journal.until('handled', 'orders', { record: { id: 21 } });
    const ids = listener.journal
      .find('handled', 'orders')
      .map(({ subject }) => (subject as InsertChange<Order>).record.id);
    expect(ids).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  });

  it('rolls a transactional handler back that a fault switch fails', async () => {
    await database.query('CREATE TABLE effects (id int PRIMARY KEY, attempt int)');
    @Injectable()
    class Effects {
      @OnTableChange('orders', 'insert', { transactional: true, retry: { attempts: 5, minDelayMs: 1, maxDelayMs: 5 } })
      async onCreated({ record }: InsertChange<Order>, { client, attempt }: TransactionalContext): Promise<void> {
        await client.query('INSERT INTO effects VALUES ($1, $2)', [record.id, attempt]);
      }
    }
    const listener = await boot([Effects]);
    listener.faults.fail({ attempt: 1 });
    listener.faults.delay({ attempt: 2 }, 30);
    await database.query(`INSERT INTO orders VALUES (1, 'new')`);
    await listener.journal.until('handled', 'orders');
    await waitFor(async () => (await database.query('SELECT * FROM effects')).length > 0, 'the effect');
    expect(await database.query('SELECT * FROM effects')).toEqual([{ id: 1, attempt: 2 }]);
  });

  it('says what came instead of what a test waits for', async () => {
    const listener = await boot([Orders]);
    await database.query(`INSERT INTO orders VALUES (1, 'new')`);
    const late = listener.journal.until('handled', 'orders', { record: { id: 2 }, timeoutMs: 2_000 });
    await expect(late).rejects.toThrow(TestingError);
    await expect(late).rejects.toThrow(
      "handled, attempt 1 · Orders.onCreated · insert of public.orders record { id: 1, status: 'new' }",
    );
  });

  it('is refused where two apps have one slot, as without it', async () => {
    const shared = { connection: database.url, slot: database.slot() };
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot(shared), PgListenerModule.forRoot({ ...shared, name: 'other' })],
      providers: [Orders],
    })
      .overrideProvider(getPgListenerToken())
      .useValue(new LivePgListener())
      .setLogger(logs)
      .compile();
    modules.push(module);
    await expect(module.init()).rejects.toThrow(PgListenerConfigError);
  });
});
