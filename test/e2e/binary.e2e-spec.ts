import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import { OnTableChange, type Change, type InsertChange, type PgListenerOptions } from 'nestjs-pg-listener';
import pg from 'pg';
import { TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { difference } from '../support/values/difference.js';
import { sleep, waitFor } from '../support/wait.js';

const TIMESTAMPTZ = 1184;
const LINE = /Values come as text from here on, not in the binary format: /;

/** A base type as extensions make them: nobody else knows its binary form, which is an integer's. */
const BASE_TYPE = `
  CREATE TYPE weight;
  CREATE FUNCTION weight_in(cstring) RETURNS weight LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
  CREATE FUNCTION weight_out(weight) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
  CREATE FUNCTION weight_send(weight) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
  CREATE TYPE weight (INPUT = weight_in, OUTPUT = weight_out, SEND = weight_send, LIKE = int4);
`;

interface Recorder extends Type {
  readonly changes: Change[];
}

/** Takes its time, so that the end of a connection finds calls under way. */
function slowRecorder(tables: string | string[], ms: number): Recorder {
  @Injectable()
  class Slow {
    static readonly changes: Change[] = [];
    @OnTableChange(tables)
    async record(change: Change): Promise<void> {
      await sleep(ms);
      Slow.changes.push(change);
    }
  }
  return Slow;
}

describe('the binary format', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, amount numeric, note text)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  async function start(recorder: Recorder, more: Partial<PgListenerOptions> = {}): Promise<TestApplication> {
    const options = { connection: db.url, slot: db.slot(), binary: true, ...more } as PgListenerOptions;
    return apps.start(options, [recorder]);
  }

  async function format(): Promise<string> {
    const [row] = await waitFor(async () => {
      const rows = await db.query<{ query: string }>(
        `SELECT query FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()
            AND query LIKE 'START_REPLICATION%'`,
      );
      return rows.length > 0 ? rows : null;
    }, 'a stream');
    return row!.query.includes(`binary 'true'`) ? 'binary' : 'text';
  }

  const order = (id: number): string =>
    `INSERT INTO orders VALUES (${id}, '2026-02-03 04:05:06.789+00', ${id}.50, 'order ${id}')`;
  const idsOf = (changes: readonly Change[], table: string): unknown[] =>
    changes.filter((change) => change.table === table).map((change) => (change as InsertChange).record['id']);

  function linesOf(app: TestApplication): string[] {
    return app.logs.entries.map(({ message }) => message).filter((message) => LINE.test(message));
  }

  it('is asked for with the option, and not without', async () => {
    const recorder = slowRecorder('orders', 0);
    const app = await start(recorder);
    expect(await format()).toBe('binary');
    await db.query(order(1));
    await waitFor(() => recorder.changes.length === 1, 'the change');
    const [expected] = await db.query('SELECT * FROM orders');
    expect(difference((recorder.changes[0] as InsertChange).record, expected)).toBeUndefined();
    expect(linesOf(app)).toEqual([]);
    await apps.close();
    await start(slowRecorder('orders', 0), { binary: false, slot: db.slot('second') });
    expect(await format()).toBe('text');
  });

  describe('gives way to text, and nothing is lost or handled twice:', () => {
    /**
     * Orders before, around and behind a row of `trouble`; all must come once, in their order, and equal the query's.
     *
     * @param reason what the one log line says
     */
    async function givesWay(reason: RegExp, value: string, more: Partial<PgListenerOptions> = {}): Promise<void> {
      const recorder = slowRecorder(['orders', 'trouble'], 3);
      const app = await start(recorder, more);
      expect(await format()).toBe('binary');
      await db.query(order(1));
      await waitFor(() => recorder.changes.length === 1, 'the first');
      for (const id of [2, 3, 4]) await db.query(order(id));
      await db.query(`BEGIN; ${order(5)}; INSERT INTO trouble VALUES (1, ${value}); ${order(6)}; COMMIT`);
      await db.query(order(7));
      await waitFor(() => recorder.changes.length >= 8, 'all', 20_000);
      await db.query(order(8));
      await waitFor(() => recorder.changes.length >= 9, 'what comes later');
      expect(idsOf(recorder.changes, 'orders')).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(recorder.changes.map(({ table }) => table).indexOf('trouble')).toBe(5);
      const types = (more.connection as pg.ClientConfig | undefined)?.types;
      const { record } = recorder.changes[5] as InsertChange;
      const config = { connectionString: db.url, ...(types === undefined ? {} : { types }) };
      const client = new pg.Client(config);
      await client.connect();
      const { rows } = await client.query('SELECT * FROM trouble').finally(() => client.end());
      expect(difference(record, rows[0])).toBeUndefined();
      expect(linesOf(app)).toHaveLength(1);
      expect(linesOf(app)[0]).toMatch(reason);
      expect(app.logs.find('Halted')).toBeUndefined();
      expect(app.logs.find('Next try in')).toBeUndefined();
      expect(await format()).toBe('text');
    }

    it.each([
      [
        'money',
        'money',
        `'12.34'`,
        /: public\.trouble, column "value" of type money: its text depends on the session$/,
      ],
      ['regclass', 'regclass', `'orders'`, /of type regclass: its text depends on the session$/],
      ['an array of regtype', 'regtype[]', `'{integer,text}'`, /of type regtype\[\]: its text/],
      ['tstzrange', 'tstzrange', `'[2026-01-01,)'`, /of type tstzrange: its text depends on the session$/],
      [
        'an array of aclitem',
        'aclitem[]',
        `'{=r/postgres}'`,
        /\(no binary output function available for type aclitem\)$/,
      ],
      [
        'a "char" beyond ASCII',
        '"char"',
        String.raw`'é'`,
        /: public\.trouble, column "value": a "char" that is not ASCII/,
      ],
    ])('%s', async (_, type, value, reason) => {
      await db.query(`CREATE TABLE trouble (id int PRIMARY KEY, value ${type})`);
      await givesWay(reason, value);
    });

    it('a composite type with an instant in it', async () => {
      await db.query(
        `CREATE TYPE pair AS (a int, b timestamptz); CREATE TABLE trouble (id int PRIMARY KEY, value pair)`,
      );
      await givesWay(/of type public\.pair: its text depends on the session$/, `'(1,now)'`);
    });

    it('a base type, as extensions have them', async () => {
      await db.query(`${BASE_TYPE} CREATE TABLE trouble (id int PRIMARY KEY, value weight)`);
      await givesWay(/of type public\.weight: its binary form is not known$/, `'17'`);
    });

    it('a type parser of the application over timestamptz', async () => {
      const types = new pg.TypeOverrides();
      types.setTypeParser(TIMESTAMPTZ, (text) => `at ${text}`);
      await db.query(
        'CREATE TABLE trouble (id int PRIMARY KEY, value timestamptz); ALTER TABLE orders ALTER at TYPE text',
      );
      const insert = `'2026-02-03 04:05:06+00'`;
      await givesWay(/of type timestamp with time zone: its text .* and a type parser reads it$/, insert, {
        connection: { connectionString: db.url, types },
      });
    });

    it('a type that the server cannot send, in a table that nobody listens to (42883)', async () => {
      const recorder = slowRecorder('orders', 3);
      const app = await start(recorder, { publications: ['everything'] });
      await db.query('CREATE TABLE rights (id int PRIMARY KEY, value aclitem[])');
      for (const id of [1, 2]) await db.query(order(id));
      await db.query(`BEGIN; ${order(3)}; INSERT INTO rights VALUES (1, '{=r/postgres}'); ${order(4)}; COMMIT`);
      await db.query(order(5));
      await waitFor(() => recorder.changes.length >= 5, 'all', 20_000);
      await db.query(order(6));
      await waitFor(() => recorder.changes.length >= 6, 'what comes later');
      expect(idsOf(recorder.changes, 'orders')).toEqual([1, 2, 3, 4, 5, 6]);
      expect(linesOf(app)).toHaveLength(1);
      expect(linesOf(app)[0]).toMatch(/no binary output function available for type aclitem/);
      expect(await format()).toBe('text');
    });

    beforeEach(async () => {
      await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
    });
  });

  it('gives way in the middle of a transaction that was handed over in pieces', async () => {
    await db.query('CREATE TABLE trouble (id int PRIMARY KEY, value money)');
    const recorder = slowRecorder(['orders', 'trouble'], 1);
    const app = await start(recorder, { limits: { changes: 20 } });
    await db.query(
      `BEGIN; INSERT INTO orders SELECT n, now(), n, 'x' FROM generate_series(1, 300) n;
       INSERT INTO trouble VALUES (1, '1.50');
       INSERT INTO orders SELECT n, now(), n, 'x' FROM generate_series(301, 600) n; COMMIT`,
    );
    await waitFor(() => recorder.changes.length >= 601, 'all', 30_000);
    await sleep(200);
    expect(idsOf(recorder.changes, 'orders')).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
    expect(recorder.changes).toHaveLength(601);
    expect(linesOf(app)).toHaveLength(1);
  });

  it('is not asked for on a temporary slot where a column is known that it cannot give', async () => {
    await db.query('CREATE TABLE trouble (id int PRIMARY KEY, value money)');
    const recorder = slowRecorder(['orders', 'trouble'], 0);
    const app = await start(recorder, { slot: 'temporary' });
    expect(await format()).toBe('text');
    expect(linesOf(app)).toEqual([expect.stringMatching(/: public\.trouble, column "value" of type money: /)]);
    await db.query(`INSERT INTO trouble VALUES (1, '1.50')`);
    await waitFor(() => recorder.changes.length === 1, 'the change');
    await apps.close();
    await db.query('DROP TABLE trouble');
    await start(slowRecorder('orders', 0), { slot: 'temporary' });
    expect(await format()).toBe('binary');
  });

  it('is not asked for where the connection asks for a style of its own', async () => {
    const app = await start(slowRecorder('orders', 0), {
      connection: { connectionString: db.url, options: '-c DateStyle=German' },
    });
    expect(await format()).toBe('text');
    expect(linesOf(app)).toEqual([expect.stringMatching(/: the connection asks for DateStyle = German, DMY$/)]);
    await apps.close();
    const other = await start(slowRecorder('orders', 0), {
      connection: { connectionString: db.url, options: '-c DateStyle=ISO,DMY -c extra_float_digits=3' },
    });
    expect(await format()).toBe('binary');
    expect(linesOf(other)).toEqual([]);
  });

  it('is kept where the column that it cannot give is of a table that nobody listens to', async () => {
    await db.query(
      'CREATE TABLE costs (id int PRIMARY KEY, value money); CREATE PUBLICATION two FOR TABLE orders, costs',
    );
    const recorder = slowRecorder('orders', 0);
    const app = await start(recorder, { publications: ['two'] });
    await db.query(`INSERT INTO costs VALUES (1, 5); ${order(1)}`);
    await waitFor(() => recorder.changes.length === 1, 'the order');
    expect(await format()).toBe('binary');
    expect(linesOf(app)).toEqual([]);
    await withClient(db.url, (client) => client.query('DELETE FROM costs'));
  });
});
