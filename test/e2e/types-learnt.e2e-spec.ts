import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Change, InsertChange, PgListenerOptions } from 'nestjs-pg-listener';
import { recorderOf, TestApplications, type TestApplication } from '../support/application.js';
import { connect, createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { StreamingBench } from '../support/streaming.js';
import { VALUE_FORMATS, type ValueFormat } from '../support/values/value-stream.js';
import { difference } from '../support/values/difference.js';
import { startPostgres } from '../support/versioned-postgres.js';
import { sleep, waitFor } from '../support/wait.js';

type Row = Record<string, unknown>;

const recordsOf = (changes: readonly Change[]): Row[] =>
  changes.filter(({ operation }) => operation === 'insert').map((change) => (change as InsertChange).record);

describe.each(VALUE_FORMATS)('a type that is made while the stream runs, values in %s', (format) => {
  let db: TestDatabase;
  const apps = new TestApplications();
  let recorder: ReturnType<typeof recorderOf>;
  let app: TestApplication;

  async function start(more: Partial<PgListenerOptions> = {}): Promise<void> {
    recorder = recorderOf('*');
    const options = { connection: db.url, slot: db.slot(), publications: ['everything'], binary: format === 'binary' };
    app = await apps.start({ ...options, ...more } as PgListenerOptions, [recorder]);
  }

  /** Each row of the table came once, as a query has it, in the format that was asked for. */
  async function comesAsQueried(table: string, expectedFormat: ValueFormat = format): Promise<Row[]> {
    const rows = await db.query<Row>(`SELECT * FROM ${table} ORDER BY id`);
    const mine = (): Change[] => recorder.changes.filter((change) => change.table === table);
    await waitFor(
      () => mine().length >= rows.length,
      () => `${mine().length} of ${rows.length} changes\n${app.logs.lines.join('\n')}`,
    );
    const records = recordsOf(mine());
    for (const [index, row] of rows.entries()) expect(difference(records[index], row, `row ${index}`)).toBeUndefined();
    expect(records).toHaveLength(rows.length);
    expect(app.logs.find('not in the binary format') === undefined).toBe(format === expectedFormat);
    expect(app.listener.stats().reconnects).toBe(format === expectedFormat ? 0 : 1);
    return records;
  }

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  it('is read as a query has it: domains, enums, ranges, composite types, arrays of each', async () => {
    await start();
    await db.query(`
      CREATE DOMAIN cents AS int8 CHECK (VALUE >= 0); CREATE DOMAIN price AS cents; CREATE DOMAIN days AS date[];
      CREATE TYPE mood AS ENUM ('sad', 'o k'); CREATE TYPE span AS RANGE (subtype = float8);
      CREATE TYPE pair AS (n numeric, t text); CREATE DOMAIN a_pair AS pair; CREATE DOMAIN moods AS mood[];
      CREATE TABLE late (id int PRIMARY KEY, a cents, b price, c days, d mood, e mood[], f span, g pair, h pair[],
        i price[], j a_pair, k moods);`);
    await db.query(`INSERT INTO late VALUES
      (1, 5, 7, '{2026-02-03,NULL}', 'o k', '{sad,"o k",NULL}', '[1.5,2)', '(1.10,"a ""b""")', '{"(1,x)",NULL}', '{1,2}',
       '(,)', '{"o k"}')`);
    await db.query('INSERT INTO late (id) VALUES (2)');
    const [first] = await comesAsQueried('late');
    // node-postgres itself reads int8 to text, and a domain as what it is over.
    expect(first).toMatchObject({ a: '5', b: '7', c: [new Date(2026, 1, 3), null], e: '{sad,"o k",NULL}', i: '{1,2}' });
  });

  it('is read so where the transaction that made it uses it too', async () => {
    await start();
    await db.query(`BEGIN; CREATE DOMAIN amount AS int; CREATE TYPE pair AS (a amount, b amount[]);
      CREATE TABLE late (id int PRIMARY KEY, a amount, b pair); INSERT INTO late VALUES (1, 17, '(1,"{2}")'); COMMIT`);
    expect(await comesAsQueried('late')).toEqual([{ id: 1, a: 17, b: '(1,{2})' }]);
  });

  it('is the row type of a table, of which one column is', async () => {
    await db.query('CREATE TABLE parts (a int, b text)');
    await start();
    await db.query(`CREATE TABLE wholes (id int PRIMARY KEY, part parts, all_parts parts[])`);
    await db.query(`INSERT INTO wholes VALUES (1, '(1,x)', '{"(2,\\"y z\\")"}')`);
    await comesAsQueried('wholes');
  });

  it('is added to a table that has been heard of', async () => {
    await db.query('CREATE TABLE old (id int PRIMARY KEY)');
    await start();
    await db.query(`INSERT INTO old VALUES (1)`);
    await waitFor(() => recorder.changes.length === 1, 'the first');
    await db.query(
      `CREATE DOMAIN yes AS bool; ALTER TABLE old ADD answer yes DEFAULT true; INSERT INTO old VALUES (2)`,
    );
    await waitFor(() => recorder.changes.length === 2, 'the second');
    expect(recordsOf(recorder.changes)).toEqual([{ id: 1 }, { id: 2, answer: true }]);
  });

  it('goes on being read after ALTER TYPE ... ADD VALUE, RENAME VALUE and RENAME, and ALTER DOMAIN', async () => {
    await db.query(`CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN small AS int CHECK (VALUE < 10);
      CREATE TABLE things (id int PRIMARY KEY, mood mood, size small)`);
    await start();
    await db.query(`INSERT INTO things VALUES (1, 'sad', 1)`);
    await db.query(`ALTER TYPE mood ADD VALUE 'ok' BEFORE 'sad'`);
    await db.query(`INSERT INTO things VALUES (2, 'ok', 2)`);
    await db.query(`ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'; ALTER TYPE mood RENAME TO temper`);
    await db.query(`ALTER DOMAIN small DROP CONSTRAINT small_check; ALTER DOMAIN small RENAME TO large`);
    await db.query(`INSERT INTO things VALUES (3, 'fine', 3000)`);
    await waitFor(() => recorder.changes.length === 3, 'all');
    // Of the second, the name that the value had when it was written.
    expect(recordsOf(recorder.changes)).toEqual([
      { id: 1, mood: 'sad', size: 1 },
      { id: 2, mood: 'ok', size: 2 },
      { id: 3, mood: 'fine', size: 3000 },
    ]);
    expect(app.listener.stats().reconnects).toBe(0);
  });

  it('takes the place of one of its name that was dropped', async () => {
    await db.query(`CREATE DOMAIN size AS int; CREATE TABLE things (id int PRIMARY KEY, size size)`);
    await start();
    await db.query(`INSERT INTO things VALUES (1, 11)`);
    const kinds = [
      ['text', '11'],
      ['bool', 'true'],
      ['int[]', '{11}'],
    ] as const;
    for (const [index, [base, value]] of kinds.entries()) {
      await db.query(`ALTER TABLE things DROP size; DROP DOMAIN size; CREATE DOMAIN size AS ${base};
        ALTER TABLE things ADD size size`);
      await db.query(`INSERT INTO things VALUES ($1, $2)`, [index + 2, value]);
      // Else the type is gone before it can be asked for.
      await waitFor(() => recorder.changes.length === index + 2, base);
    }
    expect(recordsOf(recorder.changes).map(({ size }) => size)).toEqual([11, '11', true, [11]]);
    expect(app.listener.stats().reconnects).toBe(0);
  });

  it('is raw text, as of any type that nobody knows, where it is gone before it can be asked for', async () => {
    await db.query('CREATE TABLE things (id int PRIMARY KEY)');
    await start();
    await apps.close();
    await slotToBeFree(db, db.slot());
    await db.query(`CREATE DOMAIN size AS int; CREATE TYPE mood AS ENUM ('ok');
      ALTER TABLE things ADD size size, ADD mood mood; INSERT INTO things VALUES (1, 17, 'ok')`);
    await db.query(
      `ALTER TABLE things DROP size, DROP mood; DROP DOMAIN size; DROP TYPE mood; INSERT INTO things VALUES (2)`,
    );
    await start();
    await waitFor(() => recorder.changes.length === 2, 'both');
    expect(recordsOf(recorder.changes)).toEqual([{ id: 1, size: '17', mood: 'ok' }, { id: 2 }]);
    // Nobody knows its binary form either.
    expect(app.logs.find('not in the binary format') !== undefined).toBe(format === 'binary');
  });

  it('is learnt by every one of many tables, in one stream', async () => {
    await start();
    for (let table = 0; table < 25; table++) {
      await db.query(`CREATE DOMAIN d${table} AS int; CREATE TABLE t${table} (id int PRIMARY KEY, value d${table});
        INSERT INTO t${table} SELECT n, n FROM generate_series(1, 20) n`);
    }
    await waitFor(
      () => recorder.changes.length === 500,
      () => `all, not ${recorder.changes.length}`,
    );
    expect(recordsOf(recorder.changes).every(({ id, value }) => id === value)).toBe(true);
    expect(app.listener.stats().reconnects).toBe(0);
  });

  it('is learnt where the app stops meanwhile, or not at all, and never hangs', async () => {
    await start();
    for (let round = 0; round < 5; round++) {
      await db.query(`CREATE DOMAIN d${round} AS int; CREATE TABLE t${round} (id int PRIMARY KEY, value d${round});
        INSERT INTO t${round} VALUES (${round}, ${round})`);
      await sleep(round);
      await apps.close();
      await slotToBeFree(db, db.slot());
      const before = recorder.changes;
      await start();
      recorder.changes.unshift(...before);
    }
    await waitFor(() => new Set(recordsOf(recorder.changes).map(({ id }) => id)).size === 5, 'all');
    expect(recordsOf(recorder.changes).every(({ id, value }) => id === value)).toBe(true);
  });
});

describe.each(VALUE_FORMATS)('a type that a transaction in progress makes, values in %s', (format) => {
  let bench: StreamingBench;

  beforeEach(async () => {
    bench = await StreamingBench.open();
  });
  afterEach(() => bench.close());

  it('is learnt when it commits, and read as where nothing is streamed', async () => {
    await bench.start({}, { binary: format === 'binary' });
    const session = await bench.session();
    const other = await bench.session();
    await session.query(`BEGIN; CREATE DOMAIN size AS int; CREATE TYPE pair AS (a size, b size[]);
      CREATE TABLE late (a int PRIMARY KEY, size size, pair pair, filler text)`);
    await session.query(
      `INSERT INTO late SELECT n, n, ROW(n, ARRAY[n]::size[])::pair, repeat('x', 200) FROM generate_series(1, 800) n`,
    );
    await sleep(300);
    // Another one's types, meanwhile, and a savepoint that takes a type with it.
    await other.query(
      `CREATE DOMAIN other AS int; CREATE TABLE others (a int PRIMARY KEY, value other); INSERT INTO others VALUES (1, 1)`,
    );
    await session.query(`SAVEPOINT s; CREATE DOMAIN gone AS int; ALTER TABLE late ADD gone gone`);
    await session.query(`INSERT INTO late SELECT n, n, NULL, repeat('x', 200), n FROM generate_series(1001, 1600) n`);
    await session.query(`ROLLBACK TO s; CREATE DOMAIN kept AS int; ALTER TABLE late ADD kept kept`);
    await session.query(`INSERT INTO late SELECT n, n, NULL, repeat('x', 200), n FROM generate_series(2001, 2600) n`);
    // PostgreSQL sends no more of a table that is locked: the rest comes with the commit.
    await sleep(500);
    await session.query('COMMIT');
    await bench.caughtUp();
    expect(await bench.parts()).toBeGreaterThan(1);
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
    const late = recordsOf(bench.streamed.changes.filter(({ table }) => table === 'late'));
    expect(late).toHaveLength(1_400);
    expect(late[0]).toMatchObject({ a: 1, size: 1, pair: '(1,{1})' });
    expect(late.every(({ a, size, kept }) => a === size && (kept === undefined || kept === a))).toBe(true);
    expect(late.at(-1)).toMatchObject({ a: 2600, kept: 2600 });
    expect(recordsOf(bench.streamed.changes.filter(({ table }) => table === 'others'))).toEqual([{ a: 1, value: 1 }]);
  });

  it('is learnt when it commits, where no row comes after its only part', async () => {
    await bench.start({}, { binary: format === 'binary' });
    const session = await bench.session();
    await session.query(`BEGIN; CREATE DOMAIN size AS int; CREATE TABLE late (a int PRIMARY KEY, size size)`);
    await session.query('INSERT INTO late VALUES (1, 1)');
    // Another commit takes its log to the disk: it comes (16 and later), and nobody can see what is in it.
    await bench.query('INSERT INTO markers VALUES (-1)');
    await sleep(700);
    await session.query('COMMIT');
    await bench.caughtUp();
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
    expect(recordsOf(bench.streamed.changes.filter(({ table }) => table === 'late'))).toEqual([{ a: 1, size: 1 }]);
  });

  it('is forgotten with one that is rolled back', async () => {
    await bench.start({}, { binary: format === 'binary' });
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await bench.query(`BEGIN`);
      await bench.query(`CREATE DOMAIN size AS int; CREATE TABLE late (a int PRIMARY KEY, size size, filler text)`);
      await bench.query(`INSERT INTO late SELECT n, n, repeat('x', 200) FROM generate_series(1, 800) n`);
      await sleep(500);
      await bench.query(end);
    }
    await bench.caughtUp();
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
    expect(
      recordsOf(bench.streamed.changes.filter(({ table }) => table === 'late')).every(({ a, size }) => a === size),
    ).toBe(true);
  });
});

