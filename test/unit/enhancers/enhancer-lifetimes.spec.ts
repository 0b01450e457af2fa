import 'reflect-metadata';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Scope, UseGuards, type CanActivate, type Provider } from '@nestjs/common';
import {
  APP_GUARD,
  ContextIdFactory,
  ExternalContextCreator,
  REQUEST,
  type ContextId,
  type HostComponentInfo,
} from '@nestjs/core';
import { OnTableChange, type InsertChange, type TransactionContext } from 'nestjs-pg-listener';
import { insert } from 'nestjs-pg-listener/testing';
import { EnhancedApplications } from './enhanced-application.js';

const order = (id: number) => insert('orders', { id });
const ONCE = { retry: { attempts: 1 } };
type Inserted = InsertChange<{ id: number }>;

describe('enhancers that are not made once for all', () => {
  const apps = new EnhancedApplications();
  const seen: unknown[] = [];
  afterEach(async () => {
    seen.length = 0;
    await apps.close();
  });

  @Injectable()
  class Opening {
    readonly hours = 'always';
  }
  @Injectable({ scope: Scope.TRANSIENT })
  class Transient implements CanActivate {
    constructor(private readonly opening: Opening) {}
    canActivate(): boolean {
      seen.push(this.opening.hours);
      return true;
    }
  }
  @Injectable()
  class Singleton {
    @OnTableChange('orders', 'insert', ONCE)
    @UseGuards(Transient)
    onInsert({ record }: Inserted): void {
      seen.push(record.id);
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class Scoped extends Singleton {}
  @Controller()
  class OfController extends Singleton {}
  @Injectable()
  class Plain {
    @OnTableChange('orders', 'insert', ONCE)
    onInsert({ record }: Inserted): void {
      seen.push(record.id);
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class OfTransaction implements CanActivate {
    constructor(@Inject(REQUEST) private readonly transaction: TransactionContext) {}
    canActivate(): boolean {
      seen.push(typeof this.transaction.lsn);
      return true;
    }
  }

  it.each<[string, Provider]>([
    ['a singleton', Singleton],
    ['a request-scoped handler', Scoped],
  ])('a transient guard of %s has what it injects', async (_, handler) => {
    const { listener } = await apps.boot([Opening, handler]);
    await listener.emit(order(1), order(2));
    expect(seen).toEqual(['always', 1, 'always', 2]);
  });

  it('a transient guard of a controller has, too', async () => {
    const { listener } = await apps.boot([Opening], { controllers: [OfController] });
    await listener.emit(order(1));
    expect(seen).toEqual(['always', 1]);
  });

  it('a transient global guard has, alone and beside a request-scoped one', async () => {
    const transient = { provide: APP_GUARD, useClass: Transient };
    const alone = await apps.boot([Opening, transient, Plain], { globalEnhancers: true });
    await alone.listener.emit(order(1));
    expect(seen.splice(0)).toEqual(['always', 1]);
    const scoped = { provide: APP_GUARD, useClass: OfTransaction };
    const beside = await apps.boot([Opening, scoped, transient, Singleton], { globalEnhancers: true });
    await beside.listener.emit(order(2));
    expect(seen).toEqual(['string', 'always', 'always', 2]);
  });

  describe('a request-scoped global guard that is made for requests', () => {
    const made: string[] = [];
    afterEach(() => void (made.length = 0));
    @Injectable({ scope: Scope.REQUEST })
    class LoggedIn implements CanActivate {
      private readonly user: string;
      constructor(@Inject(REQUEST) request: { headers: { user: string } }) {
        made.push('guard');
        this.user = request.headers.user;
      }
      canActivate(): boolean {
        return this.user !== '';
      }
    }

    it('is not even made for the handlers of a controller', async () => {
      @Controller()
      class Orders extends Plain {}
      const { listener } = await apps.boot([{ provide: APP_GUARD, useClass: LoggedIn }], { controllers: [Orders] });
      await listener.emit(order(1));
      expect(seen).toEqual([1]);
      expect(made).toEqual([]);
    });

    it('is left alone where it is durable, for requests share it', async () => {
      const tree: ContextId = { id: 4711 };
      @Injectable({ scope: Scope.REQUEST, durable: true })
      class Tenants implements CanActivate {
        canActivate(): boolean {
          return true;
        }
      }
      @Controller()
      class Orders extends Plain {}
      ContextIdFactory.apply({
        attach: (contextId) => (info: HostComponentInfo) => (info.isTreeDurable ? tree : contextId),
      });
      try {
        const { listener, module } = await apps.boot([{ provide: APP_GUARD, useClass: Tenants }], {
          controllers: [Orders],
        });
        await listener.emit(order(1));
        expect(seen).toEqual([1]);
        const config = module.get(ExternalContextCreator, { strict: false })['container'].applicationConfig!;
        const [guard] = config.getGlobalRequestGuards();
        expect(guard!.getInstanceByContextId(tree).instance).toBeInstanceOf(Tenants);
      } finally {
        ContextIdFactory.apply(undefined as never);
      }
    });
  });

  it('a class that a request-scoped factory makes is heard, one of a transient factory refused', async () => {
    class Made extends Plain {
      constructor(readonly unit: number) {
        super();
      }
      @OnTableChange('orders', 'insert', { ...ONCE, id: 'made' })
      override onInsert({ record }: Inserted): void {
        seen.push([this.unit, record.id]);
      }
    }
    let units = 0;
    const made = (scope: Scope): Provider => ({ provide: Made, useFactory: () => new Made(++units), scope });
    const { listener } = await apps.boot([made(Scope.REQUEST)]);
    await listener.emit(order(1), order(2));
    await listener.emit(order(3));
    expect(seen).toEqual([
      [1, 1],
      [1, 2],
      [2, 3],
    ]);
    await expect(apps.boot([made(Scope.TRANSIENT)])).rejects.toThrow('is transient; use Scope.REQUEST');
  });
});
