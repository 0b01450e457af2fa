import 'reflect-metadata';
import { Socket } from 'node:net';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import {
  getPgListenerToken,
  InjectChanges,
  InjectPgListener,
  LifecycleError,
  OnLogicalMessage,
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  PgListener,
  PgListenerModule,
  PgListenerRegistry,
  table,
  TablePatternError,
  type Change,
  type InsertChange,
  type LogicalMessage,
  type PgListenerContext,
  type PgListenerOptions,
  type SchemaChange,
  type Transaction,
  type TransactionalContext,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { alter, insert, message, remove, TestPgListener, truncate, update } from 'nestjs-pg-listener/testing';
import { LogCollector } from '../../support/application.js';

const NOWHERE = { connection: 'postgresql://nobody@no-such-host.invalid/none', slot: 'nowhere' };

interface Order {
  id: number;
  status: string;
}

/** The ids of the rows that an observable of the listener shows. */
function recordIds(listener: PgListener): unknown[] {
  const ids: unknown[] = [];
  listener.changes().subscribe((change) => ids.push((change as InsertChange<Order>).record.id));
  return ids;
}

describe('TestPgListener', () => {
  const logs = new LogCollector();
  let module: TestingModule | undefined;

  afterEach(async () => {
    await module?.close();
    module = undefined;
  });

  async function boot(
    providers: Type[],
    options: Partial<PgListenerOptions> = {},
    listener: unknown = new TestPgListener(options.name),
  ): Promise<TestPgListener> {
    const made = await Test.createTestingModule({
      imports: [
        PgListenerModule.forRoot({ ...NOWHERE, ...options }),
        PgListenerModule.forFeature('orders', options.name),
      ],
      providers,
    })
      .overrideProvider(getPgListenerToken(options.name))
      .useValue(listener)
      .setLogger(logs)
      .compile();
    await made.init();
    // Nest 11 rejects again at the close of what has not initialised.
    module = made;
    return listener as TestPgListener;
  }

  it('hands changes to the handlers that hear them, and opens no socket', async () => {
    const connect = jest.spyOn(Socket.prototype, 'connect');
    const seen: string[] = [];
    @Injectable()
    class Orders {
      @OnTableChange<Order>('orders', 'insert')
      async onCreated(change: InsertChange<Order>, context: PgListenerContext): Promise<void> {
        await Promise.resolve();
        seen.push(`${change.id} ${change.record.status} ${context.handler} ${context.attempt}`);
      }
      @OnTableChange<Order>('orders', 'update')
      onUpdated(change: UpdateChange<Order>): void {
        seen.push(`${change.oldRecord?.status} → ${change.record.status}, changed: ${change.changedColumns}`);
      }
    }
    const listener = await boot([Orders]);
    const created = await listener.emit(insert('orders', { id: 1, status: 'new' }));
    const updated = await listener.emit(
      update(table<Order>('public.orders'), { id: 1, status: 'paid' }, { id: 1, status: 'new' }),
      update('orders', { id: 1, status: 'sent' }),
    );
    expect([created, updated]).toEqual([['Orders.onCreated'], ['Orders.onUpdated', 'Orders.onUpdated']]);
    expect(seen).toEqual([
      expect.stringMatching(/^0\/[0-9A-F]+\/0 new Orders.onCreated 1$/),
      'new → paid, changed: status',
      'undefined → sent, changed: null',
    ]);
    expect(await listener.emit(insert('nobody_listens', { id: 1 }))).toEqual([]);
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it('rejects with the very error of the handler, after as many attempts as its policy says, without delays', async () => {
    const failure = new Error('the mail server is down');
    const attempts: number[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 3, minDelayMs: 60_000, maxDelayMs: 60_000 } })
      onCreated(change: Change, { attempt }: PgListenerContext): void {
        attempts.push(attempt);
        if ((change as InsertChange).record['id'] === 1) throw failure;
      }
    }
    const listener = await boot([Orders]);
    const rest = insert('orders', { id: 2 });
    await expect(listener.emit(insert('orders', { id: 1 }), rest)).rejects.toBe(failure);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await listener.emit(rest)).toEqual(['Orders.onCreated']);
    expect(listener.health().status).toBe('up');
    expect(listener.stats()).toMatchObject({ failures: 3, changesHandled: 1, pendingChanges: 0 });
  });

  it('rejects for the first handler that fails at once, and calls nobody after it', async () => {
    const seen: string[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      first(change: InsertChange): void {
        seen.push(`first ${String(change.record['id'])}`);
        if (change.record['id'] === 1) throw new Error('first');
      }
      @OnTableChange('orders', 'insert')
      second(change: InsertChange): void {
        seen.push(`second ${String(change.record['id'])}`);
      }
    }
    const listener = await boot([Orders]);
    await expect(listener.emit(insert('orders', { id: 1 }), insert('orders', { id: 2 }))).rejects.toThrow('first');
    expect(seen).toEqual(['first 1']);
    await listener.emit(insert('orders', { id: 3 }));
    expect(seen).toEqual(['first 1', 'first 3', 'second 3']);
  });

  it('succeeds where a later attempt does', async () => {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert')
      onCreated(_: Change, { attempt }: PgListenerContext): void {
        if (attempt < 3) throw new Error('not yet');
      }
    }
    expect(await (await boot([Orders])).emit(insert('orders', { id: 1 }))).toEqual(['Orders.onCreated']);
  });

  it('delivers one emission as one transaction, to row handlers, message handlers and then @OnTransaction', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Everything {
      @OnTableChange('*')
      row(change: Change): void {
        seen.push([change.operation, change.table, change.index, change.lsn]);
      }
      @OnLogicalMessage('outbox')
      message({ text, transactional }: LogicalMessage): void {
        seen.push([text, transactional]);
      }
      @OnTransaction()
      async commit(transaction: Transaction): Promise<void> {
        const ids: string[] = [];
        for await (const change of transaction.changes) ids.push(change.id);
        seen.push([transaction.size, transaction.count('orders', 'insert'), ids.length, transaction.lsn]);
      }
    }
    const listener = await boot([Everything]);
    const called = await listener.emit(
      insert('orders', { id: 1 }),
      message('outbox', 'ä'),
      message('other', 'nobody hears this'),
      remove('shop.items', { id: 7 }),
      truncate('orders', { cascade: true }),
    );
    const lsn = (seen[0] as string[])[3];
    expect(seen).toEqual([
      ['insert', 'orders', 0, lsn],
      ['ä', true],
      ['delete', 'items', 3, lsn],
      ['truncate', 'orders', 4, lsn],
      [3, 1, 3, lsn],
    ]);
    expect(called).toEqual(['row', 'message', 'row', 'row', 'commit'].map((method) => `Everything.${method}`));
    await listener.emit(insert('orders', { id: 2 }));
    expect((seen.at(-1) as string[])[3]).not.toBe(lsn);
  });

  it('emits changes of schema: in their place, tried again, and none where nothing differs', async () => {
    const seen: string[] = [];
    @Injectable()
    class Orders {
      @OnSchemaChange('orders', { retry: { attempts: 2 } })
      altered({ table, lsn, previous, current, differences }: SchemaChange, { attempt }: PgListenerContext): void {
        if (attempt === 1) throw new Error('again');
        const names = [previous, current].map(({ columns }) => columns.map(({ name }) => name).join());
        seen.push(`${table} ${names.join(' to ')}: ${differences.map(({ kind }) => kind).join()} ${lsn.length > 3}`);
      }
      @OnTableChange('*')
      row({ table }: Change): void {
        seen.push(table);
      }
    }
    const listener = await boot([Orders]);
    const [one, two] = [{ columns: [{ name: 'id' }] }, { columns: [{ name: 'id', typeOid: 20 }, { name: 'note' }] }];
    const called = await listener.emit(
      insert('orders', { id: 1 }),
      alter('orders', one, two),
      alter('orders', two, two),
      alter('other', one, two),
      insert('orders', { id: 2, note: 'x' }),
      alter('orders', two, { ...two, table: 'archive.orders', oid: 1 }),
    );
    expect(seen).toEqual([
      'orders',
      'orders id to id,note: column-type-changed,column-added true',
      'orders',
      'orders id,note to id,note: table-renamed true',
    ]);
    expect(called).toEqual(['row', 'altered', 'row', 'altered'].map((method) => `Orders.${method}`));
    expect(listener.stats()).toMatchObject({ pendingChanges: 0, failures: 2, unsettledTransactions: 0 });
  });

  it('shows changes to observables, also to those that were injected', async () => {
    const looked: string[] = [];
    @Injectable()
    class Feed {
      constructor(@InjectChanges('orders') orders$: Observable<Change>, listener: PgListener) {
        orders$.subscribe((change) => looked.push(`injected ${change.table}`));
        listener.changes('items').subscribe((change) => looked.push(`asked ${change.table}`));
        listener.transactions().subscribe(({ size }) => looked.push(`transaction of ${size}`));
      }
    }
    const listener = await boot([Feed]);
    await listener.emit(insert('orders', { id: 1 }), insert('items', { id: 1 }));
    expect(looked).toEqual(['injected orders', 'asked items', 'transaction of 2']);
  });

  it('takes an array of more rows than a call can have arguments', async () => {
    let count = 0;
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert')
      onCreated(): void {
        count++;
      }
    }
    // Not many more: a worker of the test runner that has to give back too much memory at its end is killed in it.
    const most = 126_000;
    expect(() => Math.max(...Array.from({ length: most }, () => 0))).toThrow(RangeError);
    const row = insert('orders', { id: 1 });
    await (
      await boot([Orders])
    ).emit(
      Array.from({ length: most }, () => row),
      row,
    );
    expect(count).toBe(most + 1);
  });

  it('takes several emissions at once in their order', async () => {
    const seen: number[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert')
      async onCreated(change: InsertChange): Promise<void> {
        const id = change.record['id'] as number;
        await new Promise((done) => setTimeout(done, 3 - id));
        seen.push(id);
      }
    }
    const listener = await boot([Orders]);
    await Promise.all([1, 2, 3].map((id) => listener.emit(insert('orders', { id }))));
    expect(seen).toEqual([1, 2, 3]);
  });

  it('is the listener of a named app, with its options and overrides', async () => {
    const seen: string[] = [];
    @Injectable()
    class Billing {
      constructor(@InjectPgListener('billing') readonly listener: PgListener) {}
      @OnTableChange('invoices', 'insert', { app: 'billing', id: 'feed' })
      feed(change: InsertChange): void {
        seen.push(`${change.app} ${change.table}`);
      }
    }
    const listener = await boot([Billing], { name: 'billing', handlers: { feed: { tables: 'moved' } } });
    await listener.emit(insert('invoices', { id: 1 }));
    await listener.emit(insert('moved', { id: 1 }));
    expect(seen).toEqual(['billing moved']);
    expect(module!.get(Billing).listener).toBe(listener);
    expect(module!.get(PgListenerRegistry).get('billing')).toBe(listener);
  });

  it('needs no slot of its own for each app: nobody uses them', async () => {
    const [shop, billing] = [new TestPgListener(), new TestPgListener('billing')];
    module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot(NOWHERE), PgListenerModule.forRoot({ ...NOWHERE, name: 'billing' })],
    })
      .overrideProvider(getPgListenerToken())
      .useValue(shop)
      .overrideProvider(getPgListenerToken('billing'))
      .useValue(billing)
      .setLogger(logs)
      .compile();
    await module.init();
    expect([shop.status.state, billing.status.state]).toEqual(['streaming', 'streaming']);
  });

  it('gives @OnTransaction a transaction above the limits too', async () => {
    const sizes: number[] = [];
    @Injectable()
    class Commits {
      @OnTransaction()
      async commit({ changes }: Transaction): Promise<void> {
        let size = 0;
        for await (const change of changes) size += change.operation === 'insert' ? 1 : 0;
        sizes.push(size);
      }
    }
    const listener = await boot([Commits], { limits: { changes: 2 } });
    await listener.emit([1, 2, 3].map((id) => insert('orders', { id })));
    expect(sizes).toEqual([3]);
  });

  it('refuses what cannot work, with what to do', async () => {
    const early = new TestPgListener();
    await expect(early.emit(insert('orders', { id: 1 }))).rejects.toThrow(/overrideProvider/);
    expect(() => insert('orders.*', { id: 1 })).toThrow(TablePatternError);
    const listener = await boot([], { autoStart: false });
    await expect(listener.emit(insert('orders', { id: 1 }))).rejects.toThrow(LifecycleError);
    await listener.start();
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual([]);
    await listener.stop();
    await expect(listener.emit(insert('orders', { id: 1 }))).rejects.toThrow(/while the listener is stopped/);
  });

  it('finishes what runs when the application closes', async () => {
    let isDone = false;
    @Injectable()
    class Slow {
      @OnTableChange('orders')
      async onChange(): Promise<void> {
        await new Promise((done) => setTimeout(done, 20));
        isDone = true;
      }
    }
    const listener = await boot([Slow]);
    const emitted = listener.emit(insert('orders', { id: 1 }));
    await module!.close();
    await emitted;
    expect(isDone).toBe(true);
  });

  it('rejects what the closing application gives up, and what was waiting behind it', async () => {
    @Injectable()
    class Stuck {
      @OnTableChange('orders')
      onChange(): Promise<void> {
        return new Promise(() => undefined);
      }
    }
    const listener = await boot([Stuck], { shutdownTimeoutMs: 10 });
    const emitted = [1, 2].map((id) => listener.emit(insert('orders', { id })));
    const outcomes = Promise.allSettled(emitted);
    await module!.close();
    const reasons = (await outcomes).map((each) => (each as PromiseRejectedResult).reason as Error);
    expect(reasons.map(({ name }) => name)).toEqual(['LifecycleError', 'LifecycleError']);
    expect(reasons[0]!.message).toContain('before its handlers had finished');
    expect(reasons[1]!.message).toContain('before it was begun');
  });

  it('takes emissions again when it has been stopped and started, whatever was given up', async () => {
    const listener = await boot([]);
    const commits = recordIds(listener);
    const emitted = Promise.allSettled([1, 2].map((id) => listener.emit(insert('orders', { id }))));
    await listener.stop();
    expect((await emitted).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await listener.start();
    await listener.emit(insert('orders', { id: 3 }));
    expect(commits).toEqual([1, 3]);
  });

  it('is not held up by fake timers: neither its retries nor its end', async () => {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert')
      onCreated(_: InsertChange, { attempt }: PgListenerContext): void {
        if (attempt < 3) throw new Error('not yet');
      }
      @OnTableChange('orders', 'delete')
      onDeleted(): Promise<void> {
        return new Promise(() => undefined);
      }
    }
    const listener = await boot([Orders], { shutdownTimeoutMs: 10 });
    jest.useFakeTimers();
    try {
      expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['Orders.onCreated']);
      const stuck = expect(listener.emit(remove('orders', { id: 1 }))).rejects.toThrow(LifecycleError);
      await listener.stop();
      await stuck;
    } finally {
      jest.useRealTimers();
    }
  });

  it('rejects what is no emission, and goes on', async () => {
    const listener = await boot([], { shutdownTimeoutMs: 60_000 });
    const commits = recordIds(listener);
    await expect(listener.emit(insert('orders', { id: 1 }), undefined as never)).rejects.toThrow(TypeError);
    await listener.stop();
    await listener.start();
    await listener.emit(insert('orders', { id: 2 }));
    expect(commits).toEqual([1, 2]);
  });

  it('serves one application, and the app that it was made for', async () => {
    const listener = await boot([]);
    await module!.close();
    await expect(boot([], {}, listener)).rejects.toThrow(/serves one application/);
    await expect(boot([], { name: 'billing' }, new TestPgListener())).rejects.toThrow(
      /new TestPgListener\('billing'\)/,
    );
  });

  it.each(['useFactory', 'useClass'] as const)('is one object: %s would make one for each forFeature', async (way) => {
    const overriding = Test.createTestingModule({
      imports: [PgListenerModule.forRoot(NOWHERE), PgListenerModule.forFeature('orders')],
    }).overrideProvider(getPgListenerToken());
    const builder =
      way === 'useClass'
        ? overriding.useClass(TestPgListener)
        : overriding.useFactory({ factory: () => new TestPgListener() });
    const made = await builder.setLogger(logs).compile();
    await expect(made.init()).rejects.toThrow(/useValue\(listener\)/);
    // Nothing was opened, and Nest 11 rejects once more here.
    await made.close().catch(() => undefined);
  });

  it('leaves the row of the test as it is, whatever a handler does to its own', async () => {
    @Injectable()
    class Rude {
      @OnTableChange('orders', 'insert')
      onChange(change: InsertChange): void {
        (change.record as Record<string, unknown>)['id'] = 0;
      }
    }
    const row = { id: 1 };
    await (await boot([Rude])).emit(insert('orders', row));
    expect(row).toEqual({ id: 1 });
  });
});

