import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Insert, Update } from '#lib/changes/change.js';
import type { CustomTypes } from '#lib/types/type-parsers.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { told } from '../support/parked/contract.js';
import { openStore } from '../support/parked/open-store.js';
import { parkingOf, WireSource, type Received } from '../support/parked/wire-source.js';
import { difference } from '../support/values/difference.js';

const INT8 = 20;
const POINT = 600;

/** As an application may set them for its connection. */
function typesWith(oid: number, parse: (text: string) => unknown): CustomTypes {
  return {
    getTypeParser: (asked, format) => (asked === oid ? parse : pg.types.getTypeParser(asked as never, format as never)),
  };
}

const TABLES = `
  CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
  CREATE DOMAIN price AS cents;
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE wide (id int PRIMARY KEY, txt text, num numeric, tz timestamptz, ts timestamp, day date, bytes bytea,
    doc jsonb, raw json, tags text[], grid int[][], times timestamptz[], span interval, big bigint, total price,
    feeling mood, place point, uid uuid, flag bool, real8 float8, "__proto__" text);
  CREATE TABLE full_identity (id int PRIMARY KEY, name text, big text);
  ALTER TABLE full_identity REPLICA IDENTITY FULL;
  CREATE TABLE toasted (id int PRIMARY KEY, note text, big text);
  ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
  ALTER TABLE full_identity ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE emptied (id int PRIMARY KEY);
  CREATE TABLE emptied_too (id int PRIMARY KEY);
  CREATE SCHEMA "Großes Schema";
  CREATE TABLE "Großes Schema"."Ta.bel""le" (id int PRIMARY KEY, "Spalte Ä" text);
`;
const WIDE = `INSERT INTO wide VALUES (1, 'Ünï🐘', 12.340, '2026-02-03 04:05:06.789012+02', '2026-02-03 04:05:06.7', '2026-02-03',
  '\\x00ff5c', '{"a": [1, null, "x"]}', '{"b":  1}', '{a,"b c",NULL,"\\""}', '{{1,2},{3,4}}', '{"2026-02-03 04:05:06+00"}',
  '1 year 2 mons 03:04:05.678', 9007199254740993, 4200, 'bad', '(1.5,-2)', gen_random_uuid(), true, 'NaN', 'proto'),
  (2, '', 'NaN', 'infinity', '-infinity', NULL, '', 'null', '"\\u0000"', '{}', NULL, NULL, '-00:00:00.000001', -1, 0, 'good',
   NULL, NULL, false, '-0', NULL)`;

