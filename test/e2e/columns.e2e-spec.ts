import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  type Change,
  type HandlerOptions,
  type Operation,
  type PgListenerOptions,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { majorVersion } from '../support/values/catalogue.js';
import { waitFor } from '../support/wait.js';

type Options = HandlerOptions<any, string, undefined, false>;

/** Listens, and keeps nothing. */
function listening(tables: string | string[], options: Options, operations: Operation[] = []): Type {
  @Injectable()
  class Handler {
    @OnTableChange(tables, operations, { id: 'handler', ...options })
    on(_change: Change): void {}
  }
  return Handler;
}

describe('columns that decorators name, at the boot', () => {
  let db: TestDatabase;
  let version: number;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    version = await majorVersion(db.client);
  });
  afterAll(() => db?.drop());
  beforeEach(() =>
    db.query(`
      CREATE SCHEMA shop; SET search_path TO shop;
      CREATE TABLE orders (id int PRIMARY KEY, status text, note text, "Mixed" int,
                           twice int GENERATED ALWAYS AS ("Mixed" * 2) STORED);
      CREATE TABLE events (day int, id int, status text, PRIMARY KEY (day, id)) PARTITION BY LIST (day);
      CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
      CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
      CREATE TABLE tags (id int NOT NULL, label text);
      CREATE UNIQUE INDEX tags_label ON tags (id); ALTER TABLE tags REPLICA IDENTITY USING INDEX tags_label;
      RESET search_path`),
  );
  afterEach(async () => {
    await apps.close();
    await db.query('DROP SCHEMA shop CASCADE');
    for (const { pubname } of await db.query('SELECT pubname FROM pg_publication')) {
      await db.query(`DROP PUBLICATION "${pubname}"`);
    }
  });

  const start = (handler: Type, more: Partial<PgListenerOptions> = {}): Promise<TestApplication> =>
    apps.start({ connection: db.url, slot: 'temporary', ...more }, [handler]);
  /** Where a hint has SQL, it mends what it is about. */
  async function mended(handler: Type, more: Partial<PgListenerOptions> = {}): Promise<string> {
    const { message } = await start(handler, more).then(
      () => Promise.reject(new Error('it has booted')),
      (error: Error) => error,
    );
    for (const sql of message.match(/ALTER [^;]+;/g) ?? []) await db.query(sql);
    await (await start(handler, more)).close();
    return message;
  }

  it('must be told of as they were, for `whenChanged`: the SQL makes it so', async () => {
    const message = await mended(listening('shop.orders', { whenChanged: ['status'] }));
    expect(message).toContain(
      'shop.orders (handler): `whenChanged` needs the row as it was, which PostgreSQL tells under REPLICA IDENTITY FULL only: ' +
        'ALTER TABLE shop.orders REPLICA IDENTITY FULL;',
    );
  });

  it('of a table with a foreign partition, which has no changes, are those of the others', async () => {
    await db.query(`CREATE TABLE shop.visits (day int, status text) PARTITION BY LIST (day);
      CREATE TABLE shop.visits_1 PARTITION OF shop.visits FOR VALUES IN (1);
      CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
      CREATE FOREIGN TABLE shop.visits_2 PARTITION OF shop.visits FOR VALUES IN (2) SERVER nowhere;
      CREATE PUBLICATION mine FOR TABLE shop.visits WITH (publish_via_partition_root = true)`);
    const message = await mended(listening('shop.visits', { whenChanged: ['status'] }), { publications: ['mine'] });
    expect(message).toContain('visits_1');
    expect(message).not.toContain('visits_2');
    await db.query('DROP FOREIGN DATA WRAPPER nowhere CASCADE');
  });

  it('of a partitioned table must be told of by each of its partitions', async () => {
    await db.query('ALTER TABLE shop.events REPLICA IDENTITY FULL; ALTER TABLE shop.events_1 REPLICA IDENTITY FULL');
    const message = await mended(listening('shop.events', { whenChanged: ['status'] }));
    expect(message).toMatch(/only: ALTER TABLE shop.events_2 REPLICA IDENTITY FULL;$/);
  });

  it.each([
    ['all of it', 'shop.orders', 'full', 'tells "id" only'],
    ['a column outside of the key', 'shop.orders', ['id', 'note'], 'tells "id" only'],
    ['a column outside of the index', 'shop.tags', ['label'], 'tells "id" only'],
  ] as const)('of `oldRecord` must be told by the replica identity: %s', async (_what, table, oldRecord, told) => {
    const message = await mended(listening(table, { oldRecord }, ['update', 'delete']));
    expect(message).toContain(`${table} (handler): of a row as it was, its replica identity ${told}`);
  });

  it('of `oldRecord` are right where they are within the replica identity', async () => {
    await start(listening(['shop.orders', 'shop.tags'], { oldRecord: ['id'] }));
  });

  it('must exist', async () => {
    const handler = listening('shop.orders', { whenChanged: ['mixed', 'nope'] });
    await expect(start(handler)).rejects.toThrow(
      /shop.orders \(handler\): it has no column "mixed"; did you mean "Mixed"\?\n.*no column "nope"; its columns are id, status, note, Mixed, twice/,
    );
  });

  it('that are generated must be published, which is possible from 18 on', async () => {
    await db.query('CREATE PUBLICATION mine FOR TABLE shop.orders; ALTER TABLE shop.orders REPLICA IDENTITY FULL');
    const handler = listening('shop.orders', { whenChanged: ['twice'] });
    const more = { publications: ['mine'] };
    if (version >= 18) {
      expect(await mended(handler, more)).toContain('its column "twice" is generated, and not published');
    } else {
      await expect(start(handler, more)).rejects.toThrow('its column "twice" is generated, and not published');
    }
  });

  it('must be in the column list of the publication', async () => {
    if (version < 15) return console.log('PostgreSQL 14 has no column lists');
    await db.query('CREATE PUBLICATION another FOR TABLE shop.tags');
    await db.query('CREATE PUBLICATION mine FOR TABLE shop.orders (id, status) WHERE (id > 0)');
    const handler = listening('shop.orders', { oldRecord: ['id', 'note'] }, ['delete']);
    await db.query('ALTER TABLE shop.orders REPLICA IDENTITY FULL');
    expect(await mended(handler, { publications: ['another', 'mine'] })).toContain(
      'its column "note" is not in the publication\'s column list: ALTER PUBLICATION "mine" DROP TABLE "shop"."orders"; ' +
        'ALTER PUBLICATION "mine" ADD TABLE "shop"."orders" WHERE ((id > 0));',
    );
  });

  describe('of a publication, and the replica identity', () => {
    // A key of a partitioned table has the columns that part it, so `day` needs no more; `status` does.
    it.each([
      [
        'a row filter outside of it',
        'shop.lines WHERE (note IS NOT NULL AND id > 0)',
        'shop.lines (handler): the row filter of "mine" is about "note", outside of the replica identity, and your own UPDATE and DELETE ' +
          'fail as long as they are published: ALTER TABLE shop.lines REPLICA IDENTITY FULL;',
        "INSERT INTO shop.lines (id, note) VALUES (1, 'a'); UPDATE shop.lines SET note = 'b'",
      ],
      [
        'a row filter of a partitioned table outside of it',
        "shop.events WHERE (day = 2 OR status = 'new')",
        'is about "status", outside of the replica identity, and your own UPDATE and DELETE fail as long as they are published: ' +
          'ALTER TABLE shop.events_1 REPLICA IDENTITY FULL; ALTER TABLE shop.events_2 REPLICA IDENTITY FULL;',
        "INSERT INTO shop.events VALUES (2, 1, 'new'); UPDATE shop.events SET status = 'old'",
      ],
      [
        'a column list without it',
        'shop.orders (status, note) WHERE (id > 0)',
        'the column list of "mine" leaves out the key\'s "id", and your own UPDATE and DELETE fail as long as they are published: ' +
          'ALTER PUBLICATION "mine" DROP TABLE "shop"."orders"; ALTER PUBLICATION "mine" ADD TABLE "shop"."orders" WHERE ((id > 0));',
        "INSERT INTO shop.orders (id, note) VALUES (1, 'a'); DELETE FROM shop.orders",
      ],
      [
        'a column list without a column that is named as FULL is told of here',
        'shop.stars (note)',
        'the column list of "mine" leaves out the key\'s "*", "id"',
        "INSERT INTO shop.stars VALUES (1, 1, 'a'); DELETE FROM shop.stars",
      ],
      [
        'a column list where it is FULL',
        'shop.whole (id)',
        'the column list of "mine" goes with no REPLICA IDENTITY FULL',
        'INSERT INTO shop.whole VALUES (1); DELETE FROM shop.whole',
      ],
    ])('do not go together, with %s: a warning, whose SQL mends it', async (_what, entry, text, statements) => {
      if (version < 15) return console.log('PostgreSQL 14 has neither row filters nor column lists');
      await db.query(`CREATE TABLE shop.whole (id int, note text); ALTER TABLE shop.whole REPLICA IDENTITY FULL;
                      CREATE TABLE shop.stars (id int, "*" int, note text, PRIMARY KEY (id, "*"));
                      CREATE TABLE shop.lines (id int PRIMARY KEY, note text)`);
      await db.query(`CREATE PUBLICATION mine FOR TABLE ${entry} WITH (publish_via_partition_root = true)`);
      const told = async (): Promise<string> => {
        const { logs, close } = await start(listening('shop.*', {}), { publications: ['mine'] });
        await close();
        return logs.entries
          .filter(({ level }) => level === 'warn')
          .map(({ message }) => message)
          .join('\n');
      };
      const warning = await told();
      expect(warning).toContain(text);
      await expect(db.query(statements)).rejects.toMatchObject({ code: '42P10' });
      for (const sql of warning.match(/ALTER [^;]+;/g) ?? []) await db.query(sql);
      await db.query(statements);
      expect(await told()).toBe('');
    });

    it.each([
      ['with a filter and a list that are within it', 'shop.events (day, id) WHERE (day > 0)', "'insert, update'"],
      ['where inserts alone are published', 'shop.orders (note) WHERE (note IS NULL)', "'insert'"],
    ])('go together, %s', async (_what, entry, publish) => {
      if (version < 15) return console.log('PostgreSQL 14 has neither row filters nor column lists');
      await db.query(
        `CREATE PUBLICATION mine FOR TABLE ${entry} WITH (publish_via_partition_root = true, publish = ${publish})`,
      );
      const { logs } = await start(listening('shop.*', {}), { publications: ['mine'] });
      const warnings = logs.entries.filter(({ level }) => level === 'warn').map(({ message }) => message);
      expect(warnings.join('\n')).not.toContain('your own UPDATE and DELETE');
    });
  });

  describe('that are generated, where the row is told as it was', () => {
    const update = (table: string): Promise<unknown> => db.query(`UPDATE shop.${table} SET note = 'b'`);
    const insert = (table: string): Promise<unknown> =>
      db.query(`INSERT INTO shop.${table} (id, note) VALUES (1, 'a')`);

    it.each(['none at first', 'one that an older version of this package has made'])(
      'travel with the publications of ours, and let the user update: %s',
      async (made) => {
        const slot = db.slot(`s${made.length}`);
        if (made !== 'none at first') {
          await db.query(
            `CREATE PUBLICATION pg_listener_${slot} FOR TABLE shop.orders; CREATE PUBLICATION pg_listener_${slot}_append WITH (publish = 'insert, truncate')`,
          );
        }
        await db.query('ALTER TABLE shop.orders REPLICA IDENTITY FULL');
        await db.query(
          `CREATE TABLE shop.keyed (id int, twice int GENERATED ALWAYS AS (id * 2) STORED PRIMARY KEY, note text)`,
        );
        const changes: Change[] = [];
        @Injectable()
        class Handler {
          @OnTableChange('shop.*', [], { id: 'handler' })
          on(change: Change): void {
            changes.push(change);
          }
        }
        const { logs } = await start(Handler, { slot });
        await db.query('INSERT INTO shop.orders (id, "Mixed") VALUES (1, 21); INSERT INTO shop.keyed (id) VALUES (1)');
        await update('orders');
        await update('keyed');
        await waitFor(() => changes.length >= (version >= 18 ? 4 : 3), 'the changes');
        const told = changes.filter(({ operation }) => operation === 'update') as UpdateChange[];
        // Before 18 a key that is not told is none, and its table brings no updates.
        expect(told.map(({ table }) => table)).toEqual(version >= 18 ? ['orders', 'keyed'] : ['orders']);
        if (version >= 18) {
          // Alike: the server sends nothing of a table that two publications treat differently.
          const alike = await db.query(
            `SELECT FROM pg_publication WHERE pubname LIKE 'pg_listener_%' AND pubgencols = 's'`,
          );
          expect(alike).toHaveLength(2);
          expect(told[0]).toMatchObject({ record: { twice: 42 }, oldRecord: { twice: 42 }, changedColumns: ['note'] });
          expect(logs.entries.filter(({ level, message }) => level === 'warn' && message.includes('shop.'))).toEqual(
            [],
          );
        } else expect(told[0]!.record).not.toHaveProperty('twice');
      },
    );

    it('must be published by the user, too: the SQL makes it so', async () => {
      if (version < 18) return console.log(`PostgreSQL ${version} asks for no generated column`);
      await db.query('CREATE PUBLICATION mine FOR TABLE shop.orders');
      const message = await mended(listening('shop.orders', { whenChanged: ['status'] }), { publications: ['mine'] });
      expect(message).toMatch(
        /REPLICA IDENTITY FULL; ALTER PUBLICATION "mine" SET \(publish_generated_columns = stored\);$/,
      );
      await insert('orders');
      await update('orders');
      await db.query('ALTER PUBLICATION mine SET (publish_generated_columns = none)');
      await expect(update('orders')).rejects.toMatchObject({ code: '42P10' });
      const { logs } = await start(listening('shop.orders', {}), { publications: ['mine'] });
      const sql = /: (ALTER PUBLICATION "mine" SET [^;]*;)/.exec(
        logs.find('its replica identity has a generated column')!,
      )![1]!;
      await db.query(sql);
      await update('orders');
    });

    it('cannot be virtual ones', async () => {
      if (version < 18) return console.log(`PostgreSQL ${version} has no virtual columns`);
      await db.query(`CREATE TABLE shop.virtual (id int PRIMARY KEY, note text, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL);
                      ALTER TABLE shop.virtual REPLICA IDENTITY FULL`);
      await expect(start(listening('shop.virtual', {}, ['update']))).rejects.toThrow(
        'A virtual generated column allows no REPLICA IDENTITY FULL: give it a primary key, and: ' +
          'ALTER TABLE "shop"."virtual" REPLICA IDENTITY DEFAULT;',
      );
      // What may never bring updates must not keep the user from making them.
      await start(listening('shop.*', {}), { slot: db.slot('virtual') });
      await insert('virtual');
      await update('virtual');
      await db.query('ALTER TABLE shop.virtual REPLICA IDENTITY DEFAULT');
      await expect(start(listening('shop.virtual', { whenChanged: ['note'] }))).rejects.toThrow(
        /which cannot be had as long as "twice" is a virtual generated column/,
      );
      await expect(start(listening('shop.virtual', { whenChanged: ['twice'] }))).rejects.toThrow(
        'its column "twice" is a virtual generated one, which is never published',
      );
    });
  });

  it('that a table of a pattern cannot tell of are a warning', async () => {
    await db.query('ALTER TABLE shop.orders REPLICA IDENTITY FULL');
    const { logs } = await start(listening('shop.*', { whenChanged: ['status'] }));
    const warnings = logs.entries.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(warnings.join('\n')).toMatch(/shop\.events \(handler\): `whenChanged` needs/);
    expect(warnings.join('\n')).toMatch(/shop\.tags \(handler\): it has no column "status"/);
    expect(warnings.join('\n')).not.toContain('shop.orders (handler)');
  });
});