describe('a transactional handler in a test', () => {
  @Injectable()
  class Transfers {
    @OnTableChange('transfers', 'insert', { transactional: true, retry: { attempts: 1 } })
    async onTransfer({ record }: InsertChange, { client }: TransactionalContext): Promise<void> {
      await client.query('UPDATE balances', [record['id']]);
    }
  }

  async function listenerOf(): Promise<TestPgListener> {
    const listener = new TestPgListener();
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot(NOWHERE)],
      providers: [Transfers],
    })
      .overrideProvider(getPgListenerToken())
      .useValue(listener)
      .setLogger(new LogCollector())
      .compile();
    await module.init();
    return listener;
  }

  it('gets the client of the test, before or after the application has initialised', async () => {
    const query = jest.fn(async () => ({ rows: [] }));
    const listener = await listenerOf();
    await expect(listener.emit(insert('transfers', { id: 1 }))).rejects.toThrow(/has no client[\s\S]*useClient/);
    listener.useClient({ query } as never);
    expect(await listener.emit(insert('transfers', { id: 2 }))).toEqual(['Transfers.onTransfer']);
    expect(query.mock.calls).toEqual([['UPDATE balances', [2]]]);
    await listener.stop();
  });
});

describe('a provider of the test’s own in place of the listener', () => {
  it('opens nothing, and the application boots', async () => {
    const connect = jest.spyOn(Socket.prototype, 'connect');
    const mock = { changes: () => 'a stream of its own', stop: jest.fn() };
    @Injectable()
    class Feed {
      constructor(
        readonly listener: PgListener,
        @InjectChanges('orders') readonly orders: unknown,
      ) {}
      @OnTableChange('orders')
      onChange(): void {}
    }
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot(NOWHERE), PgListenerModule.forFeature('orders')],
      providers: [Feed],
    })
      .overrideProvider(getPgListenerToken())
      .useValue(mock)
      .setLogger(new LogCollector())
      .compile();
    await module.init();
    expect(module.get(Feed).listener).toBe(mock);
    expect(module.get(Feed).orders).toBe('a stream of its own');
    await module.close();
    expect(connect).not.toHaveBeenCalled();
    expect(mock.stop).not.toHaveBeenCalled();
    connect.mockRestore();
  });
});
