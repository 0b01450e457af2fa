import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startChild, type ChildApplication } from '../support/child.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

const KILLS = 5;
const KEYS = 40;
const WRITERS = 2;

/** Children write every version of a row that their handler gets, in eight lanes, into PostgreSQL itself. */
describe('kill -9 with calls in lanes', () => {
  let db: TestDatabase;
  let child: ChildApplication | undefined;
  let isWriting = true;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '500ms'`);
    await db.query(`
      CREATE TABLE counters (id int PRIMARY KEY, version int NOT NULL);
      CREATE TABLE versions (seq bigserial PRIMARY KEY, process int, id int, version int);
    `);
  });
  afterAll(async () => {
    isWriting = false;
    await child?.kill();
    await db?.drop();
  });

  /** Counts up some rows of its own at a time, until told to stop. */
  async function write(writer: number): Promise<void> {
    const client = await connect(db.url);
    while (isWriting) {
      const ids = Array.from({ length: 1 + Math.floor(Math.random() * 6) }, () => Math.floor(Math.random() * KEYS));
      await client.query(
        [
          'BEGIN',
          ...ids.map((id) => `UPDATE counters SET version = version + 1 WHERE id = ${writer * KEYS + id}`),
          'COMMIT',
        ].join(';'),
      );
      await sleep(Math.random() * 25);
    }
    await client.end();
  }

  it(`loses nothing and keeps the order of each key over ${KILLS} kills`, async () => {
    const slot = db.slot();
    child = startChild(db.url, slot, 'lanes');
    await waitFor(
      () => child!.messages.length > 0,
      () => `the first child; ${child!.output()}`,
    );
    await db.query(`INSERT INTO counters SELECT n, 1 FROM generate_series(0, ${WRITERS * KEYS - 1}) n`);
    const writing = Array.from({ length: WRITERS }, (_, writer) => write(writer));
    for (let kill = 0; kill < KILLS; kill++) {
      await waitFor(
        () => child!.messages.some((message) => message['journaled']),
        () => `a child to handle something; ${child!.output()}`,
        60_000,
      );
      await sleep(Math.random() * 300);
      await child.kill();
      child = startChild(db.url, slot, 'lanes');
    }
    isWriting = false;
    await Promise.all(writing);
    const [{ total }] = await db.query('SELECT sum(version)::int AS total FROM counters');
    await waitForCount(
      async () => (await db.query('SELECT count(DISTINCT (id, version))::int AS n FROM versions'))[0].n,
      total,
      () => `versions; ${child!.output()}`,
    );
    const [{ missing }] = await db.query(
      `SELECT count(*)::int AS missing FROM counters c, generate_series(1, c.version) v
        WHERE NOT EXISTS (SELECT FROM versions j WHERE j.id = c.id AND j.version = v)`,
    );
    const [{ backwards }] = await db.query(
      `SELECT count(*)::int AS backwards FROM (
         SELECT version < lag(version) OVER (PARTITION BY id ORDER BY min(seq)) AS wrong
           FROM versions GROUP BY id, version) s WHERE wrong`,
    );
    const [{ mixed }] = await db.query(
      `SELECT count(*)::int AS mixed FROM (
         SELECT version <= lag(version) OVER (PARTITION BY process, id ORDER BY seq) AS wrong FROM versions) s WHERE wrong`,
    );
    const [{ lives, handled }] = await db.query(
      'SELECT count(DISTINCT process)::int AS lives, count(*)::int AS handled FROM versions',
    );
    console.log(
      `${total} versions of ${WRITERS * KEYS} rows over ${KILLS} kills: handled ${handled} times in ${lives} lives`,
    );
    expect({ missing, backwards, mixed }).toEqual({ missing: 0, backwards: 0, mixed: 0 });
    expect(lives).toBeGreaterThan(KILLS / 2);
    // The position must have moved in between.
    expect(handled).toBeLessThan((total * lives) / 2);
  }, 120_000);
});
