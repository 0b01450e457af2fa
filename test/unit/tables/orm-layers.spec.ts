import 'reflect-metadata';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Inject,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { bigint, integer, pgTable } from 'drizzle-orm/pg-core';
import {
  OnTableChange,
  type DeleteChange,
  type InsertChange,
  type StandardSchemaV1,
  type TransactionAdapter,
  type TransactionContext,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { insert, pgListenerMatchers, remove, update, type HandlerOutcome } from 'nestjs-pg-listener/testing';
import type { ClientBase } from 'pg';
import { of } from 'rxjs';
import { ChildEntity, Column, Entity, PrimaryColumn, TableInheritance } from 'typeorm';
import { z } from 'zod';
import { EnhancedApplications, type EnhancedApplication } from '../enhancers/enhanced-application.js';

const orders = pgTable('orders', {
  id: integer('order_id').primaryKey(),
  cents: bigint('total_cents', { mode: 'bigint' }).notNull(),
});
type Order = typeof orders.$inferSelect;
const row = (id: number, cents: string) => ({ order_id: id, total_cents: cents });

const Checked = z.object({ id: z.number(), cents: z.bigint().positive() }).transform((order) => {
  return { ...order, isLarge: order.cents > 100n };
});
type Checked = z.output<typeof Checked>;

/** An adapter that has no need of a database. */
const counting = (): TransactionAdapter<{ readonly entered: number }> & { count: number } => ({
  name: 'counting',
  count: 0,
  bind() {
    return { enter: () => ({ entered: ++this.count }) };
  },
});
interface Entered {
  readonly entered: number;
  readonly attempt: number;
}

describe('a handler that has an ORM, a schema and enhancers', () => {
  const apps = new EnhancedApplications();
  const boot = async (providers: Provider[]): Promise<EnhancedApplication> => {
    const application = await apps.boot(providers);
    application.listener.useClient({} as ClientBase);
    return application;
  };
  afterEach(() => apps.close());

  it('has them from without to within: transaction, mapping, schema, guard, interceptor, pipe', async () => {
    const seen: unknown[] = [];
    const look = (who: string, change: unknown, entered?: unknown): void => {
      const { record } = change as InsertChange<Checked>;
      seen.push([who, record.isLarge, ...(entered === undefined ? [] : [entered])]);
    };
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const [change, { entered }] = context.getArgs<[unknown, Entered]>();
        look('guard', change, entered);
        return true;
      }
    }
    class Interceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
        look('interceptor', context.getArgs()[0]);
        return next.handle();
      }
    }
    class Pipe implements PipeTransform {
      transform(value: unknown): unknown {
        look('pipe', value);
        return value;
      }
    }
    const adapter = counting();
    @Injectable()
    class Orders {
      @OnTableChange(orders, ['insert', 'update', 'delete'], { mapped: true, schema: Checked, transactional: adapter })
      @UseGuards(new Guard())
      @UseInterceptors(new Interceptor())
      @UsePipes(new Pipe())
      order(change: InsertChange<Checked> | UpdateChange<Checked> | DeleteChange<Order>, { entered }: Entered): void {
        if (change.operation === 'delete') seen.push(['method', change.oldRecord]);
        else seen.push(['method', change.record, change.toJSON()['record'], entered]);
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(insert(orders, row(1, '120')));
    const made = { id: 1, cents: 120n, isLarge: true };
    expect(seen.splice(0)).toEqual([
      ['guard', true, 1],
      ['interceptor', true],
      ['pipe', true],
      ['method', made, { ...made, cents: '120' }, 1],
    ]);
    await listener.emit(update(orders, row(1, '20'), row(1, '120')));
    expect(seen.splice(0).at(-1)).toEqual([
      'method',
      { id: 1, cents: 20n, isLarge: false },
      { id: 1, cents: '20', isLarge: false },
      2,
    ]);
  });

  it('fails by a row that does not fit once, in the names of the properties; the filter is not asked', async () => {
    const seen: unknown[] = [];
    @Catch()
    class Everything implements ExceptionFilter {
      catch(error: Error): void {
        seen.push(error.message);
      }
    }
    @Injectable()
    @UseFilters(new Everything())
    class Orders {
      @OnTableChange(orders, 'insert', {
        mapped: true,
        schema: Checked,
        onExhausted: 'skip',
        retry: { attempts: 5 },
        transactional: counting(),
      })
      order({ record }: InsertChange<Checked>): void {
        if (record.id === 2) throw new Error('caught');
        seen.push(record.id);
      }
    }
    const { listener, logs } = await boot([Orders]);
    await listener.emit(insert(orders, row(1, '-1')), insert(orders, row(2, '1')), insert(orders, row(3, '1')));
    expect(seen).toEqual(['caught', 3]);
    expect(logs.find(/Orders\.order failed .* \(attempt 1\): A row of public\.orders .* schema: cents/)).toBeDefined();
    expect(listener.stats()).toMatchObject({ failures: 1, skipped: 1 });
    const { journal } = listener;
    expect(journal.find('skipped', orders, { record: { total_cents: '-1' }, error: /does not fit/ })).toHaveLength(1);
    expect(journal.find('handled', orders)).toHaveLength(2);
    expect.extend(pgListenerMatchers);
    expect(listener).toHaveHandled(orders, { record: { order_id: 3 }, times: 1 });
    expect(listener).not.toHaveHandled(orders, { record: { order_id: 9 } });
  });

  it('is refused by its guard at each attempt, each in a transaction of its own', async () => {
    const adapter = counting();
    const entered: number[] = [];
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const { entered: number, attempt } = context.getArgs<[unknown, Entered]>()[1];
        entered.push(number);
        return attempt === 3;
      }
    }
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @OnTableChange(orders, 'insert', { mapped: true, transactional: adapter, retry: { attempts: 3 } })
      @UseGuards(new Guard())
      order({ record }: InsertChange<Order>, context: Entered): void {
        seen.push([record.cents, context.entered]);
      }
    }
    const { listener, logs } = await boot([Orders]);
    await listener.emit(insert(orders, row(1, '5')));
    expect([entered, seen]).toEqual([[1, 2, 3], [[5n, 3]]]);
    expect(logs.find(/The guard Guard refuses it/)).toBeDefined();
    expect(listener.journal.find('retried', 'orders', { error: 'Guard refuses' })).toHaveLength(2);
  });

  it('may be request-scoped; a spy in the place of its method is called within all of it', async () => {
    const seen: unknown[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      readonly number = ++made;
      constructor(@Inject(REQUEST) readonly transaction: TransactionContext) {}
      @OnTableChange(orders, 'insert', { mapped: true, schema: Checked, transactional: counting() })
      order({ record }: InsertChange<Checked>, { entered }: Entered): void {
        seen.push([this.number, this.transaction.lsn !== '', record.isLarge, entered]);
      }
    }
    const { listener } = await boot([Orders]);
    await listener.emit(insert(orders, row(1, '500')), insert(orders, row(2, '5')));
    await listener.emit(insert(orders, row(3, '500')));
    expect(seen).toEqual([
      [1, true, true, 1],
      [1, true, false, 2],
      [2, true, true, 3],
    ]);

    @Injectable()
    class Spied {
      @OnTableChange(orders, 'insert', { mapped: true, schema: Checked, transactional: counting() })
      order(change: InsertChange<Checked>, context: Entered): unknown {
        return [change, context];
      }
    }
    const other = await boot([Spied]);
    Object.defineProperty(other.module.get(Spied), 'order', {
      value: ({ record }: InsertChange<Checked>, { entered }: Entered) => seen.push([record, entered]),
    });
    await other.listener.emit(insert(orders, row(4, '7')));
    expect(seen.at(-1)).toEqual([{ id: 4, cents: 7n, isLarge: false }, 1]);
  });
});

