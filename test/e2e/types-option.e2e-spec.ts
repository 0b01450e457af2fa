import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DecodeError,
  OnTableChange,
  type Change,
  type InsertChange,
  type PgListenerOptions,
  type TypesOptions,
} from 'nestjs-pg-listener';
import { recorderOf, TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { VALUE_FORMATS } from '../support/values/value-stream.js';
import { waitFor } from '../support/wait.js';

type Row = Record<string, unknown>;

const recordsOf = (changes: readonly Change[]): Row[] => changes.map((change) => (change as InsertChange).record);
const as =
  (name: string) =>
  (text: string): string =>
    `${name}:${text}`;

describe.each(VALUE_FORMATS)('the option types, values in %s', (format) => {
  let db: TestDatabase;
  const apps = new TestApplications();
  let recorder: ReturnType<typeof recorderOf>;
  let app: TestApplication;

  async function start(types: PgListenerOptions['types'], more: Partial<PgListenerOptions> = {}): Promise<void> {
    recorder = recorderOf('*');
    const options = { connection: db.url, slot: db.slot(), publications: ['everything'], binary: format === 'binary' };
    app = await apps.start({ ...options, types, ...more } as PgListenerOptions, [recorder]);
  }

  async function stop(): Promise<void> {
    await apps.close();
    await slotToBeFree(db, db.slot());
  }

  async function received(count: number): Promise<Row[]> {
    const heard = (): string => `${recorder.changes.length} of ${count} changes\n${app.logs.lines.join('\n')}`;
    await waitFor(() => recorder.changes.length >= count, heard);
    expect(recorder.changes).toHaveLength(count);
    return recordsOf(recorder.changes);
  }

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  describe('parsers', () => {
    it('are named as in SQL, or by oid, and win over all others: a domain’s own over its base type’s', async () => {
      await db.query(`CREATE SCHEMA shop; CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE shop.mood AS ENUM ('ok');
        CREATE TYPE "Mo od" AS ENUM ('ok'); CREATE DOMAIN cents AS int8; CREATE DOMAIN price AS cents; CREATE DOMAIN plain AS int8;
        CREATE TABLE things (id int PRIMARY KEY, a int8, b bool, c double precision, d mood, e shop.mood, f "Mo od",
          g cents, h price, i plain, j mood[], k int8[], l date)`);
      await start({
        parsers: {
          int8: as('int8'),
          16: as('bool'),
          'double precision': as('float'),
          mood: as('mood'),
          'shop.mood': as('shop.mood'),
          '"Mo od"': as('Mo od'),
          cents: as('cents'),
          'mood[]': as('moods'),
        },
      });
      await db.query(
        `INSERT INTO things VALUES (1, 2, true, 1.5, 'ok', 'ok', 'ok', 3, 4, 5, '{ok}', '{6}', '2026-02-03')`,
      );
      expect((await received(1))[0]).toEqual({
        id: 1,
        a: 'int8:2',
        b: 'bool:t',
        c: 'float:1.5',
        d: 'mood:ok',
        e: 'shop.mood:ok',
        f: 'Mo od:ok',
        g: 'cents:3',
        h: 'cents:4',
        i: 'int8:5',
        j: 'moods:{ok}',
        k: ['6'],
        l: new Date(2026, 1, 3),
      });
      expect(app.logs.find('not in the binary format')).toBeUndefined();
    });

    it('read, with rich, what is within other values too', async () => {
      await db.query(`CREATE DOMAIN cents AS int8; CREATE TYPE mood AS ENUM ('ok');
        CREATE TYPE pair AS (a int8, b cents, c mood, d int8[], e timestamptz);
        CREATE TABLE things (id int PRIMARY KEY, pair pair, list int8[], ranges int8range[], moods mood[], whole numrange)`);
      await start({
        rich: true,
        parsers: { int8: BigInt, cents: (text) => Number(text) / 100, mood: as('mood'), numrange: as('nums') },
      });
      await db.query(`INSERT INTO things VALUES (1, '(1,250,ok,"{2,NULL}",)', '{3}', '{"[4,5)"}', '{ok}', '[1,2)')`);
      expect((await received(1))[0]).toEqual({
        id: 1,
        pair: { a: 1n, b: 2.5, c: 'mood:ok', d: [2n, null], e: null },
        list: [3n],
        ranges: [{ lower: 4n, upper: 5n, lowerInclusive: true, upperInclusive: false, isEmpty: false }],
        moods: ['mood:ok'],
        whole: 'nums:[1,2)',
      });
      expect(app.logs.find('not in the binary format')).toBeUndefined();
    });

    it('of a type that does not exist are told once, with the mend, and used when it is made', async () => {
      await start({ parsers: { mood: as('mood'), 'no name': as('never'), 'lost.mood': as('never') } });
      const warnings = app.logs.entries.filter(({ message }) => message.includes('`types.parsers` names a type'));
      expect(warnings.map(({ level, message }) => `${level} ${message}`)).toEqual([
        expect.stringMatching(/^warn .* does not have: mood\n {2}How to mend it: /),
        expect.stringMatching(/^warn .* does not have: no name\n/),
        expect.stringMatching(/^warn .* does not have: lost\.mood\n/),
      ]);
      await db.query(`CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE things (id int PRIMARY KEY, mood mood);
        INSERT INTO things VALUES (1, 'ok')`);
      expect(await received(1)).toEqual([{ id: 1, mood: 'mood:ok' }]);
    });

    it('that throw, within a structure too, halt the app with the table and the column, and never the value', async () => {
      await db.query(`CREATE TYPE pair AS (a int, b text); CREATE TABLE things (id int PRIMARY KEY, "se cret" pair)`);
      const types: TypesOptions = {
        rich: true,
        parsers: {
          text: (text) => {
            throw new RangeError(`cannot read ${text}`);
          },
        },
      };
      await start(types);
      await db.query(`INSERT INTO things VALUES (1, '(1,my secret)')`);
      const { error } = await waitFor(() => (app.listener.status.state === 'halted' ? app.listener.status : null));
      expect(error).toBeInstanceOf(DecodeError);
      expect(error!.message).toContain('public.things');
      expect(error!.message).toContain('"se cret"');
      expect(app.logs.find('my secret')).toBeUndefined();
    });
  });

  describe('rich', () => {
    it('is what a late type is read by too', async () => {
      await start('rich');
      await db.query(`CREATE TYPE mood AS ENUM ('o k'); CREATE TYPE pair AS (a numeric, b mood[]); CREATE DOMAIN pairs AS pair[];
        CREATE TABLE things (id int PRIMARY KEY, moods mood[], pairs pairs)`);
      await db.query(`INSERT INTO things VALUES (1, '{"o k",NULL}', ARRAY[ROW(1.10, '{o k}'), NULL]::pair[])`);
      expect(await received(1)).toEqual([{ id: 1, moods: ['o k', null], pairs: [{ a: '1.10', b: ['o k'] }, null] }]);
      expect(app.listener.stats().reconnects).toBe(0);
    });

    it('follows a composite type that is altered: nothing is lost, or handled twice', async () => {
      await db.query(
        `CREATE TYPE pair AS (a int, b text); CREATE TABLE things (id int PRIMARY KEY, value pair, list pair[])`,
      );
      await start('rich');
      const insert = (id: number, value: string): Promise<unknown> =>
        db.query(`INSERT INTO things VALUES (${id}, '${value}', ARRAY['${value}'::pair])`);
      await insert(1, '(1,x)');
      await received(1);
      await db.query('ALTER TYPE pair ADD ATTRIBUTE c bool');
      await insert(2, '(2,y,t)');
      await received(2);
      await db.query('ALTER TYPE pair DROP ATTRIBUTE b');
      await insert(3, '(3,f)');
      await received(3);
      await insert(4, '(4,t)');
      const records = await received(4);
      expect(records.map(({ value }) => value)).toEqual([
        { a: 1, b: 'x' },
        { a: 2, b: 'y', c: true },
        { a: 3, c: false },
        { a: 4, c: true },
      ]);
      expect(records.map(({ list }) => (list as unknown[])[0])).toEqual(records.map(({ value }) => value));
      expect(app.listener.stats().reconnects).toBe(2);
      expect(app.logs.find('The composite type public.pair was altered')).toBeDefined();
      expect(app.logs.find('Halted')).toBeUndefined();
    });

    it('follows one that loses and gains attributes in turn, though the number of them comes again', async () => {
      await db.query(`CREATE TYPE pair AS (a int, b text); CREATE TABLE things (id int PRIMARY KEY, value pair)`);
      await start('rich');
      const steps = [
        ['ADD ATTRIBUTE c int', '(1,x,2)', { a: 1, b: 'x', c: 2 }],
        ['DROP ATTRIBUTE b', '(1,2)', { a: 1, c: 2 }],
        ['ADD ATTRIBUTE d int', '(1,2,3)', { a: 1, c: 2, d: 3 }],
        ['DROP ATTRIBUTE a', '(2,3)', { c: 2, d: 3 }],
        ['ADD ATTRIBUTE e int', '(2,3,4)', { c: 2, d: 3, e: 4 }],
      ] as const;
      for (const [id, [sql, value, expected]] of steps.entries()) {
        await db.query(`ALTER TYPE pair ${sql}`);
        await db.query(`INSERT INTO things VALUES (${id}, '${value}')`);
        expect((await received(id + 1))[id]).toEqual({ id, value: expected });
      }
      expect(app.listener.stats().reconnects).toBe(steps.length);
    });

    it('reads rows that are older than what the catalogue says of their composite type', async () => {
      await db.query(`CREATE TYPE pair AS (a int, b text); CREATE TABLE things (id int PRIMARY KEY, value pair)`);
      await start('rich');
      await stop();
      await db.query(`INSERT INTO things VALUES (1, '(1,x)')`);
      await db.query('ALTER TYPE pair ADD ATTRIBUTE c bool');
      await start('rich');
      // As a query has it now.
      expect(await received(1)).toEqual([{ id: 1, value: { a: 1, b: 'x', c: null } }]);
      await stop();
      await db.query(`INSERT INTO things VALUES (2, '(2,y,t)')`);
      await db.query('ALTER TYPE pair DROP ATTRIBUTE a');
      await start('rich');
      expect(await received(1)).toEqual([{ id: 2, value: { b: 'y', c: true } }]);
    });

    it('halts with the type where nobody can know which attributes a value has', async () => {
      await db.query(
        `CREATE TYPE pair AS (a int, b text, c text, d text); CREATE TABLE things (id int PRIMARY KEY, value pair)`,
      );
      await start('rich');
      await stop();
      await db.query(`ALTER TYPE pair DROP ATTRIBUTE a; INSERT INTO things VALUES (1, '(x,y,z)')`);
      await db.query(`ALTER TYPE pair DROP ATTRIBUTE b`);
      await start('rich');
      const { error } = await waitFor(() => (app.listener.status.state === 'halted' ? app.listener.status : null));
      expect(error).toBeInstanceOf(DecodeError);
      expect(error!.message).toMatch(
        /public\.things, column "value": 3 attributes in a value of the composite type public\.pair, which has 2 by now, and 2 dropped/,
      );
      expect((error as DecodeError).hint).toMatch(
        /parsers: \{ 'public\.pair': \(text\) => .* until what was written before/,
      );
      await stop();
      await start({ rich: true, parsers: { pair: (text) => text } });
      expect(await received(1)).toEqual([{ id: 1, value: '(x,y,z)' }]);
    });

    it('is what parked changes are read by', async () => {
      await db.query(`CREATE TYPE pair AS (a int, b text[]); CREATE TABLE things (id int PRIMARY KEY, value pair)`);
      await db.query('CREATE TABLE parts (x int, y text); ALTER TABLE things ADD part parts');
      @Injectable()
      class Failing {
        static isMended = false;
        static readonly redriven: Change[] = [];
        @OnTableChange('things', 'insert', { onExhausted: 'park', retry: { attempts: 1 } })
        on(change: Change): void {
          if (!Failing.isMended) throw new Error('not yet');
          Failing.redriven.push(change);
        }
      }
      const options = {
        connection: db.url,
        slot: db.slot(),
        publications: ['everything'],
        binary: format === 'binary',
      };
      app = await apps.start({ ...options, types: 'rich' } as PgListenerOptions, [Failing]);
      await db.query(`INSERT INTO things VALUES (1, '(1,"{x,NULL}")', '(2,z)')`);
      const expected = { id: 1, value: { a: 1, b: ['x', null] }, part: { x: 2, y: 'z' } };
      await waitFor(async () => (await app.listener.parked.list()).length === 1, 'the parked change');
      const [parked] = await app.listener.parked.list();
      expect((parked!.change as InsertChange).record).toEqual(expected);
      await db.query('ALTER TYPE pair ADD ATTRIBUTE c int');
      Failing.isMended = true;
      await app.listener.parked.retry();
      await waitFor(() => Failing.redriven.length === 1, 'the change');
      const [{ record }] = Failing.redriven as [InsertChange];
      expect(record).toEqual({ ...expected, value: { ...expected.value, c: null } });
    });
  });
});
