import { afterEach, describe, expect, it } from '@jest/globals';
import { MotionBench } from '../support/motion.js';

/** Every case is heard by a listener of whole transactions and by one of transactions in parts. */
describe('schema in motion', () => {
  let bench: MotionBench | undefined;

  const open = async (ddl: string, clause?: string): Promise<MotionBench> => {
    bench = await MotionBench.open(ddl);
    await bench.start(clause);
    return bench;
  };
  /** A case of later versions only. */
  const isSince = async (major: number): Promise<boolean> => {
    const { version } = (bench = await MotionBench.open('SELECT'));
    if (version < major) console.warn(`Not on PostgreSQL ${version}: it comes with ${major}`);
    else await bench.close();
    return version >= major;
  };
  afterEach(async () => {
    await bench?.close().catch(() => undefined);
    bench = undefined;
  });

  describe('columns', () => {
    const T = 'CREATE TABLE t (a int PRIMARY KEY, b int)';

    it('added, dropped, renamed: rows have the columns of their time', async () => {
      const { query, heard } = bind(await open(T));
      await query(`INSERT INTO t VALUES (1, 10); ALTER TABLE t ADD COLUMN c text DEFAULT 'x'; INSERT INTO t VALUES (2, 20);
        ALTER TABLE t DROP COLUMN b; UPDATE t SET c = 'y' WHERE a = 1; ALTER TABLE t RENAME COLUMN c TO d; INSERT INTO t VALUES (3, 'z');
        ALTER TABLE t RENAME COLUMN a TO id; DELETE FROM t WHERE id = 2`);
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":10}',
        'schema t: +c',
        'insert t {"a":2,"b":20,"c":"x"}',
        'schema t: -b',
        'update t {"a":1,"c":"y"}',
        'schema t: c>d?',
        'insert t {"a":3,"d":"z"}',
        'schema t: a>id?',
        'delete t {"id":2}',
      ]);
    });

    it('of another type, with a rewrite and with USING: values are of the type of their time', async () => {
      const { query, heard } = bind(await open(T));
      await query(`INSERT INTO t VALUES (1, 10); ALTER TABLE t ALTER COLUMN b TYPE bigint; INSERT INTO t VALUES (2, 20);
        ALTER TABLE t ALTER COLUMN b TYPE text USING 'n' || b; INSERT INTO t VALUES (3, 'n30');
        ALTER TABLE t ALTER COLUMN b TYPE text[] USING ARRAY[b]; UPDATE t SET b = b || ARRAY['more'] WHERE a = 1;
        ALTER TABLE t ALTER COLUMN b TYPE jsonb USING to_jsonb(b); INSERT INTO t VALUES (4, '{"k":1}');
        ALTER TABLE t ADD COLUMN v varchar(5); INSERT INTO t VALUES (5, 'null', 'five');
        ALTER TABLE t ALTER COLUMN v TYPE varchar(9); INSERT INTO t VALUES (6, 'null', 'six')`);
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":10}',
        'schema t: b 23>20',
        'insert t {"a":2,"b":"20"}',
        'schema t: b 20>25',
        'insert t {"a":3,"b":"n30"}',
        'schema t: b 25>1009',
        'update t {"a":1,"b":["n10","more"]}',
        'schema t: b 1009>3802',
        'insert t {"a":4,"b":{"k":1}}',
        'schema t: +v',
        'insert t {"a":5,"b":null,"v":"five"}',
        'schema t: v 1043>1043',
        'insert t {"a":6,"b":null,"v":"six"}',
      ]);
    });

    it('of types that users made, and whose names the server tells', async () => {
      const { query, heard } = bind(await open(`CREATE TYPE mood AS ENUM ('sad', 'ok'); ${T}`));
      await query(`INSERT INTO t VALUES (1, 1); ALTER TABLE t ADD COLUMN m mood; INSERT INTO t VALUES (2, 2, 'ok');
        ALTER TYPE mood ADD VALUE 'happy'; INSERT INTO t VALUES (3, 3, 'sad')`);
      await query(`INSERT INTO t VALUES (4, 4, 'happy')`);
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":1}',
        'schema t: +m',
        'insert t {"a":2,"b":2,"m":"ok"}',
        'insert t {"a":3,"b":3,"m":"sad"}',
        'insert t {"a":4,"b":4,"m":"happy"}',
      ]);
      expect(bench!.plain.schemas[0]!.current.columns[2]).toMatchObject({ name: 'm', typeName: 'public.mood' });
    });

    it('within a transaction: before, between and after', async () => {
      const { transaction, heard, parts } = bind(await open(T));
      await transaction(
        'INSERT INTO t VALUES (1, 10)',
        'ALTER TABLE t ADD COLUMN c int',
        'INSERT INTO t VALUES (2, 20, 200)',
        'UPDATE t SET c = 100 WHERE a = 1',
        'ALTER TABLE t DROP COLUMN b, ALTER COLUMN c TYPE text',
        `INSERT INTO t VALUES (3, '300')`,
      );
      await transaction(`INSERT INTO t VALUES (4, '400')`);
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":10}',
        'schema t: +c',
        'insert t {"a":2,"b":20,"c":200}',
        'update t {"a":1,"b":10,"c":100}',
        'schema t: -b, c 23>25',
        'insert t {"a":3,"c":"300"}',
        'insert t {"a":4,"c":"400"}',
      ]);
      expect(await parts()).toBeGreaterThan(0);
    });

    it('in what is rolled back: nobody hears of it', async () => {
      const { transaction, query, heard } = bind(await open(T));
      await transaction(
        'INSERT INTO t VALUES (1, 10)',
        'SAVEPOINT s',
        'ALTER TABLE t ADD COLUMN gone int',
        'INSERT INTO t VALUES (2, 20, 200)',
        'ROLLBACK TO s',
        'INSERT INTO t VALUES (3, 30)',
        'SAVEPOINT s2',
        'ALTER TABLE t ADD COLUMN kept int',
        'INSERT INTO t VALUES (4, 40, 400)',
        'RELEASE s2',
      );
      await query(
        `BEGIN; ALTER TABLE t DROP COLUMN b; INSERT INTO t SELECT 1000 + g, 1 FROM generate_series(1, 3000) g; ROLLBACK`,
      );
      await query('INSERT INTO t VALUES (5, 50, 500)');
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":10}',
        'insert t {"a":3,"b":30}',
        'schema t: +kept',
        'insert t {"a":4,"b":40,"kept":400}',
        'insert t {"a":5,"b":50,"kept":500}',
      ]);
    });

    it('of two tables in one transaction, each before its own rows', async () => {
      const { transaction, heard } = bind(await open(`${T}; CREATE TABLE u (a int PRIMARY KEY)`));
      await transaction('INSERT INTO t VALUES (1, 1)', 'INSERT INTO u VALUES (1)');
      await transaction(
        'ALTER TABLE t ADD COLUMN c int',
        'ALTER TABLE u ADD COLUMN d int',
        'INSERT INTO u VALUES (2, 2)',
        'INSERT INTO t VALUES (2, 2, 2)',
        'INSERT INTO u VALUES (3, 3)',
      );
      await transaction('ALTER TABLE t ADD COLUMN e int', 'ALTER TABLE u ADD COLUMN f int', 'TRUNCATE t, u');
      const all = await heard();
      expect(all.slice(0, 7)).toEqual([
        'insert t {"a":1,"b":1}',
        'insert u {"a":1}',
        'schema u: +d',
        'insert u {"a":2,"d":2}',
        'schema t: +c',
        'insert t {"a":2,"b":2,"c":2}',
        'insert u {"a":3,"d":3}',
      ]);
      expect(all.slice(7)).toEqual(['schema t: +e', 'truncate t', 'schema u: +f', 'truncate u']);
    });

    it('of a table that the server describes again without a change: nobody hears of it', async () => {
      const { transaction, query, heard } = bind(await open(T));
      await transaction('INSERT INTO t VALUES (1, 1)');
      await query('ALTER TABLE t SET (fillfactor = 50); CREATE INDEX ON t (b); ANALYZE t');
      await query('VACUUM FULL t');
      await query(
        'ALTER TABLE t ALTER COLUMN b SET DEFAULT 7, ALTER COLUMN b SET NOT NULL; COMMENT ON TABLE t IS $$x$$',
      );
      await transaction('INSERT INTO t VALUES (2, 2)');
      expect(await heard()).toEqual(['insert t {"a":1,"b":1}', 'insert t {"a":2,"b":2}']);
    });
  });

  describe('tables', () => {
    const T = 'CREATE TABLE t (a int PRIMARY KEY, b int)';

    it('renamed, and made anew under the old name', async () => {
      const { query, transaction, heard } = bind(await open(T));
      await query(`INSERT INTO t VALUES (1, 1); ALTER TABLE t RENAME TO old; INSERT INTO old VALUES (2, 2)`);
      await transaction('CREATE TABLE t (a text PRIMARY KEY)', `INSERT INTO t VALUES ('new')`, 'DELETE FROM old');
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":1}',
        'schema old: was public.t',
        'insert old {"a":2,"b":2}',
        'schema t: recreated, -b, a 23>25',
        'insert t {"a":"new"}',
        'delete old {"a":1}',
        'delete old {"a":2}',
      ]);
    });

    it('dropped and made anew', async () => {
      const { query, transaction, heard } = bind(await open(T));
      await query(`INSERT INTO t VALUES (1, 1); DROP TABLE t; ${T}; INSERT INTO t VALUES (2, 2)`);
      await transaction('INSERT INTO t VALUES (3, 3)', 'DROP TABLE t', T, 'INSERT INTO t VALUES (4, 4)');
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":1}',
        'schema t: recreated',
        'insert t {"a":2,"b":2}',
        'insert t {"a":3,"b":3}',
        'schema t: recreated',
        'insert t {"a":4,"b":4}',
      ]);
    });

    it('that change places: the new one is filled beside the old one, and takes its name', async () => {
      const { query, transaction, heard } = bind(await open(T));
      await query(
        `INSERT INTO t VALUES (1, 1); CREATE TABLE t_new (a int PRIMARY KEY, b int, c int); INSERT INTO t_new VALUES (1, 1, 1)`,
      );
      await transaction(
        'ALTER TABLE t RENAME TO t_old',
        'ALTER TABLE t_new RENAME TO t',
        'INSERT INTO t VALUES (2, 2, 2)',
      );
      await query('INSERT INTO t_old VALUES (3, 3)');
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":1}',
        'insert t_new {"a":1,"b":1,"c":1}',
        'schema t: was public.t_new, recreated, +c',
        'insert t {"a":2,"b":2,"c":2}',
        'schema t_old: was public.t',
        'insert t_old {"a":3,"b":3}',
      ]);
    });

    it('in another schema', async () => {
      const { query, transaction, heard } = bind(await open(`CREATE SCHEMA archive; ${T}`));
      await query('INSERT INTO t VALUES (1, 1); ALTER TABLE t SET SCHEMA archive; INSERT INTO archive.t VALUES (2, 2)');
      await transaction('ALTER TABLE archive.t SET SCHEMA public', 'INSERT INTO t VALUES (3, 3)');
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":1}',
        'schema archive.t: was public.t',
        'insert archive.t {"a":2,"b":2}',
        'schema t: was archive.t',
        'insert t {"a":3,"b":3}',
      ]);
    });

    it('whose replica identity changes', async () => {
      const { query, transaction, heard } = bind(
        await open('CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL UNIQUE, c int)'),
      );
      await query(`INSERT INTO t VALUES (1, 10, 100); UPDATE t SET c = 101;
        ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET c = 102;
        ALTER TABLE t REPLICA IDENTITY USING INDEX t_b_key; UPDATE t SET b = 11; DELETE FROM t`);
      await transaction(
        'INSERT INTO t VALUES (2, 20, 200)',
        'ALTER TABLE t REPLICA IDENTITY DEFAULT',
        'UPDATE t SET a = 3',
        'ALTER TABLE t REPLICA IDENTITY NOTHING',
        'INSERT INTO t VALUES (4, 40, 400)',
      );
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":10,"c":100}',
        'update t {"a":1,"b":10,"c":101}',
        'schema t: identity default>full, key a>a,b,c',
        'update t {"a":1,"b":10,"c":101} to {"a":1,"b":10,"c":102}',
        'schema t: identity full>index, key a,b,c>b',
        'update t {"b":10} to {"a":1,"b":11,"c":102}',
        'delete t {"b":11}',
        'insert t {"a":2,"b":20,"c":200}',
        'schema t: identity index>default, key b>a',
        'update t {"a":2} to {"a":3,"b":20,"c":200}',
        'schema t: identity default>nothing, key a>',
        'insert t {"a":4,"b":40,"c":400}',
      ]);
    });
  });

  describe('partitions', () => {
    const PARTED = `CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a);
      CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
      CREATE TABLE t2 (b text, a int PRIMARY KEY); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20)`;

    it('under their own names: rows that move are deleted here and inserted there', async () => {
      const { transaction, heard } = bind(await open(PARTED));
      await transaction(`INSERT INTO t VALUES (1, 'one'), (11, 'eleven')`, 'UPDATE t SET a = 12 WHERE a = 1');
      expect(await heard()).toEqual([
        'insert t1 {"a":1,"b":"one"}',
        'insert t2 {"b":"eleven","a":11}',
        'delete t1 {"a":1}',
        'insert t2 {"b":"one","a":12}',
      ]);
    });

    it('under the name of their root: also where a partition has another order of columns', async () => {
      const { transaction, query, heard } = bind(
        await open(PARTED, 'FOR ALL TABLES WITH (publish_via_partition_root)'),
      );
      await transaction(`INSERT INTO t VALUES (1, 'one'), (11, 'eleven')`, 'UPDATE t SET a = 12 WHERE a = 1');
      await query(
        `ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 'two', 2), (13, 'thirteen', 13); TRUNCATE t`,
      );
      expect(await heard()).toEqual([
        'insert t {"a":1,"b":"one"}',
        'insert t {"a":11,"b":"eleven"}',
        'delete t {"a":1}',
        'insert t {"a":12,"b":"one"}',
        'schema t: +c',
        'insert t {"a":2,"b":"two","c":2}',
        'insert t {"a":13,"b":"thirteen","c":13}',
        'truncate t',
      ]);
    });

    it('attached and detached, and the way of publishing changed, while the stream runs', async () => {
      const { query, heard } = bind(
        await open(`${PARTED}; CREATE TABLE t3 (a int PRIMARY KEY, b text)`, 'FOR TABLE t, t3'),
      );
      await query(
        `INSERT INTO t3 VALUES (21, 'alone'); ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM (20) TO (30)`,
      );
      await query(`INSERT INTO t VALUES (22, 'part'); ALTER PUBLICATION p SET (publish_via_partition_root = true)`);
      await query(`INSERT INTO t VALUES (23, 'root'); INSERT INTO t3 VALUES (24, 'root, too')`);
      await query(
        `ALTER PUBLICATION p SET (publish_via_partition_root = false); INSERT INTO t VALUES (25, 'part again')`,
      );
      await query(`ALTER TABLE t DETACH PARTITION t3; INSERT INTO t3 VALUES (31, 'alone again')`);
      await query(`ALTER TABLE t DETACH PARTITION t2; INSERT INTO t2 (a, b) VALUES (12, 'of no publication')`);
      await query(`INSERT INTO t VALUES (3, 'still')`);
      expect(await heard()).toEqual([
        'insert t3 {"a":21,"b":"alone"}',
        'insert t3 {"a":22,"b":"part"}',
        'insert t {"a":23,"b":"root"}',
        'insert t {"a":24,"b":"root, too"}',
        'insert t3 {"a":25,"b":"part again"}',
        'insert t3 {"a":31,"b":"alone again"}',
        'insert t1 {"a":3,"b":"still"}',
      ]);
    });
  });

  describe('publications', () => {
    it('that get a table, and lose it, while the stream runs', async () => {
      const { query, heard } = bind(
        await open('CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY)', 'FOR TABLE t'),
      );
      await query(
        'INSERT INTO u VALUES (1); ALTER PUBLICATION p ADD TABLE u; INSERT INTO u VALUES (2); INSERT INTO t VALUES (1)',
      );
      await query('ALTER PUBLICATION p DROP TABLE u; ALTER TABLE u ADD COLUMN b int; INSERT INTO u VALUES (3, 3)');
      await query('ALTER PUBLICATION p ADD TABLE u; INSERT INTO u VALUES (4, 4); INSERT INTO t VALUES (2)');
      expect(await heard()).toEqual([
        'insert u {"a":2}',
        'insert t {"a":1}',
        'schema u: +b',
        'insert u {"a":4,"b":4}',
        'insert t {"a":2}',
      ]);
    });

    it('with row filters (15): an update that leaves is a delete, one that enters an insert', async () => {
      if (!(await isSince(15))) return;
      const { transaction, query, heard } = bind(
        await open(
          'CREATE TABLE t (a int PRIMARY KEY, b int); ALTER TABLE t REPLICA IDENTITY FULL',
          'FOR TABLE t WHERE (b > 5)',
        ),
      );
      await transaction(
        'INSERT INTO t VALUES (1, 1), (6, 6)',
        'UPDATE t SET b = 7',
        'UPDATE t SET b = 2 WHERE a = 1',
        'DELETE FROM t',
      );
      await query(
        'ALTER PUBLICATION p SET TABLE markers, filler, t WHERE (b < 5); INSERT INTO t VALUES (2, 2), (7, 7)',
      );
      expect(await heard()).toEqual([
        'insert t {"a":6,"b":6}',
        'insert t {"a":1,"b":7}',
        'update t {"a":6,"b":6} to {"a":6,"b":7}',
        'delete t {"a":1,"b":7}',
        'delete t {"a":6,"b":7}',
        'insert t {"a":2,"b":2}',
      ]);
    });

    it('with column lists (15): what is not in them is not there', async () => {
      if (!(await isSince(15))) return;
      const { transaction, query, heard } = bind(
        await open('CREATE TABLE t (a int PRIMARY KEY, b int, c int)', 'FOR TABLE t (a, c)'),
      );
      await transaction(
        'INSERT INTO t VALUES (1, 1, 1)',
        'ALTER TABLE t ADD COLUMN d int',
        'UPDATE t SET d = 4, c = 3',
      );
      await query('ALTER PUBLICATION p SET TABLE markers, filler, t (a, d); INSERT INTO t VALUES (2, 2, 2, 2)');
      await query('ALTER PUBLICATION p SET TABLE markers, filler, t; INSERT INTO t VALUES (3, 3, 3, 3)');
      expect(await heard()).toEqual([
        'insert t {"a":1,"c":1}',
        'update t {"a":1,"c":3}',
        'schema t: c>d?',
        'insert t {"a":2,"d":2}',
        'schema t: +b, +c',
        'insert t {"a":3,"b":3,"c":3,"d":3}',
      ]);
    });

    it('of generated columns (18), as they are asked for', async () => {
      if (!(await isSince(18))) return;
      const { transaction, query, heard } = bind(
        await open(
          'CREATE TABLE t (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, v int GENERATED ALWAYS AS (a * 3) VIRTUAL)',
        ),
      );
      await transaction('INSERT INTO t VALUES (1)');
      await query('ALTER PUBLICATION p SET (publish_generated_columns = stored); INSERT INTO t VALUES (2)');
      await query('ALTER TABLE t ALTER COLUMN b DROP EXPRESSION; INSERT INTO t VALUES (3, 33)');
      await query('ALTER PUBLICATION p SET (publish_generated_columns = none); INSERT INTO t VALUES (4, 44)');
      expect(await heard()).toEqual([
        'insert t {"a":1}',
        'schema t: +b',
        'insert t {"a":2,"b":4}',
        'insert t {"a":3,"b":33}',
        'insert t {"a":4,"b":44}',
      ]);
    });
  });
});

function bind(bench: MotionBench) {
  return {
    query: bench.query,
    transaction: bench.transaction.bind(bench),
    heard: bench.heard.bind(bench),
    parts: bench.parts.bind(bench),
  };
}
