import 'reflect-metadata';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  Catch,
  Controller,
  createParamDecorator,
  ForbiddenException,
  Injectable,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { EMPTY, map, of, retry, tap, throwError, timeout, timer, type Observable } from 'rxjs';
import {
  GuardRefusalError,
  isPgListenerContext,
  OnLogicalMessage,
  OnSchemaChange,
  OnTableChange,
  OnTransaction,
  SkipChange,
  type Change,
  type InsertChange,
  type LogicalMessage,
  type PgListenerContext,
  type SchemaChange,
  type Transaction,
  type TransactionalContext,
} from 'nestjs-pg-listener';
import { alter, insert, message } from 'nestjs-pg-listener/testing';
import { EnhancedApplications } from './enhanced-application.js';

interface Order {
  id: number;
}

const order = (id: number) => insert('orders', { id });
const altered = () => alter('orders', { columns: [{ name: 'id' }] }, { columns: [{ name: 'id' }, { name: 'note' }] });
const idOf = (change: unknown) => (change as InsertChange<Order>).record.id;

describe('enhancers of a handler', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  it('run in the order of Nest, around the method, with the change and the context', async () => {
    const seen: string[] = [];
    const tell = (what: string, context: ArgumentsHost): void => {
      const [change, { handler, attempt }] = context.getArgs<[Change, PgListenerContext]>();
      seen.push(`${what} ${idOf(change)} ${handler} ${attempt} ${isPgListenerContext(context)} ${context.getType()}`);
    };
    @Injectable()
    class Guard implements CanActivate {
      constructor(private readonly reflector: Reflector) {}
      canActivate(context: ExecutionContext): boolean {
        tell(`guard ${context.getClass().name}.${context.getHandler().name}`, context);
        return this.reflector.get<boolean>('open', context.getHandler());
      }
    }
    @Injectable()
    class Around implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        tell('before', context);
        return next.handle().pipe(tap((value) => seen.push(`after ${String(value)}`)));
      }
    }
    @Injectable()
    class Pipe implements PipeTransform {
      transform(value: unknown, { type }: { type: string }): unknown {
        seen.push(`pipe ${type} ${idOf(value)}`);
        return value;
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert')
      @SetMetadata('open', true)
      @UseGuards(Guard)
      @UseInterceptors(Around)
      @UsePipes(Pipe)
      onInsert(change: InsertChange<Order>, context: PgListenerContext): string {
        seen.push(`method ${idOf(change)} ${context.handler} ${this instanceof Orders}`);
        return 'done';
      }
    }
    const { listener } = await boot([Orders]);
    expect(await listener.emit(order(7))).toEqual(['Orders.onInsert']);
    const where = '7 Orders.onInsert 1 true pg-listener';
    expect(seen).toEqual([
      `guard Orders.onInsert ${where}`,
      `before ${where}`,
      'pipe body 7',
      'method 7 Orders.onInsert true',
      'after done',
    ]);
  });

  it('may stand on the class, and on a controller', async () => {
    const seen: number[] = [];
    @Injectable()
    class Odd implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        if (idOf(context.getArgs()[0]) % 2 === 0) throw new SkipChange();
        return true;
      }
    }
    @Controller()
    @UseGuards(Odd)
    class Orders {
      @OnTableChange('orders')
      onChange(change: Change): void {
        seen.push(idOf(change));
      }
    }
    const { listener } = await boot([], { controllers: [Orders] });
    await listener.emit(order(1), order(2), order(3));
    expect(seen).toEqual([1, 3]);
    expect(listener.stats().skipped).toBe(1);
  });

  it('leave the first two parameters to the change and the context; custom decorators start third', async () => {
    const seen: unknown[] = [];
    const Table = createParamDecorator((data: string, context: ExecutionContext) => {
      return `${data} ${(context.getArgs()[0] as Change).table} ${isPgListenerContext(context)}`;
    });
    const Double = { transform: (value: string) => value.repeat(2) };
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      onChange(change: Change, context: PgListenerContext, @Table('in') table: string, plain?: string): void {
        seen.push(idOf(change), context.handler, table, plain);
      }
      @OnTransaction()
      onCommit(transaction: Transaction, context: PgListenerContext, @Table('of', Double) table: string): void {
        seen.push(transaction.size, context.handler, table);
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1));
    const twice = 'of undefined trueof undefined true';
    expect(seen).toEqual([1, 'Orders.onChange', 'in orders true', undefined, 1, 'Orders.onCommit', twice]);
  });

  it('take part in handlers of messages and transactions, whatever these return', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Around implements NestInterceptor {
      intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next
          .handle()
          .pipe(tap({ next: (value) => seen.push(`value ${String(value)}`), complete: () => seen.push('complete') }));
      }
    }
    @Injectable()
    @UseInterceptors(Around)
    class Everything {
      @OnLogicalMessage('outbox')
      onMessage({ text }: LogicalMessage): Observable<number> {
        return timer(5).pipe(map(() => seen.push(`message ${text}`)));
      }
      @OnLogicalMessage('silent')
      onSilent(): Observable<never> {
        return EMPTY;
      }
      @OnTransaction()
      async onCommit(transaction: Transaction): Promise<void> {
        for await (const change of transaction.changes) seen.push(`row ${idOf(change)}`);
      }
    }
    const { listener } = await boot([Everything], { subscriptions: ['orders'] });
    await listener.emit(message('outbox', 'hello'), message('silent', ''), order(4));
    expect(seen).toEqual(['message hello', 'value 1', 'complete', 'complete', 'row 4', 'value undefined', 'complete']);
  });

  it('take part in handlers of schema changes', async () => {
    const seen: unknown[] = [];
    const Table = createParamDecorator((_: unknown, context: ExecutionContext) => {
      const [{ schema, table }, { attempt }] = context.getArgs<[SchemaChange, PgListenerContext]>();
      return `${schema}.${table} ${attempt} ${isPgListenerContext(context)}`;
    });
    class Closed implements CanActivate {
      static isOpen = false;
      canActivate(): boolean {
        if (Closed.isOpen) return true;
        Closed.isOpen = true;
        return false;
      }
    }
    @Catch(RangeError)
    class Filter implements ExceptionFilter {
      catch(error: RangeError): void {
        seen.push(error.message);
      }
    }
    @Injectable()
    @UseFilters(Filter)
    class Orders {
      @OnSchemaChange('orders')
      @UseGuards(Closed)
      onAltered({ differences }: SchemaChange, _: PgListenerContext, @Table() table: string): void {
        seen.push(differences.map(({ kind }) => kind).join(), table);
        throw new RangeError('filtered');
      }
      @OnTableChange('orders')
      onChange(change: Change): void {
        seen.push(idOf(change));
      }
    }
    const { listener, logs } = await boot([Orders]);
    await listener.emit(altered(), order(1));
    expect(seen).toEqual(['column-added', 'public.orders 2 true', 'filtered', 1]);
    expect(
      logs.find(/Handler Orders\.onAltered failed on .* \(attempt 1\): The guard Closed refuses it/),
    ).toBeDefined();
  });

  it('give a handler of arrays the whole array; pipes get its items', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        seen.push(context.getArgs<[Change[]]>()[0].map((change) => idOf(change)));
        return true;
      }
    }
    const pipe = { transform: (change: unknown) => ({ id: idOf(change) }) };
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { batch: { size: 10 } })
      @UseGuards(Guard)
      @UsePipes(pipe)
      onInserts(changes: readonly InsertChange<Order>[], context: PgListenerContext): unknown {
        seen.push(changes, context.handler);
        return changes.map((_, index) => (index === 1 && context.attempt === 1 ? new Error('not yet') : undefined));
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1), order(2));
    const calls = [[1, 2], [{ id: 1 }, { id: 2 }], 'Orders.onInserts'];
    expect(seen).toEqual([...calls, [2], [{ id: 2 }], 'Orders.onInserts']);
  });

  it('leave `context.client` of a transactional handler where it is', async () => {
    const client = { query: jest.fn() };
    const seen: unknown[] = [];
    const Client = createParamDecorator((_: unknown, context: ExecutionContext) => {
      return context.getArgs<[Change, TransactionalContext]>()[1].client;
    });
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { transactional: true })
      onInsert(_: InsertChange<Order>, context: TransactionalContext, @Client() given: unknown): void {
        seen.push(context.client === given, given === client);
      }
    }
    const { listener } = await boot([Orders]);
    listener.useClient(client as never);
    await listener.emit(order(1));
    expect(seen).toEqual([true, true]);
  });

  it('are found where the instance has another function in the place of its method', async () => {
    @Injectable()
    class Closed implements CanActivate {
      canActivate(): boolean {
        return false;
      }
    }
    @Injectable()
    class Orders {
      constructor() {
        this.onInsert = this.onInsert.bind(this);
      }
      @OnTableChange('orders', 'insert', { onExhausted: 'skip', retry: { attempts: 1 } })
      @UseGuards(Closed)
      onInsert(): void {
        throw new Error('called');
      }
    }
    const { listener, logs } = await boot([Orders]);
    await listener.emit(order(1));
    expect(logs.find('called')).toBeUndefined();
    expect(logs.find('The guard Closed refuses it')).toBeDefined();
  });

  it('let a test put a spy in the place of the method', async () => {
    const Table = createParamDecorator(
      (_: unknown, context: ExecutionContext) => (context.getArgs()[0] as Change).table,
    );
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      onChange(_change: Change, _context: PgListenerContext, @Table() _table: string): void {}
    }
    const { listener, module } = await boot([Orders]);
    const spy = jest.spyOn(module.get(Orders), 'onChange');
    await listener.emit(order(1));
    expect(spy).toHaveBeenCalledWith(expect.anything(), expect.objectContaining({ attempt: 1 }), 'orders');
  });
});

