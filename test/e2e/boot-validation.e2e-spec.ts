import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Module, Scope, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  DuplicateAppError,
  getPgListenerToken,
  HandlerDefinitionError,
  InjectChanges,
  LifecycleError,
  OnTableChange,
  OnLogicalMessage,
  OnTransaction,
  PgListenerConfigError,
  PgListenerModule,
  TablePatternError,
  UnknownAppError,
  type Change,
} from 'nestjs-pg-listener';
import { insert, TestPgListener } from 'nestjs-pg-listener/testing';
import { LogCollector, recorderOf, startApplication, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const OFF = { connection: 'postgresql://u:hunter2@no-such-host.invalid/none', slot: 'nowhere', autoStart: false };

@Injectable()
class OrdersHandler {
  static seen: number[] = [];
  @OnTableChange('orders', 'insert')
  onCreated(change: Change): void {
    OrdersHandler.seen.push(change.index);
  }
}

describe('at boot', () => {
  const opened: { close(): Promise<unknown> }[] = [];
  const logs = new LogCollector();

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    OrdersHandler.seen = [];
  });

  async function boot(
    imports: (DynamicModule | Type)[],
    providers: Provider[] = [],
    controllers: Type[] = [],
  ): Promise<TestingModule> {
    const module = await Test.createTestingModule({ imports, providers, controllers }).setLogger(logs).compile();
    await module.init();
    // Nest 11 rejects again at the close of what has not initialised; nothing is open then.
    opened.push(module);
    return module;
  }

  /** Boots with a listener that the test can feed. */
  async function bootFed(
    providers: Provider[],
    imports: Type[] = [],
    controllers: Type[] = [],
  ): Promise<TestPgListener> {
    const listener = new TestPgListener();
    const module = await Test.createTestingModule({
      imports: [PgListenerModule.forRoot(OFF), ...imports],
      providers,
      controllers,
    })
      .overrideProvider(getPgListenerToken())
      .useValue(listener)
      .setLogger(logs)
      .compile();
    await module.init();
    opened.push(module);
    await listener.start();
    return listener;
  }

  async function failure<E extends Error>(
    kind: abstract new (...args: any[]) => E,
    booting: Promise<unknown>,
  ): Promise<E> {
    const outcome = await booting.catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(kind);
    return outcome as E;
  }

  it('an unknown app in a decorator is a mistake that names the place and the apps that there are', async () => {
    @Injectable()
    class Lost {
      @OnTableChange('orders', 'insert', { app: 'billing' })
      onCreated(): void {}
    }
    const { mistakes } = await failure(HandlerDefinitionError, boot([PgListenerModule.forRoot(OFF)], [Lost]));
    expect(mistakes).toEqual([
      'Lost.onCreated (module RootTestModule) belongs to the app "billing", which no forRoot registers (registered: "default")',
    ]);
  });

  it('a duplicate id names both handlers; the same id in two apps is none', async () => {
    @Injectable()
    class Twins {
      @OnTableChange('orders', 'insert', { id: 'twin' })
      a(): void {}
      @OnTableChange('orders', 'delete', { id: 'twin' })
      b(): void {}
      @OnTableChange('orders', 'delete', { id: 'twin', app: 'billing' })
      c(): void {}
    }
    const roots = [
      PgListenerModule.forRoot(OFF),
      PgListenerModule.forRoot({ ...OFF, name: 'billing', slot: 'billing' }),
    ];
    const { mistakes } = await failure(HandlerDefinitionError, boot(roots, [Twins]));
    expect(mistakes).toEqual([
      'Twins.b (module RootTestModule) and Twins.a (module RootTestModule) have one id, "twin": give one of them an `id`',
    ]);
  });

  it('a second forRoot of one name fails, and so do two apps that share a slot', async () => {
    const other = { ...OFF, slot: 'other' };
    const twice = boot([PgListenerModule.forRoot(OFF), PgListenerModule.forRoot(other)]);
    expect((await failure(DuplicateAppError, twice)).message).toContain('the app "default"');
    const named = (name: string): DynamicModule => PgListenerModule.forRoot({ ...OFF, name });
    await failure(DuplicateAppError, boot([named('billing'), named('billing')]));
    const shared = await failure(PgListenerConfigError, boot([PgListenerModule.forRoot(OFF), named('billing')]));
    expect(shared.faults).toEqual([
      { path: 'slot', problem: 'is that of the app "default" on the same server; each app needs a slot of its own' },
    ]);
  });

  it('one forRoot that several modules import is one app', async () => {
    const root = PgListenerModule.forRoot(OFF);
    @Module({ imports: [root] })
    class A {}
    @Module({ imports: [root] })
    class B {}
    await boot([A, B]);
  });

  it.each(['name', 'isGlobal'])(
    'a factory that returns `%s` fails: it is needed before the factory runs',
    async (key) => {
      const factory = PgListenerModule.forRootAsync({ useFactory: () => ({ ...OFF, [key]: 'billing' }) as never });
      const { faults } = await failure(PgListenerConfigError, boot([factory]));
      expect(faults).toEqual([{ path: key, problem: expect.stringContaining('belongs beside the factory') }]);
    },
  );

  it('a factory that returns nothing, or is none, fails with the app’s name', async () => {
    const nothing = PgListenerModule.forRootAsync({ name: 'billing', useFactory: () => undefined as never });
    expect((await failure(PgListenerConfigError, boot([nothing]))).message).toContain('"billing"');
    expect(() => PgListenerModule.forRootAsync({})).toThrow(PgListenerConfigError);
  });

  it('every bad option is told at once, with its path and kind, and no value', async () => {
    const options = {
      connection: 'hunter2',
      slot: 'Shop!',
      limits: { changes: 'x' },
      subscription: ['orders'],
    } as never;
    const error = await failure(PgListenerConfigError, boot([PgListenerModule.forRoot(options)]));
    expect(error.faults.map(({ path }) => path)).toEqual(['subscription', 'connection', 'slot', 'limits.changes']);
    expect(error.message).not.toContain('hunter2');
  });

  it('an unknown id in `handlers` is a mistake that lists the ids that there are', async () => {
    const root = PgListenerModule.forRoot({ ...OFF, handlers: { 'OrdersHandler.onCreate': { enabled: false } } });
    const { mistakes } = await failure(HandlerDefinitionError, boot([root], [OrdersHandler]));
    expect(mistakes).toEqual([
      'options.handlers of app "default" names "OrdersHandler.onCreate", but its handlers are: OrdersHandler.onCreated',
    ]);
  });

  it('every mistake of every handler is told in one error', async () => {
    @Injectable()
    class Wrong {
      @OnTableChange('orders', 'insert', { whenChanged: ['id'] })
      a(): void {}
      @OnTableChange('orders', 'insert', { transactional: 'yes' } as never)
      effects(): void {}
      @OnTransaction({ onExhausted: 'park' })
      whole(): void {}
      @OnTableChange('orders', 'insert', { batch: { size: 0 }, concurrency: 0.5 })
      many(): void {}
      @OnLogicalMessage('outbox', { concurrency: 4, onExhausted: 'drop' } as never)
      message(): void {}
      @OnTableChange('!orders', 'insert', { retry: { attempts: 0 } })
      b(): void {}
      @OnTableChange('orders', 'upsert' as never)
      c(): void {}
      @OnTableChange(class Order {}, 'insert')
      d(): void {}
    }
    const { mistakes } = await failure(HandlerDefinitionError, boot([PgListenerModule.forRoot(OFF)], [Wrong]));
    for (const [index, part] of [
      '`whenChanged`',
      'transactional is',
      "onExhausted 'park'",
      'concurrency is 0.5',
      'batch.size is 0',
      'onExhausted is another string',
      '`concurrency`',
      'retry.attempts',
      'excludes only',
      "'upsert'",
      'the class Order',
    ].entries()) {
      expect(mistakes[index]).toContain(part);
    }
  });

  it('a transient handler is a mistake', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Direct {
      @OnTableChange('orders', 'insert')
      onCreated(): void {}
    }
    const { mistakes } = await failure(HandlerDefinitionError, boot([PgListenerModule.forRoot(OFF)], [Direct]));
    expect(mistakes).toEqual([expect.stringMatching(/^Direct.onCreated .* is transient; use Scope\.REQUEST/)]);
  });

  it('one class that two modules provide is a mistake: each change would be handled twice', async () => {
    @Module({ providers: [OrdersHandler] })
    class A {}
    @Module({ providers: [OrdersHandler] })
    class B {}
    const { mistakes } = await failure(HandlerDefinitionError, boot([PgListenerModule.forRoot(OFF), A, B]));
    expect(mistakes).toEqual([
      'OrdersHandler.onCreated (module B) and OrdersHandler.onCreated (module A) have one id, "OrdersHandler.onCreated": ' +
        'the class is provided twice, and each change would be handled twice. Provide it in one module and export it there',
    ]);
  });

  it('one class under two tokens of one module is the same mistake', async () => {
    const other = { provide: 'OTHER', useClass: OrdersHandler };
    const { message } = await failure(
      HandlerDefinitionError,
      boot([PgListenerModule.forRoot(OFF)], [OrdersHandler, other]),
    );
    expect(message).toContain('the class is provided twice');
  });

  it('one object under several tokens is one handler: useExisting, a factory that hands it on, and an export', async () => {
    @Module({ providers: [OrdersHandler], exports: [OrdersHandler] })
    class Orders {}
    @Module({ imports: [Orders] })
    class Other {}
    const listener = await bootFed(
      [
        { provide: 'ALIAS', useExisting: OrdersHandler },
        { provide: 'HANDED_ON', inject: [OrdersHandler], useFactory: (handler: OrdersHandler) => handler },
      ],
      [Orders, Other],
    );
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['OrdersHandler.onCreated']);
    expect(OrdersHandler.seen).toEqual([0]);
  });

  it('handlers are found in controllers, factories, values and base classes', async () => {
    class Base {
      @OnTableChange('orders', 'insert')
      inherited(): void {}
    }
    @Controller()
    class Web extends Base {}
    class Made extends Base {}
    class Value extends Base {}
    const listener = await bootFed(
      [
        { provide: 'MADE', useFactory: () => new Made() },
        { provide: 'VALUE', useValue: new Value() },
      ],
      [],
      [Web],
    );
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual([
      'Made.inherited',
      'Value.inherited',
      'Web.inherited',
    ]);
  });

  it('a method that the constructor binds, or that a test spies on, is the handler that it was', async () => {
    const calls: unknown[] = [];
    @Injectable()
    class Bound {
      constructor() {
        this.onCreated = this.onCreated.bind(this);
      }
      @OnTableChange('orders', 'insert')
      onCreated(): void {
        calls.push(this instanceof Bound);
      }
    }
    const handler = new Bound();
    const early = jest.spyOn(handler, 'onCreated');
    const listener = await bootFed([{ provide: Bound, useValue: handler }]);
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['Bound.onCreated']);
    expect([early.mock.calls.length, calls]).toEqual([1, [true]]);
    early.mockRestore();
    const late = jest.spyOn(handler, 'onCreated').mockImplementation(() => undefined);
    await listener.emit(insert('orders', { id: 2 }));
    expect([late.mock.calls.length, calls.length]).toEqual([1, 1]);
  });

  it('a decorator that puts its own function in the place of the handler is called, above or below, and so is a spy', async () => {
    const traced: string[] = [];
    const Wrapped: MethodDecorator = (_target, key, descriptor: PropertyDescriptor) => {
      const method = descriptor.value as () => void;
      descriptor.value = function (this: unknown) {
        traced.push(String(key));
        return method.call(this);
      };
    };
    @Injectable()
    class Traced {
      @Wrapped
      @OnTableChange('orders', 'insert')
      above(): void {}
      @OnTableChange('orders', 'insert')
      @Wrapped
      below(): void {}
    }
    const spy = jest.spyOn(Traced.prototype, 'below');
    const listener = await bootFed([Traced]);
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['Traced.above', 'Traced.below']);
    expect([traced, spy.mock.calls.length]).toEqual([['above', 'below'], 1]);
    spy.mockRestore();
  });

  it('an override is a handler where it is decorated itself, as everywhere in Nest', async () => {
    class Base {
      @OnTableChange('orders', 'insert')
      onCreated(): void {}
    }
    @Injectable()
    class Silent extends Base {
      override onCreated(): void {}
    }
    @Injectable()
    class Loud extends Base {
      @OnTableChange('orders', 'insert')
      override onCreated(): void {}
    }
    const listener = await bootFed([Silent, Loud]);
    expect(await listener.emit(insert('orders', { id: 1 }))).toEqual(['Loud.onCreated']);
  });

  it('options that no handler has, or of another kind, are mistakes', async () => {
    @Injectable()
    class Wrong {
      @OnTableChange('orders', 'insert', { retries: 3 } as never)
      a(): void {}
      @OnTableChange('orders', 'insert', { enabled: 'false' as never, id: '' })
      b(): void {}
      @OnTransaction()
      c(): void {}
    }
    const root = PgListenerModule.forRoot({ ...OFF, handlers: { 'Wrong.c': { tables: ['orders'] } } });
    const { mistakes } = await failure(HandlerDefinitionError, boot([root], [Wrong]));
    expect(mistakes).toEqual([
      expect.stringMatching(/^Wrong.a .* has an invalid option: retries is no option here; known are id, app/),
      expect.stringMatching(/^Wrong.b .* has an invalid option: enabled is a string; true or false is wanted$/),
      expect.stringMatching(/^Wrong.b .* has an invalid option: id is an empty string; a name is wanted$/),
      'options.handlers of app "default" gives tables or operations to "Wrong.c", which is no @OnTableChange',
    ]);
  });

  it('a decorator on what Nest would never find says so at once', () => {
    expect(() => {
      class Static {
        @OnTableChange('orders', 'insert')
        static onCreated(): void {}
      }
      return Static;
    }).toThrow(/Static.onCreated is static; handlers are methods of instances/);
    expect(() =>
      OnTableChange('orders', 'insert')({ constructor: class Fields {} }, 'onCreated', undefined as never),
    ).toThrow(/Fields.onCreated is no method/);
    expect(() => {
      class Hidden {
        @OnTableChange('orders', 'insert')
        [Symbol('onCreated')](): void {}
      }
      return Hidden;
    }).toThrow(/has a symbol for a name/);
  });

  it.each([[undefined], [null], [7], [{}], [['orders', undefined]]])('a decorator of %p says so at once', (tables) => {
    expect(() => OnTableChange(tables as never)(class Orders {}.prototype, 'on', { value: () => undefined })).toThrow(
      /Orders.on names a table by (undefined|null|number|object); a name, a pattern or table<Row>\(name\) is wanted/,
    );
  });

  it('forFeature of an unknown app fails; of an unreadable table too', async () => {
    await failure(
      UnknownAppError,
      boot([PgListenerModule.forRoot(OFF), PgListenerModule.forFeature('orders', 'ghost')]),
    );
    expect(() => PgListenerModule.forFeature('a.b.c')).toThrow(TablePatternError);
  });

  it('an observable that no forFeature provides is a missing dependency whose name says what to import', async () => {
    @Injectable()
    class Feed {
      constructor(@InjectChanges('orders') readonly orders$: unknown) {}
    }
    const booting = boot([PgListenerModule.forRoot(OFF)], [Feed]);
    await expect(booting).rejects.toThrow(/Changes\(public.orders\) of PgListenerModule.forFeature, app "default"/);
  });

  it('forFeature in a lazily loaded module throws, as its hooks would never run', async () => {
    const module = await boot([PgListenerModule.forRoot(OFF)]);
    @Module({ imports: [PgListenerModule.forFeature('orders')] })
    class Late {}
    const error = await failure(
      LifecycleError,
      module.get(LazyModuleLoader).load(() => Late),
    );
    expect(error.message).toContain('import it in a module that is loaded at boot');
  });
});

