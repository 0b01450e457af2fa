import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Inject,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { timer, type Observable } from 'rxjs';
import { mergeMap } from 'rxjs/operators';
import {
  OnTableChange,
  type InsertChange,
  type PgListenerContext,
  type TransactionalContext,
  type TransactionContext,
} from 'nestjs-pg-listener';
import { z } from 'zod';
import { TestApplications } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

const RETRY = { attempts: 2, minDelayMs: 1, maxDelayMs: 5 };
const ORDER = z.object({ id: z.number(), total: z.string().transform(Number).pipe(z.number()) });
type Order = z.output<typeof ORDER>;

describe('enhancers on a server', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, total text)');
    await db.query('CREATE TABLE totals (id int PRIMARY KEY, total float8, unit int)');
  });
  afterEach(() => apps.close());
  afterAll(() => db?.drop());

  it('a change that a guard refuses is parked, and handled when it lets it pass', async () => {
    const handled: number[] = [];
    @Injectable()
    class Gate implements CanActivate {
      static isOpen = false;
      canActivate(context: ExecutionContext): boolean {
        return Gate.isOpen || context.getArgs<[InsertChange<Order>]>()[0].record.id !== 1;
      }
    }
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { onExhausted: 'park', retry: RETRY })
      @UseGuards(Gate)
      onInsert(change: InsertChange<Order>): void {
        handled.push(change.record.id);
      }
    }
    const app = await apps.start({ connection: db.url, slot: 'enhancers_guard' }, [Orders]);
    await db.query(`INSERT INTO orders VALUES (1, '1'), (2, '2')`);
    await waitFor(() => handled.length === 1 && app.listener.stats().parked === 1, 'the one that may pass');
    expect(handled).toEqual([2]);
    const [parked] = await app.listener.parked.list();
    expect(parked!.error).toContain('The guard Gate refuses it');
    Gate.isOpen = true;
    expect(await app.listener.parked.retry()).toMatchObject({ handled: 1 });
    expect(handled).toEqual([2, 1]);
  });

  it('scope, schema, interceptor and filter work in the transaction of a transactional handler', async () => {
    await db.query('TRUNCATE orders');
    const filtered: string[] = [];
    let units = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Unit {
      readonly number = ++units;
      constructor(@Inject(REQUEST) readonly transaction: TransactionContext) {}
    }
    @Injectable()
    class Late implements NestInterceptor {
      intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
        return timer(5).pipe(mergeMap(() => next.handle()));
      }
    }
    class Unwanted extends Error {}
    @Catch(Unwanted)
    class Filter implements ExceptionFilter {
      catch(error: Error): void {
        filtered.push(error.message);
      }
    }
    @Injectable()
    @UseInterceptors(Late)
    @UseFilters(Filter)
    class Orders {
      constructor(private readonly unit: Unit) {}
      @OnTableChange('orders', 'insert', {
        transactional: true,
        schema: ORDER,
        onExhausted: 'park',
        retry: RETRY,
      })
      async onInsert({ record }: InsertChange<Order>, { client, transaction }: TransactionalContext): Promise<void> {
        if (record.id === 3) throw new Unwanted('three');
        expect(this.unit.transaction).toBe(transaction);
        await client.query('INSERT INTO totals VALUES ($1, $2, $3)', [record.id, record.total, this.unit.number]);
      }
    }
    const app = await apps.start({ connection: db.url, slot: 'enhancers_effects' }, [Unit, Orders]);
    await db.query(`INSERT INTO orders VALUES (1, '1.5'), (2, 'broken'), (3, '3')`);
    await db.query(`INSERT INTO orders VALUES (4, '4')`);
    const rows = () => db.query('SELECT id, total, unit FROM totals ORDER BY id');
    await waitFor(async () => (await rows()).length === 2 && filtered.length === 1, 'the rows');
    expect(await rows()).toEqual([
      { id: 1, total: 1.5, unit: 1 },
      { id: 4, total: 4, unit: 2 },
    ]);
    expect(filtered).toEqual(['three']);
    const [parked] = await app.listener.parked.list();
    expect(parked).toMatchObject({ attempts: 1, error: expect.stringContaining('schema: total') });
    expect(JSON.stringify(parked!.error)).not.toContain('broken');
    expect((parked!.change as InsertChange<{ total: string }>).record.total).toBe('broken');
  });

  it('a scoped handler is made anew for what comes again after a restart', async () => {
    await db.query('TRUNCATE orders');
    const seen: string[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      private readonly number = ++made;
      @OnTableChange('orders', 'insert', { retry: RETRY, onExhausted: 'halt' })
      onInsert({ record }: InsertChange<{ id: number }>, { attempt }: PgListenerContext): void {
        seen.push(`${this.number}: ${record.id} at ${attempt}`);
        if (this.number === 1) throw new Error('not in this one');
      }
    }
    const app = await apps.start({ connection: db.url, slot: 'enhancers_scopes' }, [Orders]);
    await db.query(`INSERT INTO orders VALUES (1, '1')`);
    await waitFor(() => app.listener.status.state === 'halted', 'the halt');
    await app.listener.start();
    await waitFor(() => seen.length === 3, 'the second time');
    expect(seen).toEqual(['1: 1 at 1', '1: 1 at 2', '2: 1 at 1']);
  });
});