describe('a guard that refuses', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  @Injectable()
  class Open implements CanActivate {
    canActivate(): boolean {
      return true;
    }
  }
  @Injectable()
  class ByDay implements CanActivate {
    static isOpen = false;
    static error: unknown;
    canActivate(): boolean {
      if (ByDay.error !== undefined) throw ByDay.error;
      return ByDay.isOpen;
    }
  }

  function ordersOf(options: object): { Orders: new () => object; calls: number[] } {
    const calls: number[] = [];
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 2 }, ...options })
      @UseGuards(Open, ByDay, Open)
      onInsert(change: InsertChange<Order>): void {
        calls.push(idOf(change));
      }
    }
    return { Orders, calls };
  }

  it('has failed the change, and is named in the log: the policy decides', async () => {
    const { Orders, calls } = ordersOf({ onExhausted: 'park' });
    ByDay.isOpen = false;
    const { listener, logs } = await boot([Orders]);
    await listener.emit(order(1));
    expect(calls).toEqual([]);
    expect(logs.find(/Handler Orders\.onInsert failed on .* \(attempt 2\): The guard ByDay refuses it/)).toBeDefined();
    expect(logs.find('ExceptionsHandler')).toBeUndefined();
    ByDay.isOpen = true;
    expect(await listener.parked.retry()).toEqual({ handled: 1, failed: 0, requested: 0 });
    expect(calls).toEqual([1]);
  });

  it('hands its own error on, as the cause', async () => {
    const { Orders } = ordersOf({});
    ByDay.isOpen = false;
    const { listener } = await boot([Orders]);
    const refusal = await listener.emit(order(1)).then(
      () => undefined,
      (error: unknown) => error as GuardRefusalError,
    );
    expect(refusal).toBeInstanceOf(GuardRefusalError);
    expect(refusal).toMatchObject({ guard: 'ByDay', code: 'PG_LISTENER_GUARD_REFUSAL', fatal: false });
    expect(refusal!.cause).toBeInstanceOf(ForbiddenException);
    ByDay.error = new TypeError('no user');
    try {
      await expect(listener.emit(order(2))).rejects.toMatchObject({ guard: 'ByDay', cause: ByDay.error });
    } finally {
      ByDay.error = undefined;
    }
  });

  it('has failed an array; those that it lets pass by themselves are handled', async () => {
    const calls: number[][] = [];
    class WithoutTwo implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        return !context.getArgs<[readonly Change[]]>()[0].some((change) => idOf(change) === 2);
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { batch: { size: 3 }, onExhausted: 'park' })
      @UseGuards(WithoutTwo)
      onInserts(changes: readonly InsertChange[]): void {
        calls.push(changes.map(idOf));
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1), order(2), order(3));
    // A table is one key here: what follows in it waits behind what is parked.
    expect(calls).toEqual([[1]]);
    expect((await listener.parked.list()).map(({ change }) => idOf(change))).toEqual([2, 3]);
  });

  it('is named where it throws what is no error, and only then where others throw the same object', async () => {
    const shared = new Error('of several');
    let thrown: unknown = 'closed';
    const gate: CanActivate = {
      canActivate() {
        if (thrown !== undefined) throw thrown;
        return true;
      },
    };
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      @UseGuards(gate)
      onInsert(): void {
        throw shared;
      }
    }
    const { listener } = await boot([Orders]);
    await expect(listener.emit(order(1))).rejects.toMatchObject({ guard: 'Object', cause: 'closed' });
    thrown = shared;
    await expect(listener.emit(order(2))).rejects.toMatchObject({ guard: 'Object', cause: shared });
    thrown = undefined;
    await expect(listener.emit(order(3))).rejects.toBe(shared);
  });

  it('is not named where a filter throws something else for it', async () => {
    @Catch(ForbiddenException)
    class Instead implements ExceptionFilter {
      catch(): never {
        throw new Error('by the filter');
      }
    }
    @Injectable()
    @UseFilters(Instead)
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      @UseGuards({ canActivate: () => false })
      onInsert(): void {}
    }
    const { listener } = await boot([Orders]);
    await expect(listener.emit(order(1))).rejects.toThrow(/^by the filter$/);
  });

  it('may pass the change over with a verdict', async () => {
    const { Orders } = ordersOf({});
    const { listener } = await boot([Orders]);
    ByDay.error = new SkipChange({ reason: 'not for us' });
    try {
      await listener.emit(order(1));
    } finally {
      ByDay.error = undefined;
    }
    expect(listener.stats()).toMatchObject({ skipped: 1, failures: 1 });
  });
});

