import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startProxy } from '../support/proxy.js';
import { StreamingBench } from '../support/streaming.js';
import { sleep, waitFor } from '../support/wait.js';

/** Rows that exceed 64 kB together: servers before 16 stream nothing less. */
const MANY = 400;
const rows = (from: number): string =>
  `INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(${from}, ${from + MANY - 1}) AS i`;
const inserts = (from: number): string[] => Array.from({ length: MANY }, (_, at) => `insert ${from + at}`);

/** What the server says where its own code meets what it has not foreseen. */
function internalError(message: string): Buffer {
  const fields = Buffer.from(`SERROR\0VERROR\0CXX000\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** Named after the tests of PostgreSQL's own subscriptions (src/test/subscription/t) whose cases they take over. */
describe('transactions in progress', () => {
  let bench: StreamingBench;

  beforeEach(async () => {
    bench = await StreamingBench.open();
    await bench.query(`CREATE TABLE t (a int PRIMARY KEY, b text)`);
  });
  afterEach(() => bench.close());

  /** Both have heard the same, at the same places, and one of them in parts. */
  const expectTheSame = async (): Promise<void> => {
    await bench.caughtUp();
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
    expect(await bench.parts()).toBeGreaterThan(0);
  };

  it('015 stream: inserts, updates and deletes of one transaction', async () => {
    await bench.start();
    await bench.query(`BEGIN; ${rows(1)}; UPDATE t SET b = 'y' WHERE a % 2 = 0; DELETE FROM t WHERE a % 3 = 0; COMMIT`);
    await expectTheSame();
    expect(bench.heard).toHaveLength(MANY + MANY / 2 + Math.floor(MANY / 3));
    expect(bench.heard.slice(0, MANY)).toEqual(inserts(1));
  });

  it('015 stream: two transactions that come in turn, and one that is rolled back', async () => {
    const app = await bench.start();
    const [one, two] = [await bench.session(), await bench.session()];
    try {
      await one.query(`BEGIN; ${rows(1)}`);
      await two.query(`BEGIN; ${rows(1001)}`);
      await one.query(rows(2001));
      await bench.query(`INSERT INTO t VALUES (5000, 'between')`);
      await two.query(rows(3001));
      await one.query('COMMIT');
      await two.query('COMMIT');
      await one.query(`BEGIN; ${rows(6001)}; TRUNCATE t; ROLLBACK`);
      await expectTheSame();
    } finally {
      await Promise.all([one.end(), two.end()]);
    }
    expect(bench.heard).toEqual(['insert 5000', ...[1, 2001, 1001, 3001].flatMap(inserts)]);
    expect(app.listener.health()).toMatchObject({ status: 'up', state: 'streaming' });
  });

  it('015 stream: truncation', async () => {
    await bench.start();
    await bench.query(`BEGIN; ${rows(1)}; TRUNCATE t RESTART IDENTITY CASCADE; ${rows(2001)}; COMMIT`);
    await expectTheSame();
    expect(bench.heard).toEqual([...inserts(1), 'truncate', ...inserts(2001)]);
  });

  it('016 stream subxact: savepoints that are kept', async () => {
    await bench.start();
    await bench.query(`
      BEGIN; ${rows(1)}; SAVEPOINT s1; ${rows(1001)}; UPDATE t SET b = 'y' WHERE a = 7; SAVEPOINT s2; ${rows(2001)};
      RELEASE s2; DELETE FROM t WHERE a = 8; SAVEPOINT s3; ${rows(3001)}; COMMIT`);
    await expectTheSame();
    expect(bench.heard).toEqual([
      ...inserts(1),
      ...inserts(1001),
      'update 7',
      ...inserts(2001),
      'delete 8',
      ...inserts(3001),
    ]);
  });

  it('017 stream ddl: columns that are added and dropped on the way', async () => {
    await bench.start();
    await bench.query(`
      INSERT INTO t VALUES (0, 'before'); BEGIN; ${rows(1)}; ALTER TABLE t ADD COLUMN c int DEFAULT 5; SAVEPOINT s1;
      INSERT INTO t VALUES (1000, 'one', 11); ALTER TABLE t ADD COLUMN d text, ALTER COLUMN c TYPE text; SAVEPOINT s2;
      INSERT INTO t VALUES (1001, 'two', 'twelve', 'd'); ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (1002, 'c', 'd'); COMMIT;
      INSERT INTO t VALUES (1003, 'c', 'd')`);
    await expectTheSame();
    const records = bench.streamed.changes
      .slice(1 + MANY, -1)
      .map((change) => ('record' in change ? change.record : null));
    expect(records).toEqual([
      { a: 1000, b: 'one', c: 11 },
      { a: 1001, b: 'two', c: 'twelve', d: 'd' },
      { a: 1002, c: 'c', d: 'd' },
      { a: 1003, c: 'c', d: 'd' },
    ]);
  });

  it('018 stream subxact abort: what is rolled back to a savepoint vanishes', async () => {
    await bench.start();
    await bench.query(`
      BEGIN; ${rows(1)}; SAVEPOINT s1; ${rows(1001)}; SAVEPOINT s2; ${rows(2001)}; SAVEPOINT s3; ${rows(3001)};
      ROLLBACK TO s2; ${rows(4001)}; ROLLBACK TO s1; ${rows(5001)}; SAVEPOINT s4; ${rows(6001)}; SAVEPOINT s5; ${rows(7001)};
      COMMIT`);
    await bench.query(
      `BEGIN; SAVEPOINT s1; ${rows(8001)}; ROLLBACK TO s1; INSERT INTO t VALUES (9000, 'kept'); COMMIT`,
    );
    await bench.query(`BEGIN; SAVEPOINT s1; ${rows(10_001)}; ROLLBACK TO s1; COMMIT`);
    await expectTheSame();
    expect(bench.heard).toEqual([...[1, 5001, 6001, 7001].flatMap(inserts), 'insert 9000']);
  });

  it('019 stream subxact ddl abort: a table is again what it was before the savepoint', async () => {
    await bench.start();
    await bench.query(`
      BEGIN; ${rows(1)}; SAVEPOINT s1; ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (1000, 'gone', 3);
      SAVEPOINT s2; ALTER TABLE t ADD COLUMN d int; INSERT INTO t VALUES (1001, 'gone', 3, 4); ROLLBACK TO s1;
      ALTER TABLE t ADD COLUMN c text; INSERT INTO t VALUES (1002, 'kept', 'c'); COMMIT; INSERT INTO t VALUES (1003, 'after', 'd')`);
    await bench.query(`BEGIN; ALTER TABLE t DROP COLUMN b; ${rows(2001).replace(/'x', 300/, `'z', 300`)}; ROLLBACK`);
    await bench.query(`INSERT INTO t VALUES (1004, 'as before', 'e')`);
    await expectTheSame();
    expect(bench.streamed.changes.slice(MANY, -1).map((change) => 'record' in change && change.record)).toEqual([
      { a: 1002, b: 'kept', c: 'c' },
      { a: 1003, b: 'after', c: 'd' },
      { a: 1004, b: 'as before', c: 'e' },
    ]);
  });

  it('a table that another transaction alters between the parts is read as it is, before and after', async () => {
    await bench.start();
    const one = await bench.session();
    try {
      await bench.query('CREATE TABLE other (a int PRIMARY KEY)');
      // The lock goes with the savepoint: the description of the table stays in the transaction.
      await one.query(`BEGIN; SAVEPOINT s1; ${rows(1)}; ROLLBACK TO s1; INSERT INTO other VALUES (1)`);
      await bench.query(`ALTER TABLE t DROP COLUMN b, ADD COLUMN c int; INSERT INTO t VALUES (1000, 3)`);
      await one.query(`INSERT INTO other SELECT generate_series(2, 3000); COMMIT`);
      await bench.query('INSERT INTO t VALUES (1001, 4)');
      await expectTheSame();
    } finally {
      await one.end();
    }
    const records = bench.streamed.changes
      .filter(({ table }) => table === 't')
      .map((change) => 'record' in change && change.record);
    expect(records).toEqual([
      { a: 1000, c: 3 },
      { a: 1001, c: 4 },
    ]);
  });

  it('020 messages: of the transaction, and those that are nobody’s, at once', async () => {
    const app = await bench.start();
    const one = await bench.session();
    const texts = (recorder: { entries: string[] }): string[] =>
      recorder.entries.flatMap((entry) => /"text":"(.*?)"/.exec(entry)?.[1] ?? []);
    try {
      await one.query(
        `BEGIN; ${rows(1)}; SELECT pg_logical_emit_message(true, 'p', 'of the transaction'), repeat('y', 1)`,
      );
      await one.query(`SELECT pg_logical_emit_message(false, 'p', 'alone')`);
      await one.query(`SAVEPOINT s1; ${rows(1001)}; SELECT pg_logical_emit_message(true, 'p', 'rolled back');
        SELECT pg_logical_emit_message(false, 'p', 'alone, in what is rolled back'); ROLLBACK TO s1`);
      await bench.caughtUp();
      // It has not committed.
      expect(bench.heard).toEqual([]);
      expect(texts(bench.streamed)).toEqual(['alone', 'alone, in what is rolled back']);
      await one.query('COMMIT');
      await one.query(
        `BEGIN; ${rows(2001)}; SELECT pg_logical_emit_message(false, 'p', 'of a rolled back one'); ROLLBACK`,
      );
      await expectTheSame();
    } finally {
      await one.end();
    }
    expect(texts(bench.streamed)).toEqual([
      'alone',
      'alone, in what is rolled back',
      'of the transaction',
      'of a rolled back one',
    ]);
    // What went with the savepoint cannot be told in parts: the connection after that brings none.
    expect(bench.listener.stats().reconnects).toBe(1);
    expect(app.logs.find(/^warn The transaction committed at \S+ has logical messages, and savepoints/)).toBeDefined();
    const before = await bench.parts();
    await bench.query(`BEGIN; ${rows(3001)}; COMMIT`);
    await expectTheSame();
    await sleep(700);
    expect(await bench.parts()).toBe(before);
  });

  it('030 origin: what bears one is told so', async () => {
    const one = await bench.session();
    const name = `elsewhere_${bench.db.name}`;
    try {
      await bench.start();
      await one.query(`SELECT pg_replication_origin_create($1)`, [name]);
      await one.query(`SELECT pg_replication_origin_session_setup($1)`, [name]);
      await one.query(`BEGIN; ${rows(1)}; SELECT pg_replication_origin_xact_setup('0/1', now()); COMMIT`);
      await expectTheSame();
      expect(bench.heard).toEqual(inserts(1));
      expect(bench.streamed.entries[0]).toContain(` from ${name} `);
    } finally {
      await one.query('SELECT pg_replication_origin_session_reset()');
      await one.query(`SELECT pg_replication_origin_drop($1)`, [name]);
      await one.end();
    }
  });

  it("030 origin: what bears one is left out where `origin` is 'none'", async () => {
    const [{ old }] = await bench.query(`SELECT current_setting('server_version_num')::int < 160000 AS old`);
    if (old) return;
    const one = await bench.session();
    const name = `elsewhere_${bench.db.name}`;
    try {
      await bench.start({ origin: 'none' });
      await one.query(`SELECT pg_replication_origin_create($1)`, [name]);
      await one.query(`SELECT pg_replication_origin_session_setup($1)`, [name]);
      await one.query(`BEGIN; ${rows(1)}; COMMIT`);
      await bench.query(`BEGIN; ${rows(1001)}; COMMIT`);
      await expectTheSame();
      expect(bench.heard).toEqual(inserts(1001));
    } finally {
      await one.query('SELECT pg_replication_origin_session_reset()');
      await one.query(`SELECT pg_replication_origin_drop($1)`, [name]);
      await one.end();
    }
  });

  it('what the server stumbles over in parts is had as a whole', async () => {
    const proxy = await startProxy(new URL(bench.db.url));
    try {
      let [isBroken, inParts] = [false, false];
      proxy.rewrite((chunk) => {
        if (chunk.includes('START_REPLICATION')) inParts = chunk.includes("streaming 'on'");
        return chunk;
      });
      // CopyData: only the stream has it, and one that has been silent goes on with a whole message.
      proxy.tamper((chunk) => {
        if (!isBroken || !inParts || chunk[0] !== 0x64) return chunk;
        return internalError('could not map filenumber "base/1/2" to relation OID');
      });
      const app = await bench.start({}, { connection: proxy.through(bench.db.url) });
      await bench.caughtUp();
      isBroken = true;
      await bench.query(`BEGIN; ${rows(1)}; COMMIT`);
      await bench.caughtUp();
      expect(bench.streamed.entries).toEqual(bench.plain.entries);
      expect(bench.heard).toEqual(inserts(1));
      expect(bench.listener.stats().reconnects).toBe(1);
      expect(app.logs.find(/^warn The server failed while it sent transactions in parts: could not map/)).toBeDefined();
    } finally {
      await proxy.close();
    }
  });

  it('nothing comes in parts over a temporary slot where messages are wanted: it might have to come again', async () => {
    await bench.start({}, { slot: 'temporary' });
    const sql = `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'START_REPLICATION%'`;
    await waitFor(async () => (await bench.query(sql)).length === 2, 'both streams');
    const starts = (await bench.query<{ query: string }>(sql)).map(({ query }) => query);
    expect(starts.filter((query) => query.includes('streaming'))).toEqual([]);
    await bench.query(`
      BEGIN; ${rows(1)}; SAVEPOINT s; SELECT pg_logical_emit_message(true, 'p', 'gone'); ROLLBACK TO s;
      SELECT pg_logical_emit_message(true, 'p', 'kept'); COMMIT`);
    await bench.caughtUp();
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  });
});