describe('a type whose transaction is sent before it can be seen', () => {
  it('holds the stream until it can, and is read right', async () => {
    const server = await startPostgres({
      settings: { synchronous_commit: 'local' },
    });
    const apps = new TestApplications();
    try {
      const db = await createDatabase(server.url);
      await db.query('CREATE PUBLICATION everything FOR ALL TABLES; CREATE TABLE before (id int PRIMARY KEY)');
      const recorder = recorderOf('*');
      const app = await apps.start({ connection: db.url, slot: 'slot', publications: ['everything'] }, [recorder]);
      const session = await connect(db.url);
      await session.query('SET synchronous_commit = on');
      await db.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
      await db.query('SELECT pg_reload_conf()');
      const isSet = async (): Promise<boolean> =>
        (await session.query('SHOW synchronous_standby_names')).rows[0].synchronous_standby_names === 'nobody';
      await waitFor(isSet, 'the setting');
      // The commit is in the log, and sent; what it made is visible when a standby has it.
      const waiting =
        session.query(`BEGIN; CREATE DOMAIN size AS int; CREATE TABLE late (id int PRIMARY KEY, size size);
        INSERT INTO late VALUES (1, 17); COMMIT`);
      await waitFor(
        async () => (await db.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length > 0,
        'the commit to wait',
      );
      await sleep(700);
      expect(recorder.changes).toEqual([]);
      expect((await db.query('SELECT FROM pg_class WHERE relname = $1', ['late'])).length).toBe(0);
      await db.query(`ALTER SYSTEM SET synchronous_standby_names = ''`);
      await db.query('SELECT pg_reload_conf()');
      await waiting;
      await waitFor(() => recorder.changes.length === 1, 'the change');
      expect(recordsOf(recorder.changes)).toEqual([{ id: 1, size: 17 }]);
      expect(app.listener.stats().reconnects).toBe(0);
      await session.end();
    } finally {
      await apps.close();
      await server.stop('immediate');
    }
  }, 60_000);
});
