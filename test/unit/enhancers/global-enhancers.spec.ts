import 'reflect-metadata';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Injectable,
  Scope,
  UseGuards,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { OnTableChange, type InsertChange } from 'nestjs-pg-listener';
import { insert } from 'nestjs-pg-listener/testing';
import { PgListenerExplorer } from '#lib/pg-listener.explorer.js';
import { PgListenerConfigRegistry } from '#lib/pg-listener.registry.js';
import { EnhancedApplications } from './enhanced-application.js';

const order = (id: number) => insert('orders', { id });

describe('global enhancers', () => {
  const apps = new EnhancedApplications();
  afterEach(() => apps.close());
  const seen: unknown[] = [];
  afterEach(() => void (seen.length = 0));

  /** As most are: made for requests. */
  @Injectable()
  class LoggedIn implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      seen.push('guard');
      return context.switchToHttp().getRequest<{ user?: unknown }>().user !== undefined;
    }
  }
  @Injectable()
  class Wrap implements NestInterceptor {
    intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
      seen.push('interceptor');
      return next.handle();
    }
  }
  @Catch()
  class Respond implements ExceptionFilter {
    catch(): void {
      seen.push('filter');
    }
  }
  const pipe = {
    transform: (value: unknown) => {
      seen.push('pipe');
      return value;
    },
  };
  const GLOBALS: Provider[] = [
    { provide: APP_GUARD, useClass: LoggedIn },
    { provide: APP_INTERCEPTOR, useClass: Wrap },
    { provide: APP_FILTER, useClass: Respond },
    { provide: APP_PIPE, useValue: pipe },
  ];

  @Injectable()
  class Orders {
    @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
    onInsert(change: InsertChange<{ id: number }>): void {
      seen.push(change.record.id);
      if (change.record.id === 13) throw new Error('unlucky');
    }
  }
  @Injectable()
  class Open implements CanActivate {
    canActivate(): boolean {
      seen.push('own guard');
      return true;
    }
  }
  @Injectable()
  class Guarded extends Orders {
    @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
    @UseGuards(Open)
    override onInsert(change: InsertChange<{ id: number }>): void {
      super.onInsert(change);
    }
  }

  it('are left out: a handler is no request', async () => {
    const { listener } = await apps.boot([...GLOBALS, Orders]);
    await listener.emit(order(1));
    expect(seen).toEqual([1]);
    await expect(listener.emit(order(13))).rejects.toThrow('unlucky');
  });

  it("are left out of handlers that have enhancers of their own, which don't bring them in", async () => {
    const { listener } = await apps.boot([...GLOBALS, Guarded]);
    await listener.emit(order(1));
    expect(seen).toEqual(['own guard', 1]);
    await expect(listener.emit(order(13))).rejects.toThrow('unlucky');
    expect(seen).not.toContain('filter');
  });

  it('are put around handlers with globalEnhancers: true', async () => {
    const { listener } = await apps.boot([...GLOBALS.slice(1), Guarded], { globalEnhancers: true });
    await listener.emit(order(1));
    expect(seen).toEqual(['own guard', 'interceptor', 'pipe', 1]);
    await listener.emit(order(13));
    expect(seen.slice(4)).toEqual(['own guard', 'interceptor', 'pipe', 13, 'filter']);
  });

  it('fail every change then where the guard is about requests, and the log names it', async () => {
    const { listener } = await apps.boot([GLOBALS[0]!, Orders], { globalEnhancers: true });
    await expect(listener.emit(order(1))).rejects.toThrow(
      /^The guard LoggedIn refuses it\n  How to mend it: .*isPgListenerContext\(context\)/,
    );
  });

  it('may be given with useGlobalGuards() before the application initialises', async () => {
    const { listener } = await apps.boot([Orders], {
      globalEnhancers: true,
      before: (module) => {
        const application = module.createNestApplication();
        application.useGlobalGuards(new LoggedIn());
      },
    });
    await expect(listener.emit(order(1))).rejects.toThrow('The guard LoggedIn refuses it');
  });

  it('may be request-scoped: made once for each transaction', async () => {
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Scoped implements CanActivate {
      private readonly number = ++made;
      canActivate(): boolean {
        seen.push(`guard ${this.number}`);
        return true;
      }
    }
    const { listener } = await apps.boot([{ provide: APP_GUARD, useClass: Scoped }, Orders], { globalEnhancers: true });
    await listener.emit(order(1), order(2));
    await listener.emit(order(3));
    expect(seen).toEqual(['guard 1', 1, 'guard 1', 2, 'guard 2', 3]);
  });

  it('must be true or false', async () => {
    await expect(apps.boot([Orders], { globalEnhancers: 'yes' as never })).rejects.toThrow(
      'globalEnhancers: is a string',
    );
  });

  it('do not cost a handler anything where there are none: what is called is its method', async () => {
    @Injectable()
    class Plain {
      @OnTableChange('orders')
      onChange(): void {}
    }
    const { module } = await apps.boot([Plain, Guarded], { globalEnhancers: true });
    const configs = module.get(PgListenerConfigRegistry, { strict: false });
    const explorer = module.get(PgListenerExplorer, { strict: false });
    const [plain, guarded] = explorer.explore(new Map([['default', configs.get('default')]])).enabled;
    expect(plain!.callback).toBe(Plain.prototype.onChange);
    expect(guarded!.callback).not.toBe(Guarded.prototype.onInsert);
  });
});
