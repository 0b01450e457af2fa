import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../versioned-postgres.js';
import { Mirror, type Way } from './mirror.js';

/**
 * The cases of PostgreSQL's own subscriptions (src/test/subscription/t), under their numbers, with an application in the
 * subscriber's place. In text, and those about values and columns in binary too.
 */
export function postgresCases(ways: readonly Way[]): void {
  let server: PostgresServer;
  let mirror: Mirror;

  beforeAll(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: '10' } });
  });
  afterAll(() => server?.stop());
  afterEach(() => mirror?.close());

  describe.each(ways)('$name', (way: Way) => {
    /** Not about values: once is enough. */
    const inText = (name: string, test: () => Promise<void>): void => void (way.binary || it(name, test));
    const open = async (tables = 'CREATE TABLE t (a int PRIMARY KEY, b text)'): Promise<void> => {
      mirror = await Mirror.open(way, server.url);
      await mirror.query(tables);
    };
    const expectTheSame = async (...tables: string[]): Promise<void> => {
      for (const table of tables) expect(await mirror.differs(table)).toBeUndefined();
    };

    it('002 types: arrays, ranges, enums, domains, and rows whose key or whole old row is sent', async () => {
      await open(`
        CREATE TYPE colour AS ENUM ('red', 'green'); CREATE DOMAIN ten AS int CHECK (value <= 10);
        CREATE TABLE arrays (a int[] PRIMARY KEY, b text[], c numeric[], d colour[]);
        CREATE TABLE ranges (a int4range PRIMARY KEY, b tstzrange, c int8range[]); ALTER TABLE ranges REPLICA IDENTITY FULL;
        CREATE TABLE named (a colour PRIMARY KEY, b ten, c ten, d interval, e jsonb); ALTER TABLE named REPLICA IDENTITY FULL`);
      await mirror.listen();
      await mirror.transaction(`
        INSERT INTO arrays VALUES ('{1,2}', '{a,NULL,"b c"}', '{1.10,NaN}', '{red,green}'), ('{{3,4},{5,6}}', '{}', NULL, '{}');
        INSERT INTO ranges VALUES ('[1,11)', '[2014-08-04 00:00:00+02,infinity)', '{"[1,2]",empty}'), ('empty', NULL, NULL);
        INSERT INTO named VALUES ('red', 9, NULL, '1 year 2 days', '{"a": [1, null]}'), ('green', 1, 2, '-00:00:01', 'null')`);
      await mirror.transaction(`
        UPDATE arrays SET b = '{x}', c = '{{1,2},{3,4}}' WHERE a = '{1,2}'; UPDATE arrays SET a = '{7}' WHERE b = '{}';
        UPDATE ranges SET b = 'empty', c = NULL WHERE a = '[1,10]'; UPDATE named SET c = 10, e = NULL WHERE a = 'red'`);
      await mirror.transaction(
        `DELETE FROM arrays WHERE a = '{7}'; DELETE FROM ranges WHERE isempty(a); DELETE FROM named WHERE b = 1`,
      );
      await expectTheSame('arrays', 'ranges', 'named');
      expect(mirror.table('named')).toMatchObject([{ a: 'red', b: 9, c: 10, e: null }]);
    });

    it('006 rewrite: a column with a default is added between changes, and nothing of the rewriting is heard', async () => {
      await open();
      await mirror.listen();
      await mirror.transaction(`INSERT INTO t VALUES (1, 'one'), (2, 'two')`);
      await mirror.transaction(
        `ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT md5(random()::text); INSERT INTO t VALUES (3, 'three', 'c')`,
      );
      await mirror.transaction(`UPDATE t SET b = 'changed'`);
      expect(await mirror.take()).toEqual([
        't insert 1',
        't insert 2',
        't insert 3',
        't update 1',
        't update 2',
        't update 3',
      ]);
      await expectTheSame('t');
    });

    inText('010 truncate: one table, several, with identity and cascade, and one that is not published', async () => {
      await open(`
        CREATE TABLE t (a serial PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY); CREATE TABLE v (a int REFERENCES u);
        CREATE TABLE away (a int)`);
      await mirror.listen('pub FOR TABLE t, u, v, markers, bulk');
      await mirror.transaction(
        'INSERT INTO t DEFAULT VALUES; INSERT INTO u VALUES (1); INSERT INTO v VALUES (1); TRUNCATE t RESTART IDENTITY',
      );
      await mirror.transaction(
        'INSERT INTO t DEFAULT VALUES; TRUNCATE away, t; TRUNCATE u CASCADE; INSERT INTO u VALUES (2)',
      );
      const heard = await mirror.take();
      expect(heard).toEqual([
        't insert 1',
        'u insert 1',
        'v insert 1',
        't truncate',
        't insert 1',
        't truncate',
        'u truncate',
        'v truncate',
        'u insert 2',
      ]);
      expect(mirror.changes.filter(({ operation }) => operation === 'truncate')).toMatchObject([
        { table: 't', restartIdentity: true, cascade: false },
        { table: 't', restartIdentity: false, cascade: false },
        { table: 'u', cascade: true },
        { table: 'v', cascade: true },
      ]);
      await expectTheSame('t', 'u', 'v');
    });

    inText('010 truncate: where the publication leaves it out, it is not heard', async () => {
      await open();
      await mirror.listen(`pub FOR ALL TABLES WITH (publish = 'insert')`);
      await mirror.transaction(`INSERT INTO t VALUES (1); UPDATE t SET b = 'x'; TRUNCATE t; INSERT INTO t VALUES (2)`);
      expect(await mirror.take()).toEqual(['t insert 1', 't insert 2']);
    });

    it('011 generated columns: not sent unless the publication says so', async () => {
      await open('CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED)');
      await mirror.listen();
      await mirror.transaction('INSERT INTO g VALUES (1), (2); UPDATE g SET a = 6 WHERE a = 2');
      expect(await mirror.differs('g', 'SELECT a FROM g')).toBeUndefined();
    });

    it('011 generated columns: stored ones are sent where the publication says so', async () => {
      await open('CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED)');
      if (!mirror.isSince(18, 'publish_generated_columns')) return;
      await mirror.listen('pub FOR ALL TABLES WITH (publish_generated_columns = stored)');
      await mirror.transaction('INSERT INTO g VALUES (1), (2); UPDATE g SET a = 6 WHERE a = 2');
      await expectTheSame('g');
      expect(mirror.table('g')).toContainEqual({ a: 6, b: 12 });
    });

    const PARTED = `
      CREATE TABLE p (a int PRIMARY KEY, b text) PARTITION BY LIST (a);
      CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2, 3); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (4, 5, 6)`;

    inText('013 partition: under their own names; a row that moves is deleted and inserted', async () => {
      await open(PARTED);
      await mirror.listen();
      await mirror.transaction(
        `INSERT INTO p VALUES (1, 'x'), (5, 'y'); UPDATE p SET a = 4 WHERE a = 1; UPDATE p SET b = 'z' WHERE a = 5`,
      );
      await mirror.transaction(
        `ALTER TABLE p DETACH PARTITION p2; INSERT INTO p2 VALUES (6); ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (4, 5, 6)`,
      );
      await mirror.transaction('INSERT INTO p VALUES (2); TRUNCATE p1');
      expect(await mirror.take()).toEqual([
        'p1 insert 1',
        'p2 insert 5',
        'p1 delete 1',
        'p2 insert 4',
        'p2 update 5',
        'p2 insert 6',
        'p1 insert 2',
        'p1 truncate',
      ]);
      await expectTheSame('p1', 'p2');
    });

    inText('013 partition: under the name of the root, publish_via_partition_root', async () => {
      await open(PARTED);
      await mirror.listen('pub FOR TABLE p, markers, bulk WITH (publish_via_partition_root)');
      await mirror.transaction(
        `INSERT INTO p VALUES (1, 'x'), (5, 'y'); UPDATE p SET a = 4 WHERE a = 1; UPDATE p SET b = 'z' WHERE a = 5`,
      );
      // 14 goes on under the name of the root, until the connection ends.
      if (mirror.isSince(15, 'the end of a partition, to who is connected,')) {
        await mirror.query('ALTER TABLE p DETACH PARTITION p2');
        await mirror.transaction('INSERT INTO p2 VALUES (6)');
      }
      expect(await mirror.take()).toEqual(['p insert 1', 'p insert 5', 'p delete 1', 'p insert 4', 'p update 5']);
      expect(mirror.table('p')).toEqual([
        { a: 5, b: 'z' },
        { a: 4, b: 'x' },
      ]);
      await mirror.transaction('TRUNCATE p');
      expect(await mirror.take()).toEqual(['p truncate']);
    });

    it('014 binary: numbers and arrays, and what becomes null', async () => {
      await open(`
        CREATE TABLE n (a int PRIMARY KEY, b numeric, c float4, d float8, e bigint, f bytea); ALTER TABLE n REPLICA IDENTITY FULL;
        CREATE TABLE m (a int[], b numeric[], c timestamptz[] ); ALTER TABLE m REPLICA IDENTITY FULL`);
      await mirror.listen('pub FOR TABLE n, markers, bulk');
      await mirror.transaction(`
        INSERT INTO n VALUES (1, 1e-20, 'NaN', '-Infinity', -9223372036854775808, '\\x00ff'), (2, 'NaN', 1.1, 0.1, 1, ''), (3, 0, 0, 0, 0, NULL);
        UPDATE n SET b = NULL, f = NULL WHERE a = 1; UPDATE n SET b = 12345678901234567890.123 WHERE a = 3`);
      await expectTheSame('n');
    });

    it('015 stream: a large transaction, and one that is rolled back, with one between', async () => {
      await open();
      await mirror.listen();
      const many = (from: number): string =>
        `INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(${from}, ${from + 399}) AS i`;
      await mirror.transaction(`${many(1)}; UPDATE t SET b = 'y' WHERE a % 2 = 0; DELETE FROM t WHERE a % 3 = 0`);
      await mirror.transaction(many(1001), 'ROLLBACK');
      await mirror.transaction(many(2001));
      await expectTheSame('t');
      expect(mirror.heard).toHaveLength(400 + 200 + 133 + 400);
      if (way.streaming) expect(await mirror.parts()).toBeGreaterThan(0);
    });

    inText(
      '016 and 018 stream, sub-transactions: what is kept comes in order, what is rolled back vanishes',
      async () => {
        await open();
        await mirror.listen();
        await mirror.transaction(`
        INSERT INTO t VALUES (1); SAVEPOINT s1; INSERT INTO t VALUES (2); SAVEPOINT s2; INSERT INTO t VALUES (3); RELEASE s2;
        SAVEPOINT s3; INSERT INTO t VALUES (4); SAVEPOINT s4; INSERT INTO t VALUES (5); ROLLBACK TO s3; INSERT INTO t VALUES (6);
        ROLLBACK TO s1; INSERT INTO t VALUES (7); SAVEPOINT s5; UPDATE t SET b = 'x' WHERE a = 1`);
        await mirror.transaction('SAVEPOINT s1; INSERT INTO t VALUES (8); ROLLBACK TO s1');
        expect(await mirror.take()).toEqual(['t insert 1', 't insert 7', 't update 1']);
        await expectTheSame('t');
      },
    );

    it('017 and 019 stream, schema: columns that come with a savepoint, and go with it', async () => {
      await open();
      // Servers from 16 on, made to send each change at once, lose a table that is rewritten behind such a savepoint
      // ("could not map filenumber"), also over SQL.
      const retype = way.streaming ? 'SELECT 1' : 'ALTER TABLE t ALTER COLUMN c TYPE text';
      const six = way.streaming ? 6 : '6';
      await mirror.listen();
      await mirror.transaction(`
        INSERT INTO t VALUES (1, 'b'); ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 'b', 3); SAVEPOINT s1;
        ALTER TABLE t ADD COLUMN d text; INSERT INTO t VALUES (3, 'b', 4, 'd'); ROLLBACK TO s1; INSERT INTO t VALUES (4, 'b', 5);
        ${retype}; ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (5, '6')`);
      await mirror.transaction('INSERT INTO t VALUES (6, NULL)');
      await mirror.caughtUp();
      expect(mirror.changes.map((change) => ('record' in change ? change.record : undefined))).toEqual([
        { a: 1, b: 'b' },
        { a: 2, b: 'b', c: 3 },
        { a: 4, b: 'b', c: 5 },
        { a: 5, c: six },
        { a: 6, c: null },
      ]);
    });

    inText(
      '020 messages: those of a transaction in their place, others at once, even from one that is rolled back',
      async () => {
        await open();
        await mirror.listen();
        await mirror.transaction(
          `INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'p', 'within'); INSERT INTO t VALUES (2)`,
        );
        await mirror.transaction(`SELECT pg_logical_emit_message(true, 'p', 'gone')`, 'ROLLBACK');
        await mirror.transaction(
          `SELECT pg_logical_emit_message(false, 'p', 'alone'); INSERT INTO t VALUES (3)`,
          'ROLLBACK',
        );
        expect(await mirror.take()).toEqual(['t insert 1', 'message p within', 't insert 2', 'message p alone']);
      },
    );

    inText('021 and 023 two-phase: heard when it is committed, and never where it is rolled back', async () => {
      await open();
      if (!mirror.isSince(15, 'two_phase')) return;
      await mirror.listen(undefined, { twoPhase: true });
      const gid = (name: string): string => `${mirror.db.name} ${name}`;
      await mirror.transaction('INSERT INTO t VALUES (1)', `PREPARE TRANSACTION '${gid('one')}'`);
      await mirror.transaction('INSERT INTO t VALUES (2)', `PREPARE TRANSACTION '${gid('two')}'`);
      await mirror.transaction('INSERT INTO t VALUES (3)');
      expect(await mirror.take()).toEqual(['t insert 3']);
      await mirror.query(`COMMIT PREPARED '${gid('two')}'`);
      await mirror.query(`ROLLBACK PREPARED '${gid('one')}'`);
      // The name is free again.
      await mirror.transaction(
        'SAVEPOINT s; INSERT INTO t VALUES (4); ROLLBACK TO s; INSERT INTO t VALUES (5)',
        `PREPARE TRANSACTION '${gid('one')}'`,
      );
      await mirror.query(`COMMIT PREPARED '${gid('one')}'`);
      expect(await mirror.take()).toEqual(['t insert 2', 't insert 5']);
      await expectTheSame('t');
    });

    it('028 row filters: a row that enters is inserted, one that leaves is deleted', async () => {
      await open('CREATE TABLE t (a int PRIMARY KEY, b text); ALTER TABLE t REPLICA IDENTITY FULL');
      if (!mirror.isSince(15, 'a row filter')) return;
      await mirror.listen(`pub FOR TABLE t WHERE (a > 10 AND b <> 'out'), markers, bulk`);
      await mirror.transaction(`INSERT INTO t VALUES (1, 'x'), (11, 'x'), (12, 'out'), (13, NULL)`);
      await mirror.transaction(
        `UPDATE t SET b = 'out' WHERE a = 11; UPDATE t SET b = 'in' WHERE a = 12; UPDATE t SET b = 'on' WHERE a = 12`,
      );
      await mirror.transaction('DELETE FROM t WHERE a IN (1, 12)');
      expect(await mirror.take()).toEqual(['t insert 11', 't delete 11', 't insert 12', 't update 12', 't delete 12']);
      expect(await mirror.differs('t', `SELECT * FROM t WHERE a > 10 AND b <> 'out'`)).toBeUndefined();
    });

    inText('028 row filters: of two publications, what either lets through', async () => {
      await open();
      if (!mirror.isSince(15, 'a row filter')) return;
      await mirror.query(
        'CREATE PUBLICATION pub FOR TABLE t WHERE (a < 3), markers, bulk; CREATE PUBLICATION pub2 FOR TABLE t WHERE (a > 7)',
      );
      await mirror.subscribe(['pub', 'pub2']);
      await mirror.transaction('INSERT INTO t SELECT generate_series(1, 9)');
      expect(await mirror.take()).toEqual(['t insert 1', 't insert 2', 't insert 8', 't insert 9']);
    });

    for (const origin of ['any', 'none'] as const)
      inText(`030 origin: ${origin}`, async () => {
        await open();
        if (origin === 'none' && !mirror.isSince(16, "origin 'none'")) return;
        await mirror.listen(undefined, { origin });
        const name = mirror.db.name;
        await mirror.query(
          `SELECT pg_replication_origin_create('${name}'); SELECT pg_replication_origin_session_setup('${name}')`,
        );
        await mirror.transaction('INSERT INTO t VALUES (1)');
        await mirror.query('SELECT pg_replication_origin_session_reset()');
        await mirror.transaction('INSERT INTO t VALUES (2)');
        const heard = await mirror.take();
        await mirror.query(`SELECT pg_replication_origin_drop('${name}')`);
        expect(heard).toEqual(origin === 'any' ? ['t insert 1', 't insert 2'] : ['t insert 2']);
        // The server reads the origin of a part before its end has told it (15 and later tell it at the commit).
        if (origin === 'any' && !way.streaming) expect(mirror.origins).toEqual([name, null]);
      });

    it('031 column lists: only these columns, also when they are others from now on', async () => {
      await open('CREATE TABLE c (a int PRIMARY KEY, "B" text, c int, secret text)');
      if (!mirror.isSince(15, 'a column list')) return;
      await mirror.listen('pub FOR TABLE c (a, "B"), markers, bulk');
      await mirror.transaction(`INSERT INTO c VALUES (1, 'x', 7, 's'); UPDATE c SET secret = 't'; UPDATE c SET a = 2`);
      expect(await mirror.differs('c', 'SELECT a, "B" FROM c')).toBeUndefined();
      await mirror.query('ALTER PUBLICATION pub SET TABLE c (a, c), markers, bulk');
      await mirror.transaction(`INSERT INTO c VALUES (3, 'y', 8, 's')`);
      await mirror.caughtUp();
      expect(mirror.changes.at(-1)).toMatchObject({ record: { a: 3, c: 8 } });
      expect(mirror.changes.flatMap((change) => ('record' in change ? Object.keys(change.record) : []))).not.toContain(
        'secret',
      );
    });
  });
}
