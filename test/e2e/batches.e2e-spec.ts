import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  table,
  type BatchOptions,
  type InsertChange,
  type OnExhausted,
  type UpdateChange,
} from 'nestjs-pg-listener';
import pg from 'pg';
import { startApplication, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor, waitForCount } from '../support/wait.js';

interface Reading {
  readonly id: number;
  readonly value: number;
}
type ReadingChange = InsertChange<Reading> | UpdateChange<Reading>;

interface BatchHandlerOptions {
  readonly batch: BatchOptions;
  readonly concurrency?: number;
  readonly onExhausted?: OnExhausted;
}

/** A handler of the table `readings` that notes the sizes of its arrays. */
function batchHandler(
  options: BatchHandlerOptions,
  run: (changes: readonly ReadingChange[]) => unknown,
): Type & { sizes: number[] } {
  @Injectable()
  class ReadingsHandler {
    static readonly sizes: number[] = [];
    @OnTableChange(table<Reading>('readings'), ['insert', 'update'], {
      ...options,
      retry: { attempts: 2, minDelayMs: 5 },
    })
    handle(changes: readonly ReadingChange[]): unknown {
      ReadingsHandler.sizes.push(changes.length);
      return run(changes);
    }
  }
  return ReadingsHandler;
}

describe('arrays of changes', () => {
  let db: TestDatabase;
  let pool: pg.Pool;
  let app: TestApplication | undefined;
  beforeEach(async () => {
    db = await createDatabase();
    await db.query(`
      CREATE TABLE readings (id int PRIMARY KEY, value int NOT NULL);
      CREATE TABLE copies (seq bigserial, id int, value int);
    `);
    pool = new pg.Pool({ connectionString: db.url, max: 4 });
    pool.on('error', () => undefined);
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    await pool.end();
    await db.drop();
  });

  /** One statement for all. */
  async function copy(changes: readonly ReadingChange[]): Promise<void> {
    const ids = changes.map(({ record }) => record.id);
    const values = changes.map(({ record }) => record.value);
    await pool.query('INSERT INTO copies (id, value) SELECT * FROM unnest($1::int[], $2::int[])', [ids, values]);
  }

  const copies = async (): Promise<number> => (await db.query('SELECT count(*)::int AS n FROM copies'))[0].n;

  async function start(handler: Type): Promise<void> {
    app = await startApplication({ connection: db.url, slot: db.slot() }, [handler]);
  }

  it('copy a table with one statement for 500 rows, each row once', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((done) => (open = done));
    const handler = batchHandler({ batch: { size: 500 } }, async (changes) => {
      await gate;
      await copy(changes);
    });
    await start(handler);
    for (let part = 0; part < 20; part++) {
      await db.query(`INSERT INTO readings SELECT n, n FROM generate_series(${part * 1_000}, ${part * 1_000 + 999}) n`);
    }
    await db.query('UPDATE readings SET value = -1 WHERE id < 100');
    // As much as the app takes in: whether arrays are full must not depend on who is faster, the server or the copying.
    await waitFor(() => app!.listener.stats().pendingChanges >= 10_000, 'more than an array to wait');
    open();
    await waitForCount(copies, 20_100, () => app!.logs.lines.join('\n'));
    const [{ rows, wrong }] = await db.query(
      `SELECT count(DISTINCT c.id)::int AS rows, count(*) FILTER (WHERE c.value <> r.value)::int AS wrong
         FROM (SELECT DISTINCT ON (id) id, value FROM copies ORDER BY id, seq DESC) c JOIN readings r USING (id)`,
    );
    expect({ rows, wrong, copies: await copies() }).toEqual({ rows: 20_000, wrong: 0, copies: 20_100 });
    expect(Math.max(...handler.sizes)).toBe(500);
    console.log(`${handler.sizes.length} arrays of ${Math.min(...handler.sizes)} to 500 changes`);
    expect(handler.sizes.length).toBeLessThan(400);
  });

  it('run side by side with `concurrency`, and keep the order of each key', async () => {
    let running = 0;
    let most = 0;
    let open = (): void => undefined;
    // The first 200 rows are four arrays at least: none ends before the fourth has begun, however slowly they come.
    const gate = new Promise<void>((done) => (open = done));
    const handler = batchHandler({ batch: { size: 50 }, concurrency: 4 }, async (changes) => {
      most = Math.max(most, ++running);
      if (running === 4) open();
      await gate;
      await copy(changes);
      running--;
    });
    await start(handler);
    await db.query('INSERT INTO readings SELECT n, 1 FROM generate_series(1, 200) n');
    for (let round = 0; round < 20; round++) await db.query('UPDATE readings SET value = value + 1');
    await waitForCount(copies, 4_200, () => app!.logs.lines.join('\n'));
    const [{ wrong }] = await db.query(
      `SELECT count(*)::int AS wrong FROM (
         SELECT value <> coalesce(lag(value) OVER (PARTITION BY id ORDER BY seq), 0) + 1 AS wrong FROM copies) s WHERE wrong`,
    );
    expect(wrong).toBe(0);
    expect(most).toBe(4);
  });

  it.each<[OnExhausted, number, number]>([
    ['park', 998, 2],
    ['skip', 999, 0],
  ])('leave the one to blame behind under %s, and hand over all others', async (onExhausted, copied, parked) => {
    const refused = async (changes: readonly ReadingChange[]): Promise<void> => {
      if (changes.some(({ record }) => record.value === -1)) throw new Error('a negative value');
      await copy(changes);
    };
    await start(batchHandler({ batch: { size: 100 }, onExhausted }, refused));
    await db.query('INSERT INTO readings SELECT n, CASE n WHEN 250 THEN -1 ELSE n END FROM generate_series(1, 999) n');
    await db.query('UPDATE readings SET value = 250 WHERE id = 250');
    await waitForCount(copies, copied, () => app!.logs.lines.join('\n'));
    await waitFor(async () => (await app!.listener.parked.count()) === parked, `${parked} parked changes`);
    expect((await db.query('SELECT count(DISTINCT id)::int AS n FROM copies'))[0].n).toBe(
      onExhausted === 'park' ? 998 : 999,
    );
    expect(app!.listener.stats()).toMatchObject({ skipped: onExhausted === 'skip' ? 1 : 0, parked });
    const [{ value = null } = {}] = await db.query('SELECT value FROM copies WHERE id = 250');
    expect(value).toBe(onExhausted === 'park' ? null : 250);
  });
});
