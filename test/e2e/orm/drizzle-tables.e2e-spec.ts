import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { eq } from 'drizzle-orm';
import { drizzle as drizzleOver, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import {
  bigint,
  boolean,
  customType,
  date,
  integer,
  interval,
  json,
  jsonb,
  numeric,
  pgEnum,
  pgSchema,
  pgTable,
  point,
  real,
  text,
  time,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import { int as mysqlInt, mysqlTable } from 'drizzle-orm/mysql-core';
import {
  HandlerDefinitionError,
  InjectChanges,
  OnSchemaChange,
  OnTableChange,
  PgListenerModule,
  getChangesToken,
  type Change,
  type DriverRow,
  type InsertChange,
  type PgListenerOptions,
  type SchemaChange,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { drizzleParsers } from 'nestjs-pg-listener/drizzle';
import { firstValueFrom, type Observable } from 'rxjs';
import { TestApplications, type TestApplication } from '../../support/application.js';
import { connect, createDatabase, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';

const mood = pgEnum('mood', ['glad', 'sad']);
const upper = customType<{ data: string; driverData: string }>({
  dataType: () => 'text',
  fromDriver: (value) => value.toUpperCase(),
});

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

/** A column of each kind that Drizzle reads in its own way, and some that it does not. */
const things = pgTable('things', {
  id: integer('id').primaryKey(),
  title: text('thing_title').notNull(),
  flag: boolean('is_on'),
  big: bigint('big_number', { mode: 'bigint' }),
  safe: bigint('safe_number', { mode: 'number' }),
  price: numeric('price', { precision: 10, scale: 2 }),
  rate: numeric('rate', { mode: 'number' }),
  ratio: real('ratio'),
  day: date('on_day', { mode: 'date' }),
  dayText: date('on_day_text', { mode: 'string' }),
  at: timestamp('at', { mode: 'date', precision: 3 }),
  atText: timestamp('at_text', { mode: 'string', precision: 3 }),
  zoned: timestamp('zoned', { withTimezone: true, mode: 'date' }),
  zonedText: timestamp('zoned_text', { withTimezone: true, mode: 'string', precision: 3 }),
  clock: time('clock'),
  span: interval('span'),
  mood: mood('mood'),
  loud: upper('loud'),
  raw: bytea('raw'),
  doc: jsonb('doc').$type<{ n: number }>(),
  list: json('list'),
  place: point('place'),
  spot: point('spot', { mode: 'xy' }),
  key: uuid('key'),
  labels: text('labels').array(),
  days: date('days', { mode: 'string' }).array(),
  counts: bigint('counts', { mode: 'bigint' }).array(),
  moments: timestamp('moments', { mode: 'date' }).array(),
});
const shop = pgSchema('shop');
const orders = shop.table('Order*Book', { orderId: integer().primaryKey(), name: text('name'), lineText: text() });
const oddly = pgTable('oddly', { name: text('name').primaryKey(), ID: text() });

const DDL = `
  CREATE SCHEMA shop; CREATE TYPE mood AS ENUM ('glad', 'sad');
  CREATE TABLE things (id int PRIMARY KEY, thing_title text NOT NULL, is_on bool, big_number int8, safe_number int8,
    price numeric(10, 2), rate numeric, ratio real, on_day date, on_day_text date, at timestamp(3), at_text timestamp(3),
    zoned timestamptz, zoned_text timestamptz(3), clock time, span interval, mood mood, loud text, raw bytea, doc jsonb, list json,
    place point, spot point, key uuid, labels text[], days date[], counts int8[], moments timestamp[]);
  ALTER TABLE things REPLICA IDENTITY FULL;
  CREATE TABLE shop."Order*Book" (order_id int PRIMARY KEY, name text, line_text text);
  ALTER TABLE shop."Order*Book" REPLICA IDENTITY FULL;
  CREATE TABLE oddly (name text PRIMARY KEY, "ID" text)`;

const FULL = `INSERT INTO things VALUES (1, 'x', true, 9007199254740993, 42, 12.50, 0.5, 1.5, '2026-03-29', '2026-03-29',
  '2026-03-29 12:30:00.123', '2026-07-29 02:30:00.123', '2026-02-03 04:05:06.789+00', '2026-02-03 04:05:06.789+00', '04:05:06.7',
  '1 year 2 mons -3 days 04:05:06.789', 'sad', 'abc', '\\x00ff', '{"n": 1}', '[1, "two"]', '(1,2)', '(3,4)',
  '123e4567-e89b-12d3-a456-426614174000', '{a,NULL,"b c"}', '{2026-01-01,2026-12-31}', '{1,2}', '{2026-01-01 00:00:00}')`;

describe('tables of Drizzle', () => {
  let db: TestDatabase;
  let client: Awaited<ReturnType<typeof connect>>;
  let orm: NodePgDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(DDL);
    client = await connect(db.url);
    orm = drizzleOver(client, { casing: 'snake_case' }) as unknown as NodePgDatabase;
  });
  afterEach(() => apps.close());
  afterAll(async () => {
    await client.end();
    await db.drop();
  });

  function start(
    handlers: Type[],
    options: Partial<PgListenerOptions> = {},
    features: any[] = [],
  ): Promise<TestApplication> {
    const imports = features.length === 0 ? [] : [PgListenerModule.forFeature(features)];
    return apps.start({ connection: db.url, slot: 'temporary', service: 'shop', ...options }, handlers, imports);
  }

  it('are named by themselves, and rows come as node-postgres has them', async () => {
    const changes: InsertChange<any>[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(things, 'insert')
      thing(change: InsertChange<DriverRow<typeof things>>): void {
        changes.push(change);
      }
      @OnTableChange([orders, oddly], 'insert')
      others(change: InsertChange<any>): void {
        changes.push(change);
      }
    }
    const app = await start([Handlers]);
    await db.query(
      `BEGIN; DELETE FROM things; ${FULL}; INSERT INTO shop."Order*Book" VALUES (1, 'n', 'l'); INSERT INTO oddly VALUES ('x'); COMMIT`,
    );
    await waitFor(() => changes.length === 3);
    expect(app.logs.find('Handlers.others')).toContain('shop."Order*Book", public.oddly');
    const [row] = await db.query('SELECT * FROM things');
    expect(changes.map(({ record }) => record)).toEqual([
      row,
      { order_id: 1, name: 'n', line_text: 'l' },
      { name: 'x', ID: null },
    ]);
  });

  it.each([
    ['values that node-postgres has made', {}],
    ['values as Drizzle asks for them', { types: { parsers: drizzleParsers } }],
    ['values that came in the binary format', { binary: true }],
  ])('give with `mapped` what a query gives, of %s', async (_, options) => {
    const changes: Change<typeof things.$inferSelect>[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(things, ['insert', 'update'], { mapped: true })
      thing(change: InsertChange<typeof things.$inferSelect> | UpdateChange<typeof things.$inferSelect>): void {
        changes.push(change);
      }
    }
    await db.query('DELETE FROM things');
    await start([Handlers], options as Partial<PgListenerOptions>);
    await db.query(FULL);
    await db.query('INSERT INTO things (id, thing_title) VALUES (2, $1)', ['nothing else']);
    await db.query(`INSERT INTO things (id, thing_title, on_day_text, at_text, zoned_text)
      VALUES (3, 'round', '0044-03-15 BC', '2026-07-29 02:30:00', '2026-02-03 04:05:06.5+00')`);
    const isText = 'types' in options;
    // Of a text with a zone, the session says which.
    await client.query(isText ? 'RESET TimeZone' : `SET TimeZone = 'UTC'`);
    const rows = await orm.select().from(things).orderBy(things.id);
    await db.query(`UPDATE things SET thing_title = 'y', days = NULL WHERE id = 1`);
    await waitFor(() => changes.length === 4);
    const [full, empty, round, update] = changes as [
      InsertChange<any>,
      InsertChange<any>,
      InsertChange<any>,
      UpdateChange<any>,
    ];
    // An object has lost how the server spells it.
    const expected = isText ? rows[0] : { ...rows[0], span: expect.stringContaining('1 years') };
    expect(full.record).toEqual(expected);
    expect(empty.record).toEqual(rows[1]);
    expect(round.record).toEqual(rows[2]);
    expect(full.record).toMatchObject({
      big: 9007199254740993n,
      dayText: '2026-03-29',
      at: new Date('2026-03-29T12:30:00.123Z'),
    });
    expect(update.oldRecord).toEqual(full.record);
    expect(update.record).toEqual({ ...full.record, title: 'y', days: null });
    expect([...update.changedColumns!].sort()).toEqual(['days', 'title']);
    expect(JSON.parse(JSON.stringify(update))).toMatchObject({ record: { big: '9007199254740993', title: 'y' } });
  });

  it('take the casing of the database object, which tables do not know', async () => {
    const changes: UpdateChange<typeof orders.$inferSelect>[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange(orders, 'update', { mapped: { casing: 'snake_case' }, whenChanged: ['lineText'] })
      order(change: UpdateChange<typeof orders.$inferSelect>): void {
        changes.push(change);
      }
    }
    await start([Handlers]);
    const orm = drizzleOver(client, { casing: 'snake_case' });
    await orm.insert(orders).values({ orderId: 7, name: 'n', lineText: 'l' });
    await orm.update(orders).set({ name: 'm' }).where(eq(orders.orderId, 7));
    await orm.update(orders).set({ lineText: 'k' }).where(eq(orders.orderId, 7));
    await waitFor(() => changes.length === 1);
    expect(changes[0]).toMatchObject({
      record: { orderId: 7, name: 'm', lineText: 'k' },
      changedColumns: ['lineText'],
    });
  });

  it('can be looked on, and their schemas heard', async () => {
    const shapes: SchemaChange[] = [];
    @Injectable()
    class Looker {
      constructor(@InjectChanges(oddly) readonly changes: Observable<InsertChange<DriverRow<typeof oddly>>>) {}
      @OnSchemaChange(oddly)
      altered(change: SchemaChange): void {
        shapes.push(change);
      }
    }
    expect(getChangesToken(oddly)).toBe(getChangesToken('oddly'));
    const app = await start([Looker], {}, [oddly]);
    const seen = firstValueFrom(app.context.get(Looker).changes);
    const asked = firstValueFrom(app.listener.changes(oddly, 'insert'));
    await db.query(
      `INSERT INTO oddly VALUES ('looked'); ALTER TABLE oddly ADD x int; INSERT INTO oddly VALUES ('again')`,
    );
    expect((await seen).record.name).toBe('looked');
    expect((await asked).record.ID).toBeNull();
    await waitFor(() => shapes.length === 1);
  });

  it('of another database are refused at boot', async () => {
    const elsewhere = mysqlTable('elsewhere', { id: mysqlInt('id') });
    @Injectable()
    class Handlers {
      @OnTableChange(elsewhere, 'insert')
      other(): void {}
      @OnTableChange(things, 'insert', { mapped: { casing: 'kebab' as never } })
      casing(): void {}
    }
    const error = await start([Handlers]).catch((reason: unknown) => reason);
    expect((error as HandlerDefinitionError).mistakes).toEqual([
      expect.stringContaining(
        'has a table that nobody knows: a Drizzle table is no table of PostgreSQL, but a MySqlTable',
      ),
      expect.stringContaining('mapped.casing'),
    ]);
  });
});