describe('whenChanged', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  beforeAll(async () => {
    db = await createDatabase();
  });
  afterAll(() => db?.drop());
  beforeEach(() =>
    db.query(`
      CREATE TABLE orders (id int PRIMARY KEY, status text, note text, large text);
      ALTER TABLE orders REPLICA IDENTITY FULL; ALTER TABLE orders ALTER large SET STORAGE EXTERNAL`),
  );
  afterEach(async () => {
    await apps.close();
    await db.query('DROP TABLE orders');
  });

  function recorder(options: object): Type & { seen: string[] } {
    @Injectable()
    class Handler {
      static readonly seen: string[] = [];
      @OnTableChange('orders', ['insert', 'update', 'delete'], {
        id: 'chosen',
        whenChanged: ['status', 'large'],
        ...options,
      })
      on(given: Change | readonly Change[]): void {
        for (const change of [given].flat() as Change[]) {
          const { id } = (change as UpdateChange).record ?? (change as UpdateChange).oldRecord;
          Handler.seen.push(`${change.operation} ${String(id)}`);
        }
      }
      @OnTableChange('orders', 'update', { id: 'every' })
      every(): void {}
    }
    return Handler as never;
  }

  it.each([
    ['in turn', {}],
    ['in lanes', { concurrency: 4 }],
    ['as arrays', { batch: { size: 10, maxWaitMs: 10 } }],
    ['transactional', { transactional: true }],
  ])('brings updates that changed one of its columns, and every other operation: %s', async (_how, options) => {
    const handler = recorder(options);
    const { listener } = await apps.start({ connection: db.url, slot: db.slot() }, [handler]);
    await db.query(`INSERT INTO orders VALUES (1, 'new', 'a', repeat('x', 9000))`);
    await db.query(`UPDATE orders SET note = 'b'`);
    await db.query(`UPDATE orders SET status = 'new'`);
    expect((await db.query(`UPDATE orders SET id = 2, status = 'paid' RETURNING id`))[0].id).toBe(2);
    await db.query(`UPDATE orders SET note = 'c', large = repeat('y', 9000)`);
    await db.query(`UPDATE orders SET note = NULL`);
    await db.query(`UPDATE orders SET status = NULL`);
    await db.query('DELETE FROM orders');
    await waitFor(
      () => handler.seen.includes('delete 2'),
      () => handler.seen.join(),
    );
    expect(handler.seen).toEqual(['insert 1', 'update 2', 'update 2', 'update 2', 'delete 2']);
    await waitFor(() => listener.stats().unsettledTransactions === 0, 'everything to settle');
    expect(listener.stats()).toMatchObject({ changesHandled: 8, skipped: 0, failures: 0 });
  });

  it('brings every update where the server does not tell any more what changed', async () => {
    const handler = recorder({});
    await apps.start({ connection: db.url, slot: db.slot() }, [handler]);
    await db.query(`INSERT INTO orders VALUES (1, 'new', 'a'); UPDATE orders SET note = 'b'`);
    await db.query(`ALTER TABLE orders REPLICA IDENTITY DEFAULT; UPDATE orders SET note = 'c'; DELETE FROM orders`);
    await waitFor(
      () => handler.seen.includes('delete 1'),
      () => handler.seen.join(),
    );
    expect(handler.seen).toEqual(['insert 1', 'update 1', 'delete 1']);
  });
});
