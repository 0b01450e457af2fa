import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  OnTransaction,
  type PgListenerOptions,
  type Transaction,
  type UpdateChange,
} from 'nestjs-pg-listener';
import pg from 'pg';
import { TestApplications } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

const large = (letter: string): string => letter.repeat(9_000);
const REFUSED = 'unchanged TOAST values stay unread, `unchangedToast` names them';
const JSONB = 3802;

describe.each([
  ['text', false],
  ['binary', true],
])("toast: 'reread', in %s", (_format, binary) => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE SCHEMA s; CREATE SCHEMA extensions');
  });
  afterAll(() => db?.drop());
  afterEach(async () => {
    await apps.close();
    await db.query(`DROP PUBLICATION IF EXISTS mine; DROP SCHEMA s CASCADE; CREATE SCHEMA s;
      DROP SCHEMA extensions CASCADE; CREATE SCHEMA extensions`);
  });

  /** What handlers are given of the updates in schema s. */
  async function follow(tables: string, options: Partial<PgListenerOptions> = {}) {
    await db.query(`${tables}; CREATE PUBLICATION mine FOR ALL TABLES WITH (publish_via_partition_root)`);
    const seen: UpdateChange<Record<string, unknown>>[] = [];
    @Injectable()
    class Handler {
      @OnTableChange('s.*', 'update')
      on(change: UpdateChange<Record<string, unknown>>): void {
        seen.push(change);
      }
    }
    const app = await apps.start(
      { connection: db.url, slot: 'temporary', publications: ['mine'], toast: 'reread', binary, ...options },
      [Handler as Type],
    );
    const updates = async (count: number): Promise<unknown[]> => {
      await waitFor(
        () => seen.length >= count,
        () => `${seen.length} updates; ${app.logs.lines.join('\n')}`,
      );
      return seen.map(({ record, unchangedToast, rereadToast }) => ({ record, unchangedToast, rereadToast }));
    };
    return { updates, refusals: () => app.logs.lines.filter((line) => line.includes('stay unread')) };
  }
  const read = (record: object, ...columns: string[]) => ({ record, unchangedToast: [], rereadToast: columns });
  const unread = (record: object, ...columns: string[]) => ({ record, unchangedToast: columns, rereadToast: [] });

  it('reads a composite value whose type has got an attribute since', async () => {
    const { updates, refusals } = await follow(
      `CREATE TYPE s.c AS (body text, n int); CREATE TABLE s.docs (id int PRIMARY KEY, title text, c s.c);
       ALTER TABLE s.docs ALTER c SET STORAGE EXTERNAL; INSERT INTO s.docs VALUES (1, 'a', ROW('${large('x')}', 1))`,
      { types: 'rich' },
    );
    await db.query(`UPDATE s.docs SET title = 'b'`);
    await updates(1);
    await db.query(`ALTER TYPE s.c ADD ATTRIBUTE more text`);
    await db.query(`UPDATE s.docs SET title = 'c'`);
    expect(await updates(2)).toEqual([
      read({ id: 1, title: 'b', c: { body: large('x'), n: 1 } }, 'c'),
      read({ id: 1, title: 'c', c: { body: large('x'), n: 1, more: null } }, 'c'),
    ]);
    expect(refusals()).toEqual([]);
  });

  it('reads one table where another of the same transaction is gone, and says of which it cannot', async () => {
    const table = (name: string): string => `CREATE TABLE s.${name} (id int PRIMARY KEY, title text, body text);
      ALTER TABLE s.${name} ALTER body SET STORAGE EXTERNAL; INSERT INTO s.${name} VALUES (1, 'a', '${large('x')}')`;
    await db.query(`${table('gone')}; ${table('alive')}; CREATE PUBLICATION mine FOR ALL TABLES`);
    const seen: unknown[] = [];
    let isHeld = true;
    @Injectable()
    class Handler {
      @OnTransaction()
      async on({ changes }: Transaction): Promise<void> {
        await waitFor(() => !isHeld, 'the table to be gone');
        for await (const change of changes) {
          if (change.operation === 'update') seen.push([change.table, change.unchangedToast, change.rereadToast]);
        }
      }
    }
    const app = await apps.start(
      { connection: db.url, slot: 'temporary', publications: ['mine'], toast: 'reread', binary },
      [Handler],
    );
    await db.query(`BEGIN; UPDATE s.gone SET title = 'b'; UPDATE s.alive SET title = 'b'; COMMIT; DROP TABLE s.gone`);
    isHeld = false;
    await waitFor(
      () => seen.length === 2,
      () => app.logs.lines.join('\n'),
    );
    expect(seen).toEqual([
      ['gone', ['body'], []],
      ['alive', [], ['body']],
    ]);
    const told = app.logs.lines.filter((line) => line.includes('stay unread'));
    expect(told).toEqual([
      expect.stringContaining(`s.gone: ${REFUSED}: the table was dropped, or has another name by now`),
    ]);
  });

  it('tells nothing of a value that a parser of the application throws on, and leaves it', async () => {
    const parse = (text: string): unknown => {
      if (text.includes('secret')) throw new Error(`no good: ${text}`);
      return JSON.parse(text) as unknown;
    };
    const types = {
      getTypeParser: (oid: number, format: 'text') => (oid === JSONB ? parse : pg.types.getTypeParser(oid, format)),
    };
    const { updates, refusals } = await follow(
      `CREATE TABLE s.docs (id int PRIMARY KEY, title text, body jsonb); ALTER TABLE s.docs ALTER body SET STORAGE EXTERNAL;
       INSERT INTO s.docs SELECT i, 'a', jsonb_build_array(repeat(CASE i WHEN 1 THEN 'secret' ELSE 'x' END, 3000))
         FROM generate_series(1, 2) i`,
      { connection: { connectionString: db.url, types: types as never } },
    );
    await db.query(`UPDATE s.docs SET title = 'b'`);
    expect(await updates(2)).toEqual([
      unread({ id: 1, title: 'b' }, 'body'),
      read({ id: 2, title: 'b', body: ['x'.repeat(3000)] }, 'body'),
    ]);
    expect(refusals()).toEqual([
      expect.stringMatching(/the type parser for oid 3802 threw on a value of s\.docs, column "body"/),
    ]);
    expect(refusals().join()).not.toContain('secret');
  });

  it.each([
    ['citext', `'Key'`, 'Key'],
    ['ltree', `'top.low'`, 'top.low'],
    ['hstore', `'a=>1'`, '"a"=>"1"'],
  ])('finds a row by a key of type %s, whose equality is in the schema of an extension', async (type, sql, key) => {
    const { updates, refusals } = await follow(
      `CREATE EXTENSION ${type} SCHEMA extensions; CREATE DOMAIN s.named AS extensions.${type};
       CREATE TABLE s.docs (n int, key s.named, title text, body text, PRIMARY KEY (n, key) INCLUDE (title));
       ALTER TABLE s.docs ALTER body SET STORAGE EXTERNAL; INSERT INTO s.docs VALUES (1, ${sql}, 'a', '${large('x')}')`,
    );
    await db.query(`UPDATE s.docs SET title = 'b'`);
    expect(await updates(1)).toEqual([read({ n: 1, key, title: 'b', body: large('x') }, 'body')]);
    // The extension may be moved: its operator is looked for again.
    await db.query(`CREATE SCHEMA s2; ALTER EXTENSION ${type} SET SCHEMA s2`);
    await db.query(`UPDATE s.docs SET title = 'c'`);
    try {
      expect((await updates(2))[1]).toEqual(read({ n: 1, key, title: 'c', body: large('x') }, 'body'));
      expect(refusals()).toEqual([]);
    } finally {
      await apps.close();
      await db.query('DROP SCHEMA s2 CASCADE');
    }
  });

  it.each([
    ['finds a row by the primary key', ', PRIMARY KEY (id)', true],
    ['says that it cannot find a row without a primary key', '', false],
  ])('of a partitioned table with REPLICA IDENTITY FULL over partitions without it: %s', async (_what, key, isRead) => {
    const { updates, refusals } = await follow(
      `CREATE TABLE s.docs (title text, id int NOT NULL, body text${key}) PARTITION BY RANGE (id);
       CREATE TABLE s.low PARTITION OF s.docs FOR VALUES FROM (0) TO (10); ALTER TABLE s.docs REPLICA IDENTITY FULL;
       CREATE UNIQUE INDEX low_id ON s.low (id); ALTER TABLE s.low REPLICA IDENTITY USING INDEX low_id;
       ALTER TABLE s.docs ALTER body SET STORAGE EXTERNAL; ALTER TABLE s.low ALTER body SET STORAGE EXTERNAL;
       INSERT INTO s.docs VALUES ('a', 1, '${large('x')}'), ('a', 2, '${large('y')}')`,
    );
    await db.query(`UPDATE s.docs SET title = NULL`);
    const rows = [1, 2].map((id) =>
      isRead
        ? read({ title: null, id, body: large(id === 1 ? 'x' : 'y') }, 'body')
        : unread({ title: null, id }, 'body'),
    );
    expect(await updates(2)).toEqual(rows);
    const reason = `s.docs: ${REFUSED}: the table has no primary key to find a row by`;
    expect(refusals()).toEqual(isRead ? [] : [expect.stringContaining(reason)]);
  });
});