describe('interceptors and filters', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  class Broken extends Error {}

  @Catch(Broken)
  class Quiet implements ExceptionFilter {
    static readonly caught: unknown[] = [];
    catch(error: unknown, host: ArgumentsHost): void {
      Quiet.caught.push(`${String(error)} ${isPgListenerContext(host)} ${idOf(host.getArgs()[0])}`);
    }
  }

  it('handle the change where the filter returns, be it nothing', async () => {
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      @UseFilters(Quiet)
      onChange(change: Change): void {
        throw new Broken(`broken ${idOf(change)}`);
      }
    }
    Quiet.caught.length = 0;
    const { listener, logs } = await boot([Orders]);
    await listener.emit(order(1));
    expect(Quiet.caught).toEqual(['Error: broken 1 true 1']);
    expect(listener.stats()).toMatchObject({ failures: 0, changesHandled: 1 });
    expect(logs.entries.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('fail it where no filter catches the error, or the filter throws; it is logged once', async () => {
    @Catch(RangeError)
    class Stricter implements ExceptionFilter {
      catch(): never {
        throw new Broken('by the filter');
      }
    }
    let error: Error = new TypeError('by the handler');
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      @UseFilters(Quiet, Stricter)
      onInsert(): void {
        throw error;
      }
    }
    const { listener, logs } = await boot([Orders]);
    await expect(listener.emit(order(1))).rejects.toBe(error);
    error = new RangeError('out of it');
    await expect(listener.emit(order(2))).rejects.toThrow('by the filter');
    expect(logs.entries.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('leave verdicts to the policy: no filter gets them', async () => {
    @Catch()
    class Everything implements ExceptionFilter {
      catch(): string {
        return 'handled';
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders')
      @UseFilters(Everything)
      onChange(change: Change): void {
        throw idOf(change) === 1 ? new SkipChange() : new Error('caught');
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1), order(2));
    expect(listener.stats()).toMatchObject({ skipped: 1, failures: 1, changesHandled: 2 });
  });

  it('handle the change when the Observable of the filter completes, and fail with what it throws', async () => {
    @Catch()
    class OfMicroservices implements ExceptionFilter {
      catch(error: Error): Observable<unknown> {
        return error instanceof Broken ? timer(5) : throwError(() => error);
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      @UseFilters(OfMicroservices)
      onInsert(change: Change): void {
        throw idOf(change) === 1 ? new Broken('mended') : new Error('beyond mending');
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(order(1));
    await expect(listener.emit(order(2))).rejects.toThrow('beyond mending');
  });

  it('may call the method again, give it up, or fail at once, by an interceptor', async () => {
    const seen: string[] = [];
    const by = (intercept: NestInterceptor['intercept']): NestInterceptor => ({ intercept });
    let calls = 0;
    @Injectable()
    class Orders {
      @OnTableChange('again', 'insert', { retry: { attempts: 1 } })
      @UseInterceptors(by((_, next) => next.handle().pipe(retry(2))))
      onAgain(): void {
        if (++calls < 3) throw new Broken(`call ${calls}`);
      }
      @OnTableChange('late', 'insert', { retry: { attempts: 1 } })
      @UseInterceptors(by((_, next) => next.handle().pipe(timeout(10))))
      async onLate(): Promise<void> {
        await new Promise((resolve) => setTimeout(resolve, 50));
        seen.push('late');
      }
      @OnTableChange('at_once', 'insert', { retry: { attempts: 1 } })
      @UseInterceptors(
        by(() => {
          throw new Broken('at once');
        }),
      )
      onAtOnce(): void {}
    }
    const { listener } = await boot([Orders]);
    await listener.emit(insert('again', { id: 1 }));
    expect(calls).toBe(3);
    await expect(listener.emit(insert('late', { id: 1 }))).rejects.toThrow('Timeout');
    expect(seen).toEqual([]);
    await expect(listener.emit(insert('at_once', { id: 1 }))).rejects.toThrow('at once');
  });

  it('hold the change until the interceptor completes, and fail with what it throws', async () => {
    const seen: string[] = [];
    let outcome: () => Observable<unknown> = () => of(1);
    @Injectable()
    class Late implements NestInterceptor {
      intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
        return outcome === undefined ? next.handle() : outcome();
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { retry: { attempts: 1 } })
      @UseInterceptors(Late)
      onInsert(): void {
        seen.push('method');
      }
    }
    const { listener } = await boot([Orders]);
    outcome = () => timer(20).pipe(tap(() => seen.push('late')));
    await listener.emit(order(1));
    expect(seen).toEqual(['late']);
    outcome = () => EMPTY;
    await listener.emit(order(2));
    outcome = () => throwError(() => new Broken('too late'));
    await expect(listener.emit(order(3))).rejects.toThrow('too late');
    expect(seen).toEqual(['late']);
  });
});

describe('mistakes, told at boot', () => {
  const apps = new EnhancedApplications();
  const { boot } = { boot: apps.boot.bind(apps) };
  afterEach(() => apps.close());

  @Injectable()
  class Closed implements CanActivate {
    canActivate(): boolean {
      return false;
    }
  }

  it('are enhancers that Nest has not made, parameters of requests, and parameters that are taken', async () => {
    const Custom = createParamDecorator(() => 1);
    const Body = (target: object, method: string | symbol | undefined, index: number): void => {
      Reflect.defineMetadata(
        '__routeArguments__',
        { [`3:${index}`]: { index, pipes: [] } },
        target.constructor,
        method!,
      );
    };
    @Injectable()
    class ByFactory {
      @OnTableChange('orders')
      @UseGuards(Closed)
      onChange(): void {}
    }
    @Injectable()
    class Parameters {
      @OnTableChange('orders')
      onFirst(@Custom() _change: Change): void {}
      @OnTableChange('orders')
      onBody(_change: Change, _context: PgListenerContext, @Body _body: unknown): void {}
    }
    const boots = boot([{ provide: 'handler', useFactory: () => new ByFactory() }, Parameters]);
    await expect(boots).rejects.toThrow(
      /ByFactory\.onChange .* has the guard Closed, which Nest makes only for classes/,
    );
    await expect(boots).rejects.toThrow(
      /Parameters\.onFirst .* decorates its parameter 1: the first two are the change/,
    );
    await expect(boots).rejects.toThrow(/Parameters\.onBody .* decorates its parameter 3 for a request/);
  });

  it('are none with instances, or a class under another token', async () => {
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { onExhausted: 'skip', retry: { attempts: 1 } })
      @UseGuards(Closed)
      onInsert(): void {
        throw new Error('called');
      }
    }
    @Injectable()
    class Others {
      @OnTableChange('orders', 'insert', { onExhausted: 'skip', retry: { attempts: 1 } })
      @UseGuards(new Closed())
      onInsert(): void {
        throw new Error('called');
      }
    }
    const { listener, logs } = await boot([
      { provide: 'orders', useClass: Orders },
      { provide: 'others', useFactory: () => new Others() },
    ]);
    await listener.emit(order(1));
    expect(logs.lines.filter((line) => line.includes('The guard Closed refuses it'))).toHaveLength(2);
  });
});