describe('at boot, with a server', () => {
  let db: TestDatabase;
  const opened: TestApplication[] = [];

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
  });
  afterAll(() => db?.drop());

  it('the same forFeature in ten modules is one subscription', async () => {
    const modules = Array.from({ length: 10 }, (_, index) => {
      const each = { [`Feature${index}`]: class {} }[`Feature${index}`]!;
      Module({ imports: [PgListenerModule.forFeature(['orders', 'public.orders'])] })(each);
      return each;
    });
    const app = await startApplication({ connection: db.url, slot: db.slot('ten') }, [], modules);
    opened.push(app);
    const tables = await db.query('SELECT tablename FROM pg_publication_tables WHERE pubname = $1', [
      `pg_listener_${db.slot('ten')}`,
    ]);
    expect(tables).toEqual([{ tablename: 'orders' }]);
  });

  it('publications that give a table different column lists are a mistake: the server would refuse to send it', async () => {
    const [{ version }] = await db.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::int AS version`,
    );
    if (version < 150_000) return console.log('Not here: this server has no column lists');
    await db.query('CREATE TABLE narrow (id int PRIMARY KEY, note text, price int)');
    await db.query('CREATE PUBLICATION one FOR TABLE narrow (id, note)');
    await db.query('CREATE PUBLICATION two FOR TABLE narrow');
    const options = { connection: db.url, slot: db.slot('narrow') };
    const booting = startApplication({ ...options, publications: ['one', 'two'] }, [recorderOf('narrow')]);
    await expect(booting).rejects.toThrow(/give public.narrow different column lists/);
    opened.push(await startApplication({ ...options, publications: ['one'] }, [recorderOf('narrow')]));
  });

  it('a pattern that matches nothing is a warning which names the handler: a table may come later', async () => {
    const app = await startApplication({ connection: db.url, slot: db.slot('later') }, [recorderOf('audit.*')]);
    opened.push(app);
    expect(app.listener.status.state).toBe('streaming');
    expect(app.logs.find('warn No table matches what Recorder.record listens to')).toBeDefined();
  });
});