@Entity('animals')
@TableInheritance({ column: { name: 'kind', type: 'text' } })
class Animal {
  @PrimaryColumn('int', { name: 'animal_id' })
  id!: number;
}
@ChildEntity()
class Dog extends Animal {
  @Column('text', { name: 'bark' })
  voice!: string;
}

describe('rows of other classes', () => {
  const apps = new EnhancedApplications();
  afterEach(() => apps.close());
  const dog = (id: number, bark: string | null) => insert('animals', { animal_id: id, kind: 'Dog', bark });
  const cat = (id: number) => insert('animals', { animal_id: id, kind: 'Cat', bark: null });

  it('do not have to fit the schema, and have their places in what an array says', async () => {
    const { DataSource } = await import('typeorm');
    const source = new DataSource({ type: 'postgres', entities: [Animal, Dog] });
    await (source as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
    const seen: unknown[] = [];
    const schema = z.object({ id: z.number(), voice: z.string() });
    const copies: unknown[] = [];
    const copying: StandardSchemaV1<Dog, Dog> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (dog) => ({ value: Object.assign(Object.create(Dog.prototype) as Dog, dog) }),
      },
    };
    @Injectable()
    class Dogs {
      @OnTableChange(Dog, 'insert', { mapped: true, schema, onExhausted: 'skip' })
      one({ record }: InsertChange<z.output<typeof schema>>): void {
        seen.push(record);
      }
      @OnTableChange(Dog, 'insert', {
        mapped: true,
        schema,
        onExhausted: 'skip',
        retry: { attempts: 1 },
        batch: { size: 9, maxWaitMs: 100 },
      })
      many(changes: readonly InsertChange<z.output<typeof schema>>[]): unknown {
        seen.push(changes.map(({ record: { id } }) => id));
        const says = (id: number): unknown =>
          id === 3 ? { status: 'rejected', reason: new Error('no 3') } : undefined;
        return of(changes.map(({ record }) => says(record.id)));
      }
      @OnTableChange(Dog, 'insert', {
        id: 'plain',
        mapped: true,
        onExhausted: 'skip',
        retry: { attempts: 1 },
        batch: { size: 9, maxWaitMs: 100 },
      })
      plain(changes: readonly InsertChange<Dog>[]): unknown {
        const failed = { status: 'rejected', reason: new Error('no 3') };
        return of(changes.map(({ record }) => (record.id === 3 ? failed : undefined)));
      }
      @OnTableChange(Dog, ['insert', 'update'], { id: 'copies', mapped: true, schema: copying, onExhausted: 'skip' })
      copy(change: InsertChange<Dog> | UpdateChange<Dog>): void {
        const { record } = change.toJSON() as { record: object };
        copies.push([change.record instanceof Dog, Object.getPrototypeOf(record) === Object.prototype]);
      }
      @OnTableChange(Dog, 'delete', { mapped: true })
      gone({ oldRecord }: DeleteChange<Dog>): void {
        seen.push(['gone', oldRecord]);
      }
    }
    const { listener } = await apps.boot([{ provide: DataSource, useValue: source }, Dogs]);
    await listener.emit(
      cat(1),
      dog(2, 'woof'),
      dog(3, 'wau'),
      dog(4, null),
      cat(5),
      remove('animals', { animal_id: 2 }),
    );
    expect(seen).toEqual([
      { id: 2, voice: 'woof' },
      { id: 3, voice: 'wau' },
      ['gone', Object.assign(Object.create(Dog.prototype) as Dog, { id: 2 })],
      [2, 3],
      // Alone, as whatever fails for good in an array.
      [3],
    ]);
    const found = (outcome: HandlerOutcome): unknown[] =>
      listener.journal
        .find(outcome)
        .map(({ handler, subject }) => [handler, (subject as InsertChange).record['animal_id']]);
    expect(found('retried')).toEqual([
      ['Dogs.many', 3],
      ['Dogs.many', 4],
    ]);
    // Whose turn it is among arrays is a matter of time.
    expect(found('skipped').sort()).toEqual([
      ['Dogs.many', 3],
      ['Dogs.many', 4],
      ['Dogs.one', 4],
      ['plain', 3],
    ]);
    await listener.emit(update('animals', { animal_id: 2, kind: 'Dog', bark: 'wuff' }));
    expect(copies).toEqual([...Array(4)].map(() => [true, true]));
  });
});
