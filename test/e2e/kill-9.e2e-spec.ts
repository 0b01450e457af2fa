import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startChild, type ChildApplication } from '../support/child.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

/** `PG_LISTENER_KILLS` asks for more. */
const KILLS = Number(process.env['PG_LISTENER_KILLS'] ?? 32);
const WRITERS = 2;

/** Children write a journal into PostgreSQL itself, so what it holds was truly handled. */
describe('kill -9', () => {
  let db: TestDatabase;
  let child: ChildApplication | undefined;
  let isWriting = true;

  beforeAll(async () => {
    db = await createDatabase();
    // A short timeout makes for frequent confirmations, so that kills fall right before and after them.
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '500ms'`);
    await db.query(`
      CREATE TABLE events (writer int, id int, PRIMARY KEY (writer, id));
      CREATE TABLE journal (seq bigserial PRIMARY KEY, process int, writer int, id int, lsn pg_lsn, idx int);
    `);
  });
  afterAll(async () => {
    isWriting = false;
    await child?.kill();
    await db?.drop();
  });

  /** Transactions of 1 to 30 rows, some rolled back, until told to stop. @returns the rows that were committed */
  async function write(writer: number): Promise<number> {
    const client = await connect(db.url);
    let id = 0;
    while (isWriting) {
      const size = 1 + Math.floor(Math.random() * 30);
      await client.query('BEGIN');
      await client.query('INSERT INTO events SELECT $1::int, generate_series($2::int, $3::int)', [
        writer,
        id + 1,
        id + size,
      ]);
      const isCommitted = Math.random() < 0.8;
      await client.query(isCommitted ? 'COMMIT' : 'ROLLBACK');
      if (isCommitted) id += size;
      await sleep(Math.random() * 60);
    }
    await client.end();
    return id;
  }

  it(`loses nothing and keeps the order over ${KILLS} kills at random points`, async () => {
    const slot = db.slot();
    child = startChild(db.url, slot, 'journal');
    await waitFor(
      () => child!.messages.length > 0,
      () => `the first child; ${child!.output()}`,
    );
    const writing = Array.from({ length: WRITERS }, (_, writer) => write(writer));
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(Math.random() * 500);
      await child.kill();
      child = startChild(db.url, slot, 'journal');
      // Some are killed while they boot, most while they stream: however slow the machine, they have begun to.
      if (kill % 5 !== 4)
        await waitFor(
          () => child!.messages.some((message) => message['journaled']),
          () => `a child to handle something; ${child!.output()}`,
          60_000,
        );
    }
    isWriting = false;
    const committed = await Promise.all(writing);
    const total = committed.reduce((sum, count) => sum + count, 0);
    await waitForCount(
      async () => (await db.query('SELECT count(DISTINCT (writer, id))::int AS n FROM journal'))[0].n,
      total,
      () => `committed rows in the journal; ${child!.output()}`,
    );
    const [{ missing }] = await db.query(
      'SELECT count(*)::int AS missing FROM events e WHERE NOT EXISTS (SELECT FROM journal j WHERE j.writer = e.writer AND j.id = e.id)',
    );
    const [{ unknown }] = await db.query(
      'SELECT count(*)::int AS unknown FROM journal j WHERE NOT EXISTS (SELECT FROM events e WHERE j.writer = e.writer AND j.id = e.id)',
    );
    expect({ missing, unknown }).toEqual({ missing: 0, unknown: 0 });
    await expectOrder();
    await expectNothingSkipped();
    const [{ lives, handled }] = await db.query(
      'SELECT count(DISTINCT process)::int AS lives, count(*)::int AS handled FROM journal',
    );
    console.log(`${total} committed rows over ${KILLS} kills: handled ${handled} times in ${lives} lives, none lost`);
    expect(lives).toBeGreaterThan((KILLS * 20) / 32);
    // The position must have moved in between: else every life would have begun at the start.
    expect(handled).toBeLessThan((total * lives) / 2);
  }, 600_000);

  /** Within one process the stream only goes forward. */
  async function expectOrder(): Promise<void> {
    const [{ backwards }] = await db.query(
      `SELECT count(*)::int AS backwards FROM (
         SELECT (lsn, idx) <= lag((lsn, idx)) OVER (PARTITION BY process ORDER BY seq) AS wrong FROM journal) s WHERE wrong`,
    );
    expect(backwards).toBe(0);
  }

  /** A process begins no later than where the one before it ended, and goes on without a hole. */
  async function expectNothingSkipped(): Promise<void> {
    const rows = await db.query<{ writer: number; id: number }>('SELECT writer, id FROM journal ORDER BY seq');
    const reached = Array.from({ length: WRITERS }, () => 0);
    for (const { writer, id } of rows) {
      if (id > reached[writer]! + 1)
        throw new Error(`writer ${writer}: ${id} was handled right after ${reached[writer]}`);
      reached[writer] = Math.max(reached[writer]!, id);
    }
  }
});
