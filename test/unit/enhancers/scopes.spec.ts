import 'reflect-metadata';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Inject, Injectable, Module, Scope, UseGuards, type CanActivate } from '@nestjs/common';
import {
  ContextIdFactory,
  ExternalContextCreator,
  REQUEST,
  type ContextId,
  type ContextIdStrategy,
  type HostComponentInfo,
  type ModuleRef,
} from '@nestjs/core';
import {
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  type Change,
  type InsertChange,
  type PgListenerContext,
  type TransactionContext,
} from 'nestjs-pg-listener';
import { alter, insert } from 'nestjs-pg-listener/testing';
import { TransactionScopes } from '#lib/enhancers/transaction-scopes.js';
import { EnhancedApplications } from './enhanced-application.js';

const order = (id: number) => insert('orders', { id });
const idOf = (change: unknown) => (change as InsertChange<{ id: number }>).record.id;

describe('request-scoped handlers', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  it('are made once for each transaction, and share its scope; REQUEST is the transaction', async () => {
    const seen: unknown[] = [];
    let units = 0;
    @Injectable({ scope: Scope.REQUEST })
    class UnitOfWork {
      readonly number = ++units;
      constructor(@Inject(REQUEST) readonly transaction: TransactionContext) {}
    }
    @Injectable()
    class Orders {
      constructor(private readonly unit: UnitOfWork) {}
      @OnTableChange('orders')
      onChange(change: Change, { transaction, handler }: PgListenerContext): void {
        seen.push([handler, idOf(change), this.unit.number, this.unit.transaction === transaction]);
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class Commits {
      constructor(private readonly unit: UnitOfWork) {}
      @OnTransaction()
      async onCommit(_: unknown, { transaction, handler }: PgListenerContext): Promise<void> {
        await Promise.resolve();
        seen.push([handler, this.unit.number, this.unit.transaction.lsn === transaction.lsn]);
      }
    }
    const { listener } = await boot([UnitOfWork, Orders, Commits]);
    expect(units).toBe(0);
    expect(await listener.emit(order(1), order(2))).toEqual(['Orders.onChange', 'Orders.onChange', 'Commits.onCommit']);
    await listener.emit(order(3));
    expect(seen).toEqual([
      ['Orders.onChange', 1, 1, true],
      ['Orders.onChange', 2, 1, true],
      ['Commits.onCommit', 1, true],
      ['Orders.onChange', 3, 2, true],
      ['Commits.onCommit', 2, true],
    ]);
  });

  it('share it with handlers of schema changes', async () => {
    const seen: unknown[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      private readonly number = ++made;
      constructor(@Inject(REQUEST) private readonly transaction: TransactionContext) {}
      @OnSchemaChange('orders')
      onAltered(_: unknown, { transaction }: PgListenerContext): void {
        seen.push(['altered', this.number, this.transaction === transaction]);
      }
      @OnTableChange('orders')
      onChange(change: Change, { transaction }: PgListenerContext): void {
        seen.push([idOf(change), this.number, this.transaction === transaction]);
      }
    }
    const { listener } = await boot([Orders]);
    const altered = alter('orders', { columns: [{ name: 'id' }] }, { columns: [{ name: 'id' }, { name: 'note' }] });
    await listener.emit(order(1), altered, order(2));
    await listener.emit(order(3));
    expect(seen).toEqual([
      [1, 1, true],
      ['altered', 1, true],
      [2, 1, true],
      [3, 2, true],
    ]);
  });

  it('keep their scope when they are tried again; one that could not be made is made anew', async () => {
    const seen: string[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      private readonly number = ++made;
      constructor() {
        if (this.number === 1) throw new Error('no connection yet');
      }
      @OnTableChange('orders')
      onChange(_: Change, { attempt }: PgListenerContext): void {
        seen.push(`${this.number} at ${attempt}`);
        if (attempt < 4) throw new Error('once more');
      }
    }
    const { listener, logs } = await boot([Orders]);
    await listener.emit(order(1));
    expect(logs.find('no connection yet')).toBeDefined();
    expect(seen).toEqual(['2 at 2', '2 at 3', '2 at 4']);
  });

  it('leave a scope alone that came after the one in which another could not be made', async () => {
    const scopes = new TransactionScopes();
    const modules = { registerRequestByContextId: () => undefined } as unknown as ModuleRef;
    const transaction = { lsn: '0/1' } as TransactionContext;
    const made: ContextId[] = [];
    let failLate: (error: Error) => void = () => undefined;
    const make = (handler: object, outcome: () => Promise<() => unknown>) =>
      scopes.method(transaction, modules, handler, (contextId) => {
        made.push(contextId);
        return outcome();
      });
    const late = make({}, () => new Promise((_, reject) => (failLate = reject)));
    await expect(make({}, () => Promise.reject(new Error('early')))).rejects.toThrow('early');
    await make({}, () => Promise.resolve(() => undefined));
    failLate(new Error('late'));
    await expect(late).rejects.toThrow('late');
    await make({}, () => Promise.resolve(() => undefined));
    expect(made[1]).toBe(made[0]);
    expect(made[2]).not.toBe(made[0]);
    expect(made[3]).toBe(made[2]);
  });

  it('may have guards that are request-scoped, and so make them so', async () => {
    const seen: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Scoped implements CanActivate {
      constructor(@Inject(REQUEST) private readonly transaction: TransactionContext) {}
      canActivate(): boolean {
        seen.push(this.transaction.lsn);
        return true;
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      @UseGuards(Scoped)
      onChange(change: Change): void {
        seen.push(change.lsn);
      }
    }
    const { listener } = await boot([Orders]);
    const create = jest.spyOn(ExternalContextCreator.prototype, 'create');
    try {
      await listener.emit(order(1), order(2));
      expect(create).toHaveBeenCalledTimes(1);
    } finally {
      create.mockRestore();
    }
    expect(seen).toHaveLength(4);
    expect(new Set(seen).size).toBe(1);
  });

  it('are made in the module that provides them', async () => {
    const seen: string[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      constructor(@Inject('name') private readonly name: string) {}
      @OnTableChange('orders')
      onChange(): void {
        seen.push(this.name);
      }
    }
    @Module({ providers: [Orders, { provide: 'name', useValue: 'one' }] })
    class One {}
    @Module({ providers: [{ provide: 'name', useValue: 'two' }] })
    class Two {}
    const { listener } = await boot([{ provide: 'name', useValue: 'root' }], { modules: [One, Two] });
    await listener.emit(order(1));
    expect(seen).toEqual(['one']);
  });

  it('work by the array, and side by side', async () => {
    const seen: unknown[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      private readonly number = ++made;
      @OnTableChange('orders', 'insert', { batch: { size: 10 } })
      onInserts(changes: readonly Change[]): void {
        seen.push([this.number, changes.map((change) => idOf(change))]);
      }
      @OnTableChange('orders', 'insert', { concurrency: 4, id: 'lanes' })
      async onInsert(change: Change): Promise<void> {
        seen.push([this.number, idOf(change)]);
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1), order(2));
    expect(made).toBe(1);
    expect(seen).toEqual(
      expect.arrayContaining([
        [1, [1, 2]],
        [1, 1],
        [1, 2],
      ]),
    );
  });

  it('share durable providers across transactions, as the strategy of the application says', async () => {
    const seen: unknown[] = [];
    let durables = 0;
    const tree: ContextId = { id: 4711 };
    class ByParity implements ContextIdStrategy<TransactionContext> {
      attach(contextId: ContextId, { xid }: TransactionContext) {
        return {
          resolve: ({ isTreeDurable }: HostComponentInfo) => (isTreeDurable ? tree : contextId),
          payload: { tenant: `of ${typeof xid}` },
        };
      }
    }
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Tenant {
      readonly number = ++durables;
      constructor(@Inject(REQUEST) readonly request: { tenant: string }) {}
    }
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Orders {
      constructor(private readonly tenant: Tenant) {}
      @OnTableChange('orders')
      onChange(change: Change): void {
        seen.push([idOf(change), this.tenant.number, this.tenant.request.tenant]);
      }
    }
    ContextIdFactory.apply(new ByParity());
    try {
      const { listener } = await boot([Tenant, Orders]);
      await listener.emit(order(1));
      await listener.emit(order(2));
    } finally {
      ContextIdFactory.apply(undefined as never);
    }
    expect(seen).toEqual([
      [1, 1, 'of number'],
      [2, 1, 'of number'],
    ]);
  });

  it('are refused where they are transient', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Orders {
      @OnTableChange('orders')
      onChange(): void {}
    }
    await expect(boot([Orders])).rejects.toThrow(/Orders\.onChange .* is transient.*use Scope\.REQUEST/);
  });

  it('are garbage when their transaction is over', async () => {
    const held: WeakRef<object>[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      private readonly ballast = new Uint8Array(1_000_000);
      constructor() {
        held.push(new WeakRef(this));
      }
      @OnTableChange('orders')
      onChange(): void {
        void this.ballast;
      }
    }
    const { listener } = await boot([Orders]);
    for (let id = 0; id < 60; id++) await listener.emit(order(id));
    // It holds what the handlers were called with, and that its transaction.
    listener.journal.clear();
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    expect(held).toHaveLength(60);
    expect(held.filter((each) => each.deref() !== undefined).length).toBeLessThan(5);
  });
});
