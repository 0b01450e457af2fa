import 'reflect-metadata';
import { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Inject, Injectable, Module, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import {
  getPgListenerToken,
  InjectChanges,
  InjectPgListener,
  InjectPgListenerConfig,
  LifecycleError,
  OnTableChange,
  PgListener,
  PgListenerConfig,
  PgListenerModule,
  PgListenerRegistry,
  StartupTimeoutError,
  type Change,
  type InsertChange,
  type PgListenerOptionsFactory,
} from 'nestjs-pg-listener';
import { LogCollector, recorderOf, startApplication } from '../support/application.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

const NOWHERE = { connection: 'postgresql://nobody:hunter2@no-such-host.invalid:5432/none', slot: 'nowhere' };
const idOf = (change: Change): number => Number((change as InsertChange).record['id']);

const compile = (imports: DynamicModule[], providers: Type[] = []) =>
  Test.createTestingModule({ imports, providers }).setLogger(new LogCollector()).compile();
describe('the module in the life of an application', () => {
  let one: TestDatabase;
  let two: TestDatabase;
  const opened: { close(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    [one, two] = await Promise.all([createDatabase(), createDatabase()]);
    for (const db of [one, two]) await db.query('CREATE TABLE orders (id int PRIMARY KEY, status text)');
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
  });
  afterAll(async () => {
    await Promise.all([one?.drop(), two?.drop()]);
  });

  it('opens no socket when an application is compiled, even where the database host does not exist', async () => {
    const connect = jest.spyOn(Socket.prototype, 'connect');
    try {
      const module = await compile(
        [PgListenerModule.forRoot(NOWHERE), PgListenerModule.forFeature(['orders'])],
        [recorderOf('orders')],
      );
      expect(module.get(PgListener).status.state).toBe('idle');
      expect(module.get(PgListenerConfig).slot.name).toBe('nowhere');
      await module.close();
      expect(connect).not.toHaveBeenCalled();
    } finally {
      connect.mockRestore();
    }
  });

  it('opens no connection at all with enabled: false, and everything can be injected', async () => {
    const connect = jest.spyOn(Socket.prototype, 'connect');
    const app = await startApplication({ connection: undefined as never, slot: undefined as never, enabled: false }, [
      recorderOf('orders'),
    ]);
    opened.push(app);
    await app.listener.start();
    expect(app.listener.status.state).toBe('idle');
    expect(app.listener.health().status).toBe('up');
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it('waits for start() with autoStart: false', async () => {
    const recorder = recorderOf('orders');
    const app = await startApplication({ connection: one.url, slot: one.slot('manual'), autoStart: false }, [recorder]);
    opened.push(app);
    expect(app.listener.status.state).toBe('idle');
    await app.listener.start();
    expect(app.listener.status.state).toBe('streaming');
    await one.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the change');
  });

  it('runs two named apps on two databases at once, each with its own handlers, observables and configuration', async () => {
    const seen: string[] = [];
    @Injectable()
    class Handlers {
      readonly looked: string[] = [];
      constructor(
        readonly listener: PgListener,
        @InjectPgListener('billing') readonly billing: PgListener,
        @InjectPgListenerConfig('billing') readonly billingConfig: PgListenerConfig,
        @InjectChanges('orders') orders$: Observable<Change>,
        @InjectChanges('public.orders', { app: 'billing' }) billed$: Observable<Change>,
      ) {
        orders$.subscribe((change) => this.looked.push(`${change.app} ${idOf(change)}`));
        billed$.subscribe((change) => this.looked.push(`${change.app} ${idOf(change)}`));
      }
      @OnTableChange('orders', 'insert')
      shop(change: InsertChange): void {
        seen.push(`shop ${change.app} ${idOf(change)}`);
      }
      @OnTableChange('orders', 'insert', { app: 'billing' })
      bill(change: InsertChange): void {
        seen.push(`bill ${change.app} ${idOf(change)}`);
      }
    }
    const app = await startApplication(
      [
        { connection: one.url, slot: one.slot('shop') },
        { name: 'billing', connection: two.url, slot: two.slot('billing') },
      ],
      [Handlers],
      [PgListenerModule.forFeature(['orders']), PgListenerModule.forFeature(['orders'], 'billing')],
    );
    opened.push(app);
    await one.query('INSERT INTO orders VALUES (101)');
    await two.query('INSERT INTO orders VALUES (202)');
    await waitFor(() => seen.length === 2, 'both');
    expect(seen.toSorted()).toEqual(['bill billing 202', 'shop default 101']);
    const handlers = app.context.get(Handlers);
    expect(handlers.looked.toSorted()).toEqual(['billing 202', 'default 101']);
    expect(handlers.billing.name).toBe('billing');
    expect(handlers.billingConfig.name).toBe('billing');
    const registry = app.context.get(PgListenerRegistry);
    expect(registry.names()).toEqual(['default', 'billing']);
    expect(registry.get('billing')).toBe(app.context.get(getPgListenerToken('billing')));
    expect(app.logs.find('Mapped {orders, insert} → Handlers.bill [billing]')).toBeDefined();
  });

  it('runs two Nest applications in one process without mixing them', async () => {
    const [left, right] = [recorderOf('orders'), recorderOf('orders')];
    const apps = await Promise.all([
      startApplication({ connection: one.url, slot: one.slot('left') }, [left]),
      startApplication({ connection: one.url, slot: one.slot('right') }, [right]),
    ]);
    opened.push(...apps);
    await one.query('INSERT INTO orders VALUES (301)');
    await waitFor(() => left.changes.length === 1 && right.changes.length === 1, 'both');
    await apps[0]!.close();
    await one.query('INSERT INTO orders VALUES (302)');
    await waitFor(() => right.changes.length === 2, 'the one that is left');
    expect(left.changes).toHaveLength(1);
  });

  it('takes options from useFactory, useClass and useExisting, with the name outside', async () => {
    @Injectable()
    class Settings {
      readonly url = one.url;
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    @Injectable()
    class Options implements PgListenerOptionsFactory {
      createPgListenerOptions(name: string) {
        return { connection: one.url, slot: one.slot(`of_${name}`), autoStart: false };
      }
    }
    @Module({ providers: [Options], exports: [Options] })
    class OptionsModule {}
    const module = await compile([
      PgListenerModule.forRootAsync({
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async ({ url }: Settings) => ({ connection: url, slot: one.slot('factory'), autoStart: false }),
      }),
      PgListenerModule.forRootAsync({ name: 'made', useClass: Options }),
      PgListenerModule.forRootAsync({ name: 'found', imports: [OptionsModule], useExisting: Options }),
    ]);
    opened.push(module);
    await module.init();
    const slotOf = (name?: string): string | null =>
      module.get<{ slot: { name: string | null } }>(name === undefined ? PgListenerConfig : `PgListenerConfig(${name})`)
        .slot.name;
    expect([slotOf(), slotOf('made'), slotOf('found')]).toEqual([
      one.slot('factory'),
      one.slot('of_made'),
      one.slot('of_found'),
    ]);
  });

  it('keeps a listener private with isGlobal: false, and hands it out through forFeature', async () => {
    @Injectable()
    class Feature {
      constructor(
        readonly listener: PgListener,
        @Inject(PgListenerConfig) readonly config: PgListenerConfig,
      ) {}
    }
    const root = PgListenerModule.forRoot({ ...NOWHERE, isGlobal: false, autoStart: false });
    @Module({ providers: [Feature] })
    class Without {}
    await expect(compile([root, { module: Without }])).rejects.toThrow(/resolve dependencies of the Feature/);
    @Module({ imports: [PgListenerModule.forFeature('orders')], providers: [Feature] })
    class With {}
    const module = await compile([root, { module: With }]);
    opened.push(module);
    expect(module.get(Feature, { strict: false }).listener.name).toBe('default');
  });

  it('lets the options name tables and switch handlers off by id', async () => {
    const seen: string[] = [];
    await one.query('CREATE TABLE IF NOT EXISTS moved (id int PRIMARY KEY)');
    @Injectable()
    class Configured {
      @OnTableChange('orders', 'insert', { id: 'feed' })
      feed(change: InsertChange): void {
        seen.push(`feed ${change.table}`);
      }
      @OnTableChange('moved', 'insert', { id: 'off' })
      off(): void {
        seen.push('off');
      }
    }
    const handlers = { feed: { tables: 'moved' }, off: { enabled: false } };
    const app = await startApplication({ connection: one.url, slot: one.slot('configured'), handlers }, [Configured]);
    opened.push(app);
    await one.query('INSERT INTO moved VALUES (1)');
    await waitFor(() => seen.length > 0, 'the handler');
    expect(seen).toEqual(['feed moved']);
    expect(app.logs.find('Not mapped, because it is disabled: {moved, insert} → off [default]')).toBeDefined();
  });

  it('fails the boot after startup.timeoutMs with the last error, and leaves nothing running', async () => {
    const connection = 'postgresql://u:hunter2@127.0.0.1:1/none';
    // More than a pause of this process: else the time may be up before the first refusal is heard.
    const starting = startApplication({ connection, slot: 'late', startup: { timeoutMs: 3_000 } });
    const error: Error = await starting.then(
      () => Promise.reject(new Error('it booted')),
      (e: Error) => e,
    );
    expect(error).toBeInstanceOf(StartupTimeoutError);
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.message).not.toContain('hunter2');
  });

  it('boots without the database with startup.wait: false, and connects when it can', async () => {
    const app = await startApplication({
      connection: 'postgresql://u@127.0.0.1:1/none',
      slot: 'patient',
      startup: { wait: false },
    });
    opened.push(app);
    await waitFor(() => app.listener.status.state === 'backing-off', 'the first failure');
    expect(app.listener.health()).toMatchObject({ status: 'down', reason: expect.stringContaining('ECONNREFUSED') });
  });

  it('says what to do when it is used before the application has initialised', async () => {
    const module = await compile([PgListenerModule.forRoot({ ...NOWHERE, autoStart: false })]);
    opened.push(module);
    await expect(module.get(PgListener).start()).rejects.toThrow(LifecycleError);
    await module.init();
  });

  it('tells every state by status$, the present one first', async () => {
    const options = { connection: one.url, slot: one.slot('states') };
    // A new slot waits for the transactions of other specs, and backs off where one of them is long.
    await (await startApplication(options)).close();
    await slotToBeFree(one, options.slot);
    const app = await startApplication({ ...options, autoStart: false });
    opened.push(app);
    const states: string[] = [];
    let isComplete = false;
    app.listener.status$.subscribe({ next: ({ state }) => states.push(state), complete: () => (isComplete = true) });
    await app.listener.start();
    await app.listener.stop();
    await app.close();
    expect(states).toEqual(['idle', 'connecting', 'streaming', 'stopped']);
    expect(isComplete).toBe(true);
  });

  it('does what start() and stop() say last, however close they follow each other', async () => {
    const app = await startApplication({ connection: one.url, slot: one.slot('hasty'), autoStart: false });
    opened.push(app);
    const { listener } = app;
    const first = listener.start();
    const isRefused = expect(first).rejects.toThrow('Stopped while it started');
    await listener.stop();
    await isRefused;
    expect(listener.status.state).toBe('stopped');
    await listener.start();
    const stopping = listener.stop();
    const waiting = expect(listener.start()).rejects.toThrow('Stopped while it started');
    await Promise.all([stopping, listener.stop(), waiting]);
    expect(listener.status.state).toBe('stopped');
    await slotToBeFree(one, one.slot('hasty'));
    await Promise.all([listener.stop(), listener.start()]);
    expect(listener.status.state).toBe('streaming');
  });

  it('runs in a standalone context that is created and closed at once', async () => {
    @Module({ imports: [PgListenerModule.forRoot({ connection: one.url, slot: one.slot('brief') })] })
    class Brief {}
    const context = await NestFactory.createApplicationContext(Brief, { logger: false, abortOnError: false });
    await context.close();
    const [{ active }] = await one.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [
      one.slot('brief'),
    ]);
    expect(active).toBe(false);
  });
});
