import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Change, DeleteChange, InsertChange, TruncateChange, UpdateChange } from 'nestjs-pg-listener';
import { recorderOf, startApplication, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

describe('row changes on a real server', () => {
  const Recorder = recorderOf(['*', '!silent']);
  let db: TestDatabase;
  let app: TestApplication;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`
      CREATE TABLE plain (id int PRIMARY KEY, name text, at timestamptz, amount numeric, data jsonb, bytes bytea, big bigint, flag bool, tags text[]);
      CREATE TABLE full_identity (id int PRIMARY KEY, name text, at timestamp, big text);
      ALTER TABLE full_identity REPLICA IDENTITY FULL;
      CREATE TABLE index_identity (id int PRIMARY KEY, code text NOT NULL, name text);
      CREATE UNIQUE INDEX by_code ON index_identity (code);
      ALTER TABLE index_identity REPLICA IDENTITY USING INDEX by_code;
      CREATE TABLE silent (id int PRIMARY KEY);
      CREATE TABLE wide (id int PRIMARY KEY, note text, big text);
      ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
      CREATE DOMAIN positive AS int CHECK (VALUE > 0);
      CREATE TABLE with_domain (id positive PRIMARY KEY);
      CREATE SCHEMA other;
      CREATE TABLE other.plain (id int PRIMARY KEY, name text);
      CREATE SCHEMA "Großes Schema";
      CREATE TABLE "Großes Schema"."Ta.bel""le *!" (id int PRIMARY KEY, "Spalte Ä" text, "__proto__" text, "constructor" int);
      CREATE TABLE parent_table (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE part_2026 PARTITION OF parent_table FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    `);
    app = await startApplication({ connection: db.url, slot: db.slot() }, [Recorder]);
  });

  afterAll(async () => {
    await app?.close();
    await db?.drop();
  });

  /** Runs the statements and gives the changes that came of them. */
  async function changesOf(count: number, ...statements: string[]): Promise<Change[]> {
    const before = Recorder.changes.length;
    for (const sql of statements) await db.query(sql);
    await waitFor(
      () => Recorder.changes.length >= before + count,
      () => `${count} changes; ${Recorder.changes.length - before} came`,
    );
    return Recorder.changes.slice(before);
  }

  it('gives an insert as the row that SELECT gives', async () => {
    const [change] = (await changesOf(
      1,
      `INSERT INTO plain VALUES (1, 'Ünï', '2026-02-03 04:05:06.789+02', 12.340, '{"a": [1, null]}', '\\x00ff', 9007199254740993, true, '{a,"b c",NULL}')`,
    )) as InsertChange[];
    const [row] = await db.query('SELECT * FROM plain WHERE id = 1');
    expect(change!.record).toEqual(row);
    expect(change).toMatchObject({ app: 'default', operation: 'insert', schema: 'public', table: 'plain', index: 0 });
    expect(change!.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(change!.id).toBe(`${change!.lsn}/0`);
    expect(change!.commitTimestamp.getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  it('gives an update with DEFAULT identity: no old row where the key stays, the old key where it changes', async () => {
    const [kept, moved] = (await changesOf(
      2,
      `UPDATE plain SET name = 'other' WHERE id = 1`,
      `UPDATE plain SET id = 2 WHERE id = 1`,
    )) as UpdateChange[];
    expect(kept).toMatchObject({ operation: 'update', oldRecord: null, changedColumns: null, unchangedToast: [] });
    expect(kept!.record).toMatchObject({ id: 1, name: 'other' });
    expect(moved!.oldRecord).toEqual({ id: 1 });
    expect(moved!.record).toMatchObject({ id: 2 });
  });

  it('gives an update with FULL identity: the whole old row and the changed columns, to the microsecond', async () => {
    await changesOf(1, `INSERT INTO full_identity VALUES (1, 'a', '2026-01-01 00:00:00.000001', repeat('x', 10))`);
    const [update] = (await changesOf(
      1,
      `UPDATE full_identity SET name = 'b', at = '2026-01-01 00:00:00.000002'`,
    )) as UpdateChange[];
    expect(update!.oldRecord).toMatchObject({ id: 1, name: 'a' });
    expect(Object.keys(update!.oldRecord!)).toEqual(['id', 'name', 'at', 'big']);
    expect(update!.changedColumns).toEqual(['name', 'at']);
  });

  it('gives the columns of the index where the identity is USING INDEX', async () => {
    await changesOf(1, `INSERT INTO index_identity VALUES (1, 'k1', 'n')`);
    const [kept, moved, gone] = (await changesOf(
      3,
      `UPDATE index_identity SET id = 7`,
      `UPDATE index_identity SET code = 'k2'`,
      `DELETE FROM index_identity`,
    )) as [UpdateChange, UpdateChange, DeleteChange];
    expect(kept.oldRecord).toBeNull();
    expect(moved.oldRecord).toEqual({ code: 'k1' });
    expect(gone.oldRecord).toEqual({ code: 'k2' });
  });

  it('gives a delete with the key, or the whole row under FULL', async () => {
    const [byKey] = (await changesOf(1, 'DELETE FROM plain')) as DeleteChange[];
    expect(byKey).toMatchObject({ operation: 'delete', oldRecord: { id: 2 } });
    const [whole] = (await changesOf(1, 'DELETE FROM full_identity')) as DeleteChange[];
    expect(whole!.oldRecord).toMatchObject({ id: 1, name: 'b' });
  });

  it('gives a truncate of several tables as one change for each', async () => {
    const changes = (await changesOf(2, 'TRUNCATE plain, full_identity RESTART IDENTITY CASCADE')) as TruncateChange[];
    expect(changes.map((change) => [change.operation, change.table, change.index])).toEqual([
      ['truncate', 'plain', 0],
      ['truncate', 'full_identity', 1],
    ]);
    expect(changes[0]).toMatchObject({ cascade: true, restartIdentity: true });
  });

  it('keeps the order within and between transactions, and never shows what was rolled back', async () => {
    const changes = await changesOf(
      5,
      `BEGIN; INSERT INTO plain (id) VALUES (10), (11); UPDATE plain SET name = 'x' WHERE id = 10;
       SAVEPOINT s; INSERT INTO plain (id) VALUES (666); ROLLBACK TO s; COMMIT`,
      `BEGIN; INSERT INTO plain (id) VALUES (667); ROLLBACK`,
      `BEGIN; DELETE FROM plain WHERE id = 11; INSERT INTO plain (id) VALUES (12); COMMIT`,
    );
    const seen = changes.map((change) => {
      const row = change.operation === 'delete' ? change.oldRecord : (change as InsertChange).record;
      return `${change.operation} ${String(row!['id'])} ${change.index}`;
    });
    expect(seen).toEqual(['insert 10 0', 'insert 11 1', 'update 10 2', 'delete 11 0', 'insert 12 1']);
    expect(new Set(changes.map((change) => change.lsn)).size).toBe(2);
  });

  it('tells the same table name in two schemas apart', async () => {
    const changes = await changesOf(2, `INSERT INTO other.plain VALUES (1, 'o')`, `INSERT INTO plain (id) VALUES (20)`);
    expect(changes.map((change) => `${change.schema}.${change.table}`)).toEqual(['other.plain', 'public.plain']);
  });

  it('takes quoted, upper-case and multibyte names, and columns that would be traps in JavaScript', async () => {
    const [change] = (await changesOf(
      1,
      `INSERT INTO "Großes Schema"."Ta.bel""le *!" VALUES (1, 'ä', 'p', 5)`,
    )) as InsertChange[];
    const [row] = await db.query('SELECT * FROM "Großes Schema"."Ta.bel""le *!"');
    expect([change!.schema, change!.table]).toEqual(['Großes Schema', 'Ta.bel"le *!']);
    expect(Object.keys(change!.record)).toEqual(['id', 'Spalte Ä', '__proto__', 'constructor']);
    expect(change!.record['Spalte Ä']).toBe(row['Spalte Ä']);
    expect(Object.getOwnPropertyDescriptor(change!.record, '__proto__')!.value).toBe('p');
    expect(change!.record['constructor']).toBe(5);
  });

  it('leaves an unchanged TOAST value out and names it, and fills it from the old row under FULL', async () => {
    await changesOf(1, `INSERT INTO wide VALUES (1, 'n', repeat('x', 10000))`);
    const [touched] = (await changesOf(1, `UPDATE wide SET note = 'm'`)) as UpdateChange[];
    expect(touched!.record).toEqual({ id: 1, note: 'm' });
    expect('big' in touched!.record).toBe(false);
    expect(touched!.unchangedToast).toEqual(['big']);
    await db.query('ALTER TABLE wide REPLICA IDENTITY FULL');
    const [filled] = (await changesOf(1, `UPDATE wide SET note = 'o'`)) as UpdateChange[];
    expect(filled!.record['big']).toBe('x'.repeat(10_000));
    expect(filled!.unchangedToast).toEqual([]);
    expect(filled!.changedColumns).toEqual(['note']);
  });

  it('reads a domain like its base type, as a query does', async () => {
    const [change] = (await changesOf(1, 'INSERT INTO with_domain VALUES (3)')) as InsertChange[];
    expect(change!.record).toEqual({ id: 3 });
  });

  it('names a partition by its parent', async () => {
    const [change] = (await changesOf(1, `INSERT INTO parent_table VALUES (1, '2026-05-05')`)) as InsertChange[];
    expect(change!.table).toBe('parent_table');
  });

  it('follows a table that is altered while streaming', async () => {
    const [before, after] = (await changesOf(
      2,
      `INSERT INTO other.plain VALUES (2, 'x')`,
      `ALTER TABLE other.plain ADD COLUMN extra int DEFAULT 5, DROP COLUMN name`,
      `INSERT INTO other.plain VALUES (3)`,
    )) as InsertChange[];
    expect(before!.record).toEqual({ id: 2, name: 'x' });
    expect(after!.record).toEqual({ id: 3, extra: 5 });
  });

  it('leaves excluded tables out', async () => {
    const changes = await changesOf(1, 'INSERT INTO silent VALUES (1)', 'INSERT INTO plain (id) VALUES (99)');
    expect(changes.map((change) => change.table)).toEqual(['plain']);
  });
});
