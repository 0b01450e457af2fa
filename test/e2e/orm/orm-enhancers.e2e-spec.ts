import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Injectable,
  Module,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { OnTableChange, SkipChange, type InsertChange, type TransactionAdapter } from 'nestjs-pg-listener';
import { drizzle, type DrizzleContext } from 'nestjs-pg-listener/drizzle';
import { typeorm, type TypeormContext } from 'nestjs-pg-listener/typeorm';
import { from, mergeMap } from 'rxjs';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { z } from 'zod';
import { TestApplications, type TestApplication } from '../../support/application.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';

@Entity('orders')
class Order {
  @PrimaryGeneratedColumn({ name: 'order_id' })
  id!: number;
  @Column('text', { name: 'sold_to' })
  soldTo!: string;
}
@Entity('booked')
class Booked {
  @PrimaryGeneratedColumn()
  seq!: number;
  @Column('int')
  id!: number;
  @Column('text')
  note!: string;
}
const booked = pgTable('booked', { id: integer().notNull(), note: text().notNull() });

type Book = (id: number, note: string) => Promise<unknown>;

const ORMS: { name: string; adapter: TransactionAdapter; bookOf: (context: any) => Book }[] = [
  {
    name: 'typeorm',
    adapter: typeorm(),
    bookOf:
      ({ manager }: TypeormContext) =>
      (id, note) =>
        manager.insert(Booked, { id, note }),
  },
  {
    name: 'drizzle',
    adapter: drizzle(),
    bookOf:
      ({ db }: DrizzleContext) =>
      (id, note) =>
        db.insert(booked).values({ id, note }),
  },
];

const Sale = z.object({
  id: z.number(),
  soldTo: z
    .string()
    .min(2)
    .transform((name) => name.toUpperCase()),
});
type Sale = z.output<typeof Sale>;
class Unsold extends Error {}

describe.each(ORMS)('enhancers in a transaction of $name', ({ adapter, bookOf }) => {
  let db: TestDatabase;
  let source: DataSource;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query(
      `CREATE TABLE orders (order_id int PRIMARY KEY, sold_to text);
       CREATE TABLE booked (seq serial PRIMARY KEY, id int, note text)`,
    );
    source = await new DataSource({ type: 'postgres', url: db.url, entities: [Order, Booked] }).initialize();
  });
  afterEach(async () => {
    await apps.close();
    await source.destroy();
    await db.drop();
  });

  function start(handlers: readonly Type[]): Promise<TestApplication> {
    class SourceModule {}
    Module({ providers: [{ provide: DataSource, useValue: source }], exports: [DataSource] })(SourceModule);
    return apps.start({ connection: db.url, slot: db.slot(), service: 'shop' }, handlers, [SourceModule]);
  }
  const sell = (...names: string[]): Promise<unknown> =>
    db.query('INSERT INTO orders SELECT n, name FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n)', [names]);
  const rows = async (): Promise<string[]> =>
    (await db.query('SELECT id, note FROM booked ORDER BY seq')).map(({ id, note }) => `${id} ${note}`);
  const handled = ({ listener, logs }: TestApplication, count: number): Promise<unknown> =>
    waitFor(
      () => listener.stats().changesHandled >= count,
      () => `${count} handled: ${JSON.stringify(listener.stats())}; ${logs.lines.slice(-3).join('\n')}`,
    );

  it('what they write is committed or rolled back with what the handler writes', async () => {
    const refused = new Set([2]);
    @Injectable()
    class Guard implements CanActivate {
      async canActivate(context: ExecutionContext): Promise<boolean> {
        const [{ record }, given] = context.getArgs<[InsertChange<Sale>, object]>();
        if (record.soldTo === 'TEST') throw new SkipChange({ reason: 'a test' });
        await bookOf(given)(record.id, 'guard');
        return !refused.delete(record.id);
      }
    }
    @Injectable()
    class Interceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
        const [{ record }, given] = context.getArgs<[InsertChange<Sale>, object]>();
        return next.handle().pipe(mergeMap(() => from(bookOf(given)(record.id, 'after'))));
      }
    }
    @Catch(Unsold)
    class Filter implements ExceptionFilter {
      async catch(_: Unsold, host: ArgumentsHost): Promise<void> {
        const [{ record }, given] = host.getArgs<[InsertChange<Sale>, object]>();
        await bookOf(given)(record.id, 'filter');
      }
    }
    @Injectable()
    @UseGuards(Guard)
    @UseInterceptors(Interceptor)
    @UseFilters(Filter)
    class Orders {
      @OnTableChange(Order, 'insert', {
        mapped: true,
        schema: Sale,
        transactional: adapter,
        retry: { attempts: 2, minDelayMs: 1 },
        onExhausted: 'skip',
      })
      async handle({ record }: InsertChange<Sale>, context: object): Promise<void> {
        await bookOf(context)(record.id, record.soldTo);
        if (record.soldTo === 'NOBODY') throw new Unsold();
        if (record.soldTo === 'BROKEN') throw new Error('on purpose');
      }
    }
    const app = await start([Orders]);
    await sell('Ann', 'Bob', 'nobody', 'broken', 'x', 'test', 'Zoe');
    await handled(app, 7);
    expect(await rows()).toEqual([
      '1 guard',
      '1 ANN',
      '1 after',
      '2 guard',
      '2 BOB',
      '2 after',
      '3 guard',
      '3 NOBODY',
      '3 filter',
      '7 guard',
      '7 ZOE',
      '7 after',
    ]);
    expect(app.logs.find(/The guard Guard refuses it/)).toBeDefined();
    // One that a guard refused, one that it passed over, two attempts of one that is broken, one row that does not fit.
    expect(app.listener.stats()).toMatchObject({ failures: 5, skipped: 3, repeats: 0 });
  });

  it('request-scoped handlers have the transaction of their own call', async () => {
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      readonly number = ++made;
      private calls = 0;
      @OnTableChange(Order, 'insert', { mapped: true, transactional: adapter, retry: { minDelayMs: 1 } })
      async handle({ record }: InsertChange<Order>, context: object): Promise<void> {
        this.calls++;
        await bookOf(context)(record.id, `call ${this.calls} in scope ${this.number}`);
        if (this.calls === 1) throw new Error('once');
      }
    }
    const app = await start([Orders]);
    await sell('Ann', 'Bob');
    await handled(app, 2);
    await db.query(`INSERT INTO orders VALUES (3, 'Zoe')`);
    await handled(app, 3);
    expect(await rows()).toEqual(['1 call 2 in scope 1', '2 call 3 in scope 1', '3 call 2 in scope 2']);
  });
});
