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
import { retry, timeout, timer, type Observable } from 'rxjs';
import { mergeMap } from 'rxjs/operators';
import {
  OnSchemaChange,
  OnTableChange,
  type InsertChange,
  type PgListenerContext,
  type SchemaChange,
  type TransactionalContext,
  type TransactionContext,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { z } from 'zod';
import { TestApplications } from '../support/application.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
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

  it('an interceptor that gives up a transactional call takes back what it wrote; one that repeats it keeps it', async () => {
    await db.query('TRUNCATE orders, totals');
    const late: Promise<unknown>[] = [];
    const attempts: string[] = [];
    const by = (intercept: NestInterceptor['intercept']): NestInterceptor => ({ intercept });
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', { transactional: true, retry: RETRY })
      @UseInterceptors(by((_, next) => next.handle().pipe(timeout(1_000))))
      async onInsert({ record }: InsertChange<Order>, { client, attempt }: TransactionalContext): Promise<void> {
        attempts.push(`insert ${attempt}`);
        await client.query('INSERT INTO totals VALUES ($1, $2)', [record.id, attempt]);
        if (attempt > 1) return;
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        const write = Promise.resolve().then(() => client.query('INSERT INTO totals VALUES (100, 1)'));
        late.push(write.then(String, (error: Error) => error.message));
      }
      @OnTableChange('orders', 'update', { transactional: true, retry: RETRY })
      @UseInterceptors(by((_, next) => next.handle().pipe(retry(1))))
      async onUpdate({ record }: UpdateChange<Order>, { client, attempt }: TransactionalContext): Promise<void> {
        attempts.push(`update ${attempt}`);
        await client.query('INSERT INTO totals VALUES ($1, 0)', [record.id * 10 + attempts.length]);
        if (attempts.length < 4) throw new Error('once more');
      }
    }
    await apps.start({ connection: db.url, slot: 'enhancers_timeout' }, [Orders]);
    await db.query(`INSERT INTO orders VALUES (1, '1')`);
    await waitFor(() => late.length === 1, 'the call that is late');
    await db.query(`UPDATE orders SET total = '2'`);
    const ids = async () =>
      (await db.query('SELECT id, total FROM totals ORDER BY id')).map((row) => Object.values(row));
    await waitFor(async () => (await ids()).length === 3, 'what is written');
    expect(await ids()).toEqual([
      [1, 2],
      [13, 0],
      [14, 0],
    ]);
    expect(attempts).toEqual(['insert 1', 'insert 2', 'update 1', 'update 1']);
    expect(await late[0]).toContain('after its call is over');
  });

  it('what has the key of a row that does not fit waits behind it, also within an array', async () => {
    await db.query('TRUNCATE orders');
    const seen: unknown[] = [];
    let isStrict = true;
    const schema = z.object({ id: z.number(), total: z.string().refine((text) => !isStrict || text !== 'bad') });
    @Injectable()
    class Orders {
      @OnTableChange('orders', 'insert', {
        schema,
        onExhausted: 'park',
        batch: { size: 10, maxWaitMs: 200 },
        retry: RETRY,
      })
      onInserts(changes: readonly InsertChange<z.output<typeof schema>>[]): void {
        seen.push(changes.map(({ record }) => record.id));
      }
      @OnTableChange('orders', 'update', {
        schema,
        onExhausted: 'park',
        batch: { size: 10, maxWaitMs: 200 },
        retry: RETRY,
      })
      onUpdates(changes: readonly UpdateChange<z.output<typeof schema>>[]): void {
        seen.push(changes.map(({ record }) => `${record.id} ${record.total}`));
      }
    }
    const app = await apps.start({ connection: db.url, slot: 'enhancers_arrays' }, [Orders]);
    await db.query(`INSERT INTO orders SELECT id, 'new' FROM generate_series(1, 3) id`);
    await waitFor(() => seen.length === 1, 'the rows');
    await db.query(`BEGIN; UPDATE orders SET total = 'good' WHERE id = 1; UPDATE orders SET total = 'bad' WHERE id = 2;
      UPDATE orders SET total = 'better' WHERE id = 2; UPDATE orders SET total = 'good' WHERE id = 3; COMMIT`);
    await waitFor(
      () => app.listener.stats().parked === 2 && seen.length === 3,
      'the one that does not fit, and its next',
    );
    isStrict = false;
    expect(await app.listener.parked.retry()).toMatchObject({ handled: 2 });
    expect(seen).toEqual([[1, 2, 3], ['1 good'], ['3 good'], ['2 bad'], ['2 better']]);
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

  it('a schema gets large values that were read again, and a scope a transaction that came in parts', async () => {
    await db.query(`CREATE TABLE articles (id int PRIMARY KEY, body text, seen int);
      ALTER TABLE articles ALTER body SET STORAGE EXTERNAL;
      INSERT INTO articles SELECT i, repeat('x', 4000), 0 FROM generate_series(1, 200) i`);
    const Article = z.object({ id: z.number(), body: z.string().transform((text) => text.length), seen: z.number() });
    const units = new Map<number, number>();
    const seen: unknown[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Articles {
      private readonly number = ++made;
      @OnTableChange('articles', 'update', { schema: Article, retry: RETRY, onExhausted: 'halt' })
      onUpdate({ record, rereadToast }: UpdateChange<z.output<typeof Article>>): void {
        units.set(this.number, (units.get(this.number) ?? 0) + 1);
        if (record.id === 1) seen.push([record.body, rereadToast]);
      }
      @OnSchemaChange('articles')
      onAltered({ differences }: SchemaChange): void {
        seen.push([this.number, differences.map(({ kind }) => kind)]);
      }
    }
    const options = {
      connection: `${db.url}?options=-c%20logical_decoding_work_mem%3D64kB`,
      slot: 'enhancers_parts',
      streaming: true,
      toast: 'reread',
    } as const;
    await apps.start(options, [Articles]);
    await db.query(`UPDATE articles SET seen = 1 WHERE id = 1`);
    await waitFor(() => seen.length === 1, 'the first');
    await db.query(`ALTER TABLE articles ADD note text`);
    await withClient(db.url, async (client) => {
      await client.query('BEGIN');
      for (let seenAt = 2; seenAt <= 6; seenAt++) await client.query('UPDATE articles SET seen = $1', [seenAt]);
      await client.query('COMMIT');
    });
    await waitFor(
      () => units.get(2) === 1000,
      () => `all of it: ${JSON.stringify([...units])}`,
      20_000,
    );
    expect(seen.slice(0, 3)).toEqual([
      [4000, ['body']],
      [2, ['column-added']],
      [4000, ['body']],
    ]);
    expect([...units]).toEqual([
      [1, 1],
      [2, 1000],
    ]);
    const parts = () =>
      db.query(
        `SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = 'enhancers_parts' AND stream_txns > 0`,
      );
    await waitFor(async () => (await parts()).length === 1, 'the server to say that it has sent parts');
  });
});
