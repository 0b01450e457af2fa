import { channel } from 'node:diagnostics_channel';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthIndicatorService } from '@nestjs/terminus';
import {
  OnTableChange,
  PG_LISTENER_CHANNELS,
  PgListenerModule,
  type FailureMessage,
  type GapMessage,
  type InsertChange,
  type PgListenerOptions,
  type PgListenerRegistry,
  type StatusMessage,
} from 'nestjs-pg-listener';
import {
  PgListenerHealthIndicator,
  PgListenerTerminusModule,
  type HealthThresholds,
} from 'nestjs-pg-listener/terminus';
import { createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { ObservedApplications } from '../support/observed-application.js';
import { waitFor } from '../support/wait.js';

describe('health', () => {
  let db: TestDatabase;
  const apps = new ObservedApplications();
  const undo: (() => void)[] = [];

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
    undo.splice(0).forEach((each) => each());
    await db.query('TRUNCATE orders');
  });
  afterAll(() => db?.drop());

  function ordersHandler(): Type & { release(): void; isBroken: boolean } {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    @Injectable()
    class OrdersHandler {
      static isBroken = true;
      static readonly release = (): void => release();

      @OnTableChange<{ id: number }>('orders', 'insert', { id: 'orders', retry: { attempts: 1, maxDelayMs: 50 } })
      onInsert({ record: { id } }: InsertChange<{ id: number }>): void | Promise<void> {
        if (id === 13 && OrdersHandler.isBroken) throw new Error('the secret is 42');
        if (id === 7) return gate;
      }
    }
    return OrdersHandler;
  }

  let slots = 0;
  const start = async (handler: Type, degradedAbove?: HealthThresholds, more: Partial<PgListenerOptions> = {}) => {
    const slot = more.slot ?? db.slot(`health_${++slots}`);
    return apps.start({ connection: db.url, shutdownTimeoutMs: 200, ...more, slot }, [handler], { degradedAbove });
  };
  const insert = (id: number) => db.query('INSERT INTO orders VALUES ($1)', [id]);
  function subscribe<M>(name: string): M[] {
    const messages: M[] = [];
    const listen = (message: unknown): void => void messages.push(message as M);
    const subject = channel(name);
    subject.subscribe(listen);
    undo.push(() => void subject.unsubscribe(listen));
    return messages;
  }

  it('is up while the app streams, without asking the server', async () => {
    const app = await start(ordersHandler(), { lagSeconds: 30 });
    const { status, body } = await app.health();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'ok',
      details: { default: { status: 'up', state: 'streaming', lagSeconds: expect.any(Number), lagBytes: null } },
    });
    expect(app.listener.stats()).toMatchObject({ slot: null, slotProblem: null });
  });

  it('is degraded, and serves on, where the lag in seconds is above its threshold', async () => {
    const handler = ordersHandler();
    const app = await start(handler, { lagSeconds: 0.5 });
    await insert(7);
    const { status, body } = await waitFor(async () => {
      const answer = await app.health();
      return answer.body.status === 'degraded' ? answer : undefined;
    }, 'the lag');
    expect(status).toBe(200);
    expect(body.details.default).toMatchObject({ status: 'degraded', state: 'streaming' });
    expect(body.details.default.message).toMatch(/^the lag is \d+ s, above 0.5 s$/);
    handler.release();
    await waitFor(async () => (await app.health()).body.status === 'ok', 'the end of the lag');
  });

  it('is degraded where the lag or what is kept is above its threshold in bytes, or the slot near its end', async () => {
    const handler = ordersHandler();
    const app = await start(handler, { lagBytes: 1_000_000, retainedBytes: 1_000_000, secondsUntilInvalidated: 60 });
    await insert(7);
    await db.query(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', 3000000))`);
    // Written by the server's own time.
    await waitFor(async () => (await app.listener.measure({ maxAgeMs: 0 })).slot!.lagBytes! > 3_000_000, 'the log');
    const { body } = await app.health();
    expect(body.status).toBe('degraded');
    expect(body.details.default.lagBytes).toBeGreaterThan(3_000_000);
    expect(body.details.default.message).toContain('above 1000000 bytes; the log kept for the slot is');
    // Nothing limits it here, and JSON has no Infinity.
    expect(body.details.default.secondsUntilInvalidated).toBeNull();
    handler.release();
  });

  it('is down where a handler keeps failing and holds the position, which a channel tells too; no value in it', async () => {
    const failures = subscribe<FailureMessage>(PG_LISTENER_CHANNELS.failure);
    const handler = ordersHandler();
    const app = await start(handler);
    await insert(13);
    const { status, body } = await waitFor(async () => {
      const answer = await app.health();
      return answer.status === 503 ? answer : undefined;
    }, 'it to be down');
    expect(status).toBe(503);
    expect(body.error.default).toMatchObject({
      status: 'down',
      state: 'streaming',
      message: 'handler orders keeps failing and holds the position',
    });
    const [failure] = failures;
    expect(failure).toMatchObject({ app: 'default', handler: 'orders', attempt: 1, action: 'retry', isBlocking: true });
    expect(failure!.what).toMatch(/^insert of public.orders \([0-9A-F]+\/[0-9A-F]+.*\)$/);
    expect((failure!.error as Error).message).toBe('the secret is 42');
    handler.isBroken = false;
    await waitFor(async () => (await app.health()).status === 200, 'it to be up again');
  });

  it('is down with a gap, which channels tell, with every state on the way', async () => {
    const states = subscribe<StatusMessage>(PG_LISTENER_CHANNELS.status);
    const gaps = subscribe<GapMessage>(PG_LISTENER_CHANNELS.gap);
    const slot = db.slot('gap');
    const app = await start(ordersHandler(), undefined, { slot });
    await insert(1);
    await waitFor(() => app.listener.stats().changesHandled === 1, 'the change');
    await app.listener.stop();
    await slotToBeFree(db, slot);
    await db.query('SELECT pg_drop_replication_slot($1)', [slot]);
    await expect(app.listener.start()).rejects.toThrow('slot');
    const { status, body } = await app.health();
    expect(status).toBe(503);
    expect(body.error.default).toMatchObject({ status: 'down', state: 'halted' });
    expect(states.map(({ state }) => state)).toEqual(['connecting', 'streaming', 'stopped', 'connecting', 'halted']);
    expect(gaps).toMatchObject([{ kind: 'slot-missing', slot }]);
    expect(app.listener.stats().gaps).toMatchObject({ open: 1, found: { 'slot-missing': 1, 'slot-advanced': 0 } });
    // A measurement says so too, and degrades nothing that is down already.
    expect(await app.listener.measure({ maxAgeMs: 0 })).toMatchObject({
      slot: null,
      slotProblem: `there is no slot "${slot}"`,
    });
  });

  it('is up where the app is not enabled, and no connection is opened for it', async () => {
    const app = await start(
      ordersHandler(),
      { lagBytes: 1 },
      { enabled: false, connection: 'postgresql://127.0.0.1:1/none' },
    );
    expect((await app.health()).body).toMatchObject({
      status: 'ok',
      details: { default: { state: 'idle', lagSeconds: null } },
    });
  });

  it('with Terminus 11, which knows no degraded: up, and says so beside it', async () => {
    const app = await start(ordersHandler());
    await insert(7);
    await waitFor(() => app.listener.stats().lagSeconds! > 0, 'a lag');
    const older = {
      check: (key: string) => ({
        up: (data: object) => ({ [key]: { status: 'up', ...data } }),
        down: (data: object) => ({ [key]: { status: 'down', ...data } }),
      }),
    };
    const listeners = { get: () => app.listener } as unknown as PgListenerRegistry;
    const degradedAbove = { lagSeconds: 0 };
    const withOlder = new PgListenerHealthIndicator(listeners, () => older as unknown as HealthIndicatorService);
    expect(await withOlder.check('orders', { degradedAbove })).toMatchObject({
      orders: { status: 'up', degraded: true },
    });
    const withThis = new PgListenerHealthIndicator(listeners, () => new HealthIndicatorService());
    expect(await withThis.check('orders', { degradedAbove })).toMatchObject({ orders: { status: 'degraded' } });
  });

  it('uses the HealthIndicatorService of the application, which a test may have overridden', async () => {
    const app = await start(ordersHandler());
    const check = jest.spyOn(app.app.get(HealthIndicatorService, { strict: false }), 'check');
    expect((await app.health()).status).toBe(200);
    expect(check).toHaveBeenCalledWith('default');
  });

  it('works where TerminusModule is not imported', async () => {
    @Module({
      imports: [
        PgListenerModule.forRoot({ connection: 'postgresql://127.0.0.1:1/none', slot: 'none', enabled: false }),
        PgListenerTerminusModule,
      ],
    })
    class WithoutTerminus {}
    const module = await NestFactory.createApplicationContext(WithoutTerminus, { logger: false });
    try {
      const indicator = module.get(PgListenerHealthIndicator, { strict: false });
      expect(await indicator.check('orders')).toMatchObject({ orders: { status: 'up', state: 'idle' } });
    } finally {
      await module.close();
    }
  });

  it('says which app it does not know', async () => {
    const app = await start(ordersHandler());
    await expect(app.app.get(PgListenerHealthIndicator, { strict: false }).check('x', { app: 'nope' })).rejects.toThrow(
      'names the app "nope"',
    );
  });
});