describe('values of parked changes', () => {
  let db: TestDatabase;
  let source: WireSource;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(TABLES);
    source = await WireSource.open(db);
  });
  afterAll(() => db?.drop());

  /** Parks them all, and reads them again as another process does. */
  async function roundTrip(received: readonly Received[], customTypes?: CustomTypes): Promise<Received['work'][]> {
    const slotName = `slot_${randomBytes(4).toString('hex')}`;
    const [writer, reader] = [openStore(db.url, { slotName }), openStore(db.url, { slotName, customTypes })];
    try {
      for (const each of received) await writer.park(parkingOf(each));
      const listed = (await reader.list({})).map(({ change }) => change as Received['work']);
      const due = (await reader.due({}, [], 100)).map(({ work }) => work);
      expect(due.map(told)).toEqual(listed.map(told));
      return due;
    } finally {
      await writer.close();
      await reader.close();
    }
  }

  it('are those of the stream, and of a query', async () => {
    const received = await source.changesOf(WIDE);
    const again = await roundTrip(received);
    const rows = await db.query('SELECT * FROM wide ORDER BY id');
    expect(again).toHaveLength(2);
    for (const [index, work] of again.entries()) {
      expect(told(work)).toEqual(told(received[index]!.work));
      // Compares what toEqual does not: prototypes, -0, properties that are undefined.
      expect(difference((work as Insert).record, rows[index], 'row')).toBeUndefined();
    }
    expect(JSON.stringify(again[0])).toBe(JSON.stringify(received[0]!.work));
  });

  it('are read with the old row, with the columns that changed, and without what was not sent', async () => {
    await db.query(`INSERT INTO full_identity VALUES (1, 'a', repeat('x', 9000)), (2, 'b', 'small');
      INSERT INTO toasted VALUES (1, 'a', repeat('y', 9000))`);
    await source.changesOf();
    const received = await source.changesOf(
      `UPDATE full_identity SET name = 'c' WHERE id = 1`,
      `DELETE FROM full_identity WHERE id = 2`,
      `UPDATE toasted SET note = 'b'`,
      `UPDATE toasted SET id = 2, note = 'c'`,
      `DELETE FROM toasted`,
      `INSERT INTO "Großes Schema"."Ta.bel""le" VALUES (1, 'ß')`,
    );
    const again = await roundTrip(received);
    expect(again.map(told)).toEqual(received.map(({ work }) => told(work)));
    const [full, gone, toast, moved, removed, named] = again as unknown as Update[];
    expect(full).toMatchObject({ changedColumns: ['name'], oldRecord: { name: 'a' }, record: { name: 'c' } });
    expect(full!.record['big']).toHaveLength(9000);
    expect(gone).toMatchObject({ oldRecord: { id: 2, name: 'b', big: 'small' } });
    expect(toast).toMatchObject({ record: { id: 1, note: 'b' }, unchangedToast: ['big'], oldRecord: null });
    expect('big' in toast!.record).toBe(false);
    expect(moved!.oldRecord).toEqual({ id: 1 });
    expect(removed!.oldRecord).toEqual({ id: 2 });
    expect(named).toMatchObject({ schema: 'Großes Schema', table: 'Ta.bel"le', record: { id: 1, 'Spalte Ä': 'ß' } });
  });

  it('are one truncate for each table', async () => {
    const received = await source.changesOf('TRUNCATE emptied, emptied_too RESTART IDENTITY CASCADE');
    const again = await roundTrip(received);
    expect(again).toMatchObject([
      { operation: 'truncate', table: 'emptied', cascade: true, restartIdentity: true },
      { operation: 'truncate', table: 'emptied_too', cascade: true, restartIdentity: true },
    ]);
    expect(again.map(told)).toEqual(received.map(({ work }) => told(work)));
  });

  it('are what the parsers of the process that reads make of them, also behind a domain', async () => {
    const received = await source.changesOf('UPDATE wide SET big = 9007199254740993 WHERE id = 1');
    expect((received[0]!.work as Update).record).toMatchObject({ big: '9007199254740993', total: '4200' });
    const [again] = await roundTrip(received, typesWith(INT8, BigInt));
    expect((again as Update).record).toMatchObject({ big: 9007199254740993n, total: 4200n });
  });

  it('come with where their transaction came from', async () => {
    const name = `elsewhere_${db.name}`;
    const received = await source.changesOf(
      `SELECT pg_replication_origin_create('${name}'), pg_replication_origin_session_setup('${name}')`,
      `INSERT INTO toasted VALUES (30, 'from afar')`,
      'SELECT pg_replication_origin_session_reset()',
      `SELECT pg_replication_origin_drop('${name}')`,
    );
    const again = await roundTrip(received);
    expect(again.map(({ transaction }) => transaction.origin)).toEqual([name]);
  });

  it('are read after the table has changed or gone', async () => {
    await db.query('CREATE TABLE passing (id int PRIMARY KEY, a text, b int)');
    const received = await source.changesOf(
      `INSERT INTO passing VALUES (1, 'x', 2)`,
      'ALTER TABLE passing DROP a, ADD c text',
      `INSERT INTO passing VALUES (2, 3, 'y')`,
      'DROP TABLE passing',
    );
    expect((await roundTrip(received)).map((work) => (work as Insert).record)).toEqual([
      { id: 1, a: 'x', b: 2 },
      { id: 2, b: 3, c: 'y' },
    ]);
  });

  it('stand beside a readable copy, where there can be one', async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const cyclicSource = source.withTypes(typesWith(POINT, () => cyclic));
    const store = openStore(db.url, { slotName: 'copies' });
    const received = [
      ...(await source.changesOf(`INSERT INTO wide (id, txt, big) VALUES (10, 'readable', 5)`)),
      ...(await source.changesOf(`INSERT INTO wide (id, raw) VALUES (11, '"\\u0000"')`)),
      ...(await source.changesOf(`INSERT INTO wide (id, raw) VALUES (12, '"\\ud800"')`)),
      ...(await cyclicSource.changesOf(`INSERT INTO wide (id, place) VALUES (13, '(1,2)')`)),
      ...(await source.changesOf(`INSERT INTO wide (id, txt) VALUES (14, repeat('x', 2000000))`)),
    ];
    try {
      const ids = received.map(({ work }) => (work as Insert).record['id']);
      expect(ids).toEqual([10, 11, 12, 13, 14]);
      for (const each of received) await store.park(parkingOf(each));
      const rows = await db.query(
        `SELECT change FROM nestjs_pg_listener.parked WHERE slot_name = 'copies' ORDER BY id`,
      );
      const copies = new Map(rows.map(({ change }, index) => [ids[index], change]));
      expect(copies.get(10)).toMatchObject({ operation: 'insert', record: { id: 10, txt: 'readable', big: '5' } });
      expect([11, 12, 13, 14].map((id) => copies.get(id))).toEqual([null, null, null, null]);
      expect(await store.count({})).toBe(received.length);
    } finally {
      await store.close();
    }
  });

  it('that a parser fails on hold up nothing but what waits for them', async () => {
    const received = await source.changesOf(
      `INSERT INTO wide (id, place) VALUES (20, '(1,2)'), (21, '(1,2)'), (22, NULL), (23, NULL)`,
    );
    let isMended = false;
    const customTypes = typesWith(POINT, () => {
      if (!isMended) throw new Error('not my point');
      return 'a point';
    });
    const store = openStore(db.url, { customTypes });
    try {
      const ids: string[] = [];
      for (const [index, key] of ['a', 'b', 'a', 'c'].entries()) {
        ids.push((await store.park(parkingOf(received[index]!, { keys: [key], attempts: 1 })))!.id);
      }
      for (let time = 0; time < 2; time++) {
        expect((await store.due({}, [], 2)).map(({ id }) => id)).toEqual([ids[3]]);
      }
      expect(store.logs.lines.filter((line) => line.includes('cannot be read'))).toHaveLength(2);
      await expect(store.list({})).rejects.toMatchObject({
        code: 'PG_LISTENER_PARKING',
        message: expect.stringContaining(`discard({ ids: ['${ids[0]}'] })`),
      });
      expect(await store.list({ ids: [ids[2]!] })).toHaveLength(1);
      isMended = true;
      expect((await store.list({})).map(({ attempts }) => attempts)).toEqual([2, 2, 1, 1]);
      expect((await store.due({ ids: [ids[0]!] }, [], 2)).map(({ id }) => id)).toEqual([ids[0]]);
      expect((await store.due({}, [], 4)).map(({ id }) => id)).toEqual([ids[0], ids[3]]);
    } finally {
      await store.close();
    }
  });
});
