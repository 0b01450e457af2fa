import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  OnTransaction,
  PgListener,
  type Change,
  type PgListenerOptions,
  type Transaction,
  type UpdateChange,
} from 'nestjs-pg-listener';
import { TestApplications, type LogCollector } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

interface Doc {
  readonly id: number;
  readonly title: string;
  readonly body: string | null;
}
const LARGE = 9_000;
const large = (letter: string): string => letter.repeat(LARGE);
/** Of a change, what is short enough to be read. */
function summary(change: Change): unknown {
  const short = (row: object | null): unknown =>
    row === null
      ? null
      : Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            typeof value === 'string' && value.length >= LARGE ? value[0] : value,
          ]),
        );
  const { operation } = change;
  if (operation === 'insert') return { operation, record: short(change.record) };
  if (operation === 'delete') return { operation, oldRecord: short(change.oldRecord) };
  if (operation !== 'update') return { operation };
  const { changedColumns, unchangedToast, rereadToast } = change;
  return {
    operation,
    record: short(change.record),
    oldRecord: short(change.oldRecord),
    changedColumns,
    unchangedToast,
    rereadToast,
  };
}

describe.each([
  ['text', false],
  ['binary', true],
])('the rows of a change, in %s', (_format, binary) => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeAll(async () => {
    db = await createDatabase();
  });
  afterAll(() => db?.drop());
  afterEach(async () => {
    await apps.close();
    await db.query('DROP TABLE IF EXISTS docs; DROP PUBLICATION IF EXISTS mine');
  });

  /** What a handler is given of these statements. */
  async function changesOf(table: string, statements: readonly string[], count: number): Promise<unknown[]> {
    await db.query(
      `${table}; ALTER TABLE docs ALTER body SET STORAGE EXTERNAL; CREATE PUBLICATION mine FOR TABLE docs`,
    );
    return (await heard(statements, count)).seen;
  }

  async function heard(statements: readonly string[], count: number): Promise<{ seen: unknown[]; logs: LogCollector }> {
    const seen: unknown[] = [];
    @Injectable()
    class Handler {
      @OnTableChange('docs')
      on(change: Change): void {
        seen.push(summary(change));
      }
    }
    const options = { connection: db.url, slot: 'temporary', publications: ['mine'], binary } as const;
    const { logs } = await apps.start(options, [Handler]);
    for (const statement of statements) await db.query(statement);
    await waitFor(
      () => seen.length >= count,
      () => JSON.stringify(seen),
    );
    return { seen, logs };
  }

  const rereadToast: string[] = [];
  const WORK = [
    `INSERT INTO docs VALUES (1, 'a', '${large('x')}')`,
    `UPDATE docs SET title = 'b'`,
    `UPDATE docs SET body = '${large('y')}'`,
    `UPDATE docs SET id = 2, title = NULL`,
    `UPDATE docs SET body = NULL`,
    `DELETE FROM docs`,
  ];

  it('under REPLICA IDENTITY DEFAULT: of the old row, the key, where it changed', async () => {
    const told = { changedColumns: null, rereadToast };
    expect(await changesOf('CREATE TABLE docs (id int PRIMARY KEY, title text, body text)', WORK, 6)).toEqual([
      { operation: 'insert', record: { id: 1, title: 'a', body: 'x' } },
      { operation: 'update', record: { id: 1, title: 'b' }, oldRecord: null, unchangedToast: ['body'], ...told },
      { operation: 'update', record: { id: 1, title: 'b', body: 'y' }, oldRecord: null, unchangedToast: [], ...told },
      { operation: 'update', record: { id: 2, title: null }, oldRecord: { id: 1 }, unchangedToast: ['body'], ...told },
      { operation: 'update', record: { id: 2, title: null, body: null }, oldRecord: null, unchangedToast: [], ...told },
      { operation: 'delete', oldRecord: { id: 2 } },
    ]);
  });

  it('under REPLICA IDENTITY USING INDEX: of the old row, the columns of the index, where one changed', async () => {
    const table = `CREATE TABLE docs (id int PRIMARY KEY, title text NOT NULL, body text);
      CREATE UNIQUE INDEX docs_title ON docs (title); ALTER TABLE docs REPLICA IDENTITY USING INDEX docs_title`;
    const work = [WORK[0]!, 'UPDATE docs SET id = 2', WORK[1]!, 'DELETE FROM docs'];
    const told = { changedColumns: null, unchangedToast: ['body'], rereadToast };
    expect(await changesOf(table, work, 4)).toEqual([
      { operation: 'insert', record: { id: 1, title: 'a', body: 'x' } },
      { operation: 'update', record: { id: 2, title: 'a' }, oldRecord: null, ...told },
      { operation: 'update', record: { id: 2, title: 'b' }, oldRecord: { title: 'a' }, ...told },
      { operation: 'delete', oldRecord: { title: 'b' } },
    ]);
  });

  it('under REPLICA IDENTITY DEFAULT, with a key that lies in TOAST: it is told of the old row, and of the new one', async () => {
    const key = Array.from({ length: 105 }, (_, index) => `${index}${'k'.repeat(20)}`).join('');
    const table = 'CREATE TABLE docs (id int, title text, body text, PRIMARY KEY (id, body))';
    const seen = await changesOf(table, [`INSERT INTO docs VALUES (1, 'a', '${key}')`, WORK[1]!, WORK[5]!], 3);
    expect(seen).toEqual([
      { operation: 'insert', record: { id: 1, title: 'a', body: key } },
      {
        operation: 'update',
        record: { id: 1, title: 'b', body: key },
        oldRecord: { id: 1, body: key },
        changedColumns: null,
        unchangedToast: [],
        rereadToast,
      },
      { operation: 'delete', oldRecord: { id: 1, body: key } },
    ]);
  });

  it('under REPLICA IDENTITY FULL: all of the old row, which has what is not sent of the new one', async () => {
    const table =
      'CREATE TABLE docs (id int PRIMARY KEY, title text, body text); ALTER TABLE docs REPLICA IDENTITY FULL';
    const told = { operation: 'update', unchangedToast: [], rereadToast };
    const rows = [
      { id: 1, title: 'a', body: 'x' },
      { id: 1, title: 'b', body: 'x' },
      { id: 1, title: 'b', body: 'y' },
      { id: 2, title: null, body: 'y' },
      { id: 2, title: null, body: null },
    ];
    const changed = [['title'], ['body'], ['id', 'title'], ['body']];
    expect(await changesOf(table, WORK, 6)).toEqual([
      { operation: 'insert', record: rows[0] },
      ...changed.map((changedColumns, at) =>
        Object.assign({ record: rows[at + 1], oldRecord: rows[at], changedColumns }, told),
      ),
      { operation: 'delete', oldRecord: rows[4] },
    ]);
  });

  it.each([
    [
      'under REPLICA IDENTITY NOTHING',
      'CREATE TABLE docs (id int PRIMARY KEY, title text, body text); ALTER TABLE docs REPLICA IDENTITY NOTHING',
    ],
    ['without a primary key', 'CREATE TABLE docs (id int, title text, body text)'],
    [
      'with a primary key that is deferrable',
      'CREATE TABLE docs (id int PRIMARY KEY DEFERRABLE, title text, body text)',
    ],
  ])('%s: there are inserts only, and PostgreSQL refuses the rest', async (_what, table) => {
    expect(await changesOf(table, [WORK[0]!], 1)).toEqual([
      { operation: 'insert', record: { id: 1, title: 'a', body: 'x' } },
    ]);
    await expect(db.query(WORK[1]!)).rejects.toMatchObject({ code: '55000' });
    await expect(db.query(WORK[5]!)).rejects.toMatchObject({ code: '55000' });
  });

  describe('of a partitioned table, whose partitions log them as their own replica identity has it', () => {
    const DELETED = { operation: 'delete', oldRecord: { id: 2 } };
    const told = { unchangedToast: ['body'], rereadToast };

    it.each([
      {
        // The server says of the old row that it is whole.
        named: 'FULL, of the root alone',
        identity: 'ALTER TABLE docs REPLICA IDENTITY FULL',
        mend: 'ALTER TABLE public.docs_1 REPLICA IDENTITY FULL;',
        updated: { oldRecord: { id: 1 }, changedColumns: null, ...told },
        deleted: DELETED,
      },
      {
        named: 'USING INDEX, of the partition alone',
        identity:
          'CREATE UNIQUE INDEX docs_1_title ON docs_1 (title); ALTER TABLE docs_1 REPLICA IDENTITY USING INDEX docs_1_title',
        mend: 'ALTER TABLE public.docs_1 REPLICA IDENTITY DEFAULT;',
        updated: { oldRecord: null, changedColumns: null, ...told },
        deleted: { operation: 'delete', oldRecord: {} },
      },
      {
        named: 'FULL, of the partition alone: its root asks for the key',
        identity: 'ALTER TABLE docs_1 REPLICA IDENTITY FULL',
        mend: null,
        updated: { oldRecord: { id: 1 }, changedColumns: null, ...told },
        deleted: DELETED,
      },
    ])('$named', async ({ identity, mend, updated, deleted }) => {
      const table = `CREATE TABLE docs (id int PRIMARY KEY, title text NOT NULL, body text) PARTITION BY RANGE (id);
        CREATE TABLE docs_1 PARTITION OF docs FOR VALUES FROM (0) TO (9); ALTER TABLE docs_1 ALTER body SET STORAGE EXTERNAL`;
      await db.query(`${table}; ${identity}`);
      await db.query('CREATE PUBLICATION mine FOR TABLE docs WITH (publish_via_partition_root = true)');
      const work = [`INSERT INTO docs VALUES (1, 'a', '${large('x')}')`, 'UPDATE docs SET id = 2', 'DELETE FROM docs'];
      const { seen, logs } = await heard(work, 3);
      const record = { id: 2, title: 'a' };
      expect(seen.slice(1)).toEqual([{ operation: 'update', record, ...updated }, deleted]);
      const warning = logs.find('partitions of it have another replica identity than the table itself');
      if (mend === null) return expect(warning).toBeUndefined();
      expect(warning).toContain(mend);
      await apps.close();
      await db.query(mend);
      const after = await heard([], 0);
      expect(after.logs.find('another replica identity')).toBeUndefined();
    });

    it('is known by what is sent, of a partition that comes while the app streams', async () => {
      await db.query(`CREATE TABLE docs (id int PRIMARY KEY, title text, body text) PARTITION BY RANGE (id);
        ALTER TABLE docs REPLICA IDENTITY FULL;
        CREATE PUBLICATION mine FOR TABLE docs WITH (publish_via_partition_root = true)`);
      const { seen } = await heard(
        [
          `CREATE TABLE docs_1 PARTITION OF docs FOR VALUES FROM (0) TO (9); ALTER TABLE docs_1 ALTER body SET STORAGE EXTERNAL`,
          `INSERT INTO docs VALUES (1, 'a', '${large('x')}')`,
          'UPDATE docs SET id = 2',
          // The table is described once more, as it is whenever the server has thought anew of it.
          'ALTER TABLE docs_1 SET (fillfactor = 90)',
          'DELETE FROM docs',
        ],
        3,
      );
      expect(seen[1]).toMatchObject({
        record: { id: 2, title: 'a' },
        oldRecord: { id: 1 },
        changedColumns: null,
        ...told,
      });
      expect(seen[2]).toEqual(DELETED);
    });
  });

  describe("toast: 'reread'", () => {
    const DOCS =
      'CREATE TABLE docs (id int, part timestamptz, title text, body text, more jsonb, PRIMARY KEY (id, part))';
    const JSON_LARGE = `jsonb_build_object('a', (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 400) i))`;

    async function start(
      more: Partial<PgListenerOptions>,
      providers: readonly Type[],
      table = DOCS,
    ): Promise<PgListener> {
      await db.query(`${table}; ALTER TABLE docs ALTER body SET STORAGE EXTERNAL, ALTER more SET STORAGE EXTERNAL`);
      const app = await apps.start(
        { connection: db.url, slot: db.slot(), toast: 'reread', binary, ...more },
        providers,
      );
      logs = app.logs.lines;
      return app.listener;
    }
    let logs: readonly string[] = [];
    const insert = (id: number): Promise<unknown> =>
      db.query(`INSERT INTO docs VALUES (${id}, '2026-01-01 00:00:00.123456+00', 'a', '${large('x')}', ${JSON_LARGE})`);

    it.each([
      ['in turn', {}],
      ['in lanes', { concurrency: 4 }],
      ['as arrays', { batch: { size: 10, maxWaitMs: 20 } }],
      ['transactional', { transactional: true }],
    ])('reads what was not sent from the table, and says so: %s', async (_how, options) => {
      const seen: UpdateChange<Doc & { more: unknown }>[] = [];
      @Injectable()
      class Handler {
        @OnTableChange('docs', 'update', options as object)
        on(given: unknown): void {
          seen.push(...([given].flat() as UpdateChange<Doc & { more: unknown }>[]));
        }
      }
      const listener = await start({}, [Handler as Type]);
      for (const id of [1, 2, 3]) await insert(id);
      // One with another key.
      await db.query(`UPDATE docs SET title = 'b' || id, id = CASE id WHEN 3 THEN 30 ELSE id END`);
      await waitFor(
        () => seen.length === 3,
        () => `${seen.length} updates; ${logs.join('\n')}`,
      );
      const rows = await db.query('SELECT * FROM docs ORDER BY id');
      expect(seen.map(({ record }) => record)).toEqual(rows);
      for (const { unchangedToast, rereadToast: reread } of seen) {
        expect([unchangedToast, reread]).toEqual([[], ['body', 'more']]);
      }
      expect(Object.keys(seen[0]!.record)).toEqual(['id', 'part', 'title', 'body', 'more']);
      await waitFor(() => listener.stats().unsettledTransactions === 0, 'everything to settle');
    });

    it('gives the value that the table has by then; of a row that is gone it stays unread', async () => {
      const seen: UpdateChange<Doc>[] = [];
      let isHeld = true;
      @Injectable()
      class Handler {
        @OnTableChange('docs')
        async on(change: Change<Doc>): Promise<void> {
          if (change.operation === 'insert') await waitFor(() => !isHeld, 'the table');
          if (change.operation === 'update') seen.push(change);
        }
      }
      await start({}, [Handler]);
      await insert(1);
      await insert(2);
      await db.query(`UPDATE docs SET title = 'b'`);
      await db.query(`UPDATE docs SET body = '${large('z')}' WHERE id = 1; DELETE FROM docs WHERE id = 2`);
      isHeld = false;
      await waitFor(
        () => seen.length === 3,
        () => `${seen.length} updates`,
      );
      expect(
        seen.map(({ record: { id, body }, unchangedToast, rereadToast: reread }) => [
          id,
          body?.[0],
          unchangedToast,
          reread,
        ]),
      ).toEqual([
        [1, 'z', [], ['body', 'more']],
        [2, undefined, ['body', 'more'], []],
        [1, 'z', [], ['more']],
      ]);
    });

    it('asks once for all handlers and tries, also for whole transactions and what is parked', async () => {
      const bodies: string[] = [];
      let fails = true;
      @Injectable()
      class Handler {
        @OnTableChange('docs', 'update', { id: 'parks', onExhausted: 'park', retry: { attempts: 2, minDelayMs: 1 } })
        parks({ record }: UpdateChange<Doc>): void {
          bodies.push(`parks ${record.body?.[0]}`);
          if (fails) throw new Error('not yet');
        }
        @OnTransaction({ id: 'whole' })
        async whole({ changes }: Transaction): Promise<void> {
          for await (const change of changes) {
            const { body } = (change as UpdateChange<Doc>).record;
            bodies.push(`whole ${change.operation} ${body?.[0]}`);
          }
        }
      }
      const listener = await start({}, [Handler]);
      await insert(1);
      await db.query(`UPDATE docs SET title = 'b'`);
      await waitFor(
        () => bodies.length === 4,
        () => bodies.join(),
      );
      expect(bodies).toEqual(['whole insert x', 'parks x', 'parks x', 'whole update x']);
      await db.query(`UPDATE docs SET body = '${large('y')}'`);
      await waitFor(
        () => bodies.length === 5,
        () => bodies.join(),
      );
      fails = false;
      await listener.parked.retry();
      expect(bodies.slice(4)).toEqual(['whole update y', 'parks y', 'parks y']);
    });

    it.each([
      ['a table', '', ''],
      ['a partitioned table', ' PARTITION BY LIST (id)', '; CREATE TABLE %_1 PARTITION OF docs FOR VALUES IN (1)'],
    ])('does not read another row: %s whose name is another one’s by then', async (_what, clause, more) => {
      const seen: unknown[] = [];
      @Injectable()
      class Handler {
        @OnTableChange('docs', 'update')
        on({ unchangedToast, rereadToast: reread }: UpdateChange): void {
          seen.push([unchangedToast, reread]);
        }
      }
      await start({}, [Handler], `${DOCS}${clause}${more.replace('%', 'old')}`);
      await insert(1);
      await db.query(`BEGIN; UPDATE docs SET title = 'b'; UPDATE docs SET title = 'c'; ALTER TABLE docs RENAME TO old_docs;
        ALTER TABLE old_docs RENAME CONSTRAINT docs_pkey TO old_docs_pkey; ${DOCS}${clause}${more.replace('%', 'new')};
        INSERT INTO docs SELECT * FROM old_docs; COMMIT`);
      await waitFor(
        () => seen.length === 2,
        () => logs.join('\n'),
      );
      await db.query('DROP TABLE old_docs');
      expect(seen).toEqual([
        [['body', 'more'], []],
        [['body', 'more'], []],
      ]);
    });

    it('does not read the rows of tables that inherit', async () => {
      const seen: UpdateChange<Doc>[] = [];
      @Injectable()
      class Handler {
        @OnTableChange('docs', 'update')
        on(change: UpdateChange<Doc>): void {
          seen.push(change);
        }
      }
      await start({}, [Handler]);
      await insert(1);
      await db.query('CREATE TABLE heirs () INHERITS (docs)');
      try {
        await db.query(`INSERT INTO heirs SELECT id, part, title, 'other' FROM docs; UPDATE ONLY docs SET title = 'b'`);
        await waitFor(
          () => seen.length === 1,
          () => logs.join('\n'),
        );
        expect(seen[0]!.record.body?.[0]).toBe('x');
      } finally {
        await apps.close();
        await db.query('DROP TABLE heirs');
      }
    });

    it('leaves it, too, without the right to read the table', async () => {
      const seen: unknown[] = [];
      @Injectable()
      class Handler {
        @OnTableChange('docs', 'update')
        on({ unchangedToast }: UpdateChange): void {
          seen.push(unchangedToast);
        }
      }
      const url = new URL(db.url);
      const role = `reader_${Date.now()}`;
      await db.query(
        `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.name} TO ${role}`,
      );
      url.username = role;
      url.password = 'secret';
      try {
        await db.query(
          `${DOCS}; ALTER TABLE docs ALTER body SET STORAGE EXTERNAL; CREATE PUBLICATION mine FOR TABLE docs`,
        );
        const app = await apps.start(
          { connection: url.href, slot: 'temporary', toast: 'reread', publications: ['mine'], binary },
          [Handler],
        );
        await db.query(`INSERT INTO docs VALUES (1, now(), 'a', '${large('x')}'); UPDATE docs SET title = 'b'`);
        await db.query(`UPDATE docs SET title = 'c'`);
        await waitFor(
          () => seen.length === 2,
          () => app.logs.lines.join('\n'),
        );
        expect(seen).toEqual([['body'], ['body']]);
        const told = app.logs.lines.filter((line) => line.includes('stay unread'));
        expect(told).toEqual([expect.stringContaining('public.docs: unchanged TOAST values stay unread')]);
      } finally {
        await apps.close();
        await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    });
  });
});
