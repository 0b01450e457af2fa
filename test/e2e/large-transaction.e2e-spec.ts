import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { recorderOf, startApplication } from '../support/application.js';
import { startChild, type ChildApplication } from '../support/child.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor, waitForCount } from '../support/wait.js';

/** What a process has handled before: its growth counts from there on. */
const BEFORE = 20_000;
const ROWS = Number(process.env['PG_LISTENER_LARGE_ROWS'] ?? 1_000_000);
const COUNT = ROWS.toLocaleString('en');

describe(`a transaction of ${COUNT} rows`, () => {
  let db: TestDatabase;
  let child: ChildApplication | undefined;

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE events (writer int, id int, note text, PRIMARY KEY (writer, id))');
  });
  afterEach(async () => {
    await child?.kill();
    await db?.drop();
  });

  const insert = (from: number, to: number): Promise<unknown> =>
    db.query(`INSERT INTO events SELECT 1, id, 'note ' || id FROM generate_series(${from}, ${to}) AS id`);
  const handled = (count: number): Promise<unknown> =>
    waitForCount(
      () => Number(child!.messages.at(-1)?.['handled'] ?? 0),
      count,
      () => `rows; ${child!.output()}`,
    );

  it.each(['count', 'streamed'] as const)(
    'arrives whole and in order in flat memory, with an asynchronous handler for each row: %s',
    async (mode) => {
      child = startChild(db.url, db.slot(), mode, ['--expose-gc']);
      await waitFor(
        () => child!.messages.length > 0,
        () => `the child; ${child!.output()}`,
      );
      await insert(1, BEFORE);
      await handled(BEFORE);
      const began = Date.now();
      await insert(BEFORE + 1, BEFORE + ROWS);
      const written = Date.now();
      await handled(BEFORE + ROWS);
      const { growthMb, diskMb, isOrdered } = child.messages.at(-1) as Record<'growthMb' | 'diskMb', number> & {
        isOrdered: boolean;
      };
      console.log(
        `${COUNT} rows in one transaction, ${mode}: resident memory grew by ${growthMb} MB, ${diskMb} MB of disk; written in ` +
          `${written - began} ms, all handled ${Date.now() - written} ms later`,
      );
      expect(isOrdered).toBe(true);
      expect(growthMb).toBeLessThan(100);
      // Sent before its commit, and far more than is kept in memory.
      if (mode === 'streamed') expect(diskMb).toBeGreaterThan(ROWS / 100_000);
      else expect(diskMb).toBe(0);
    },
    600_000,
  );
});

describe('a rolled-back transaction beyond logical_decoding_work_mem', () => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, note text)');
    await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
  });
  afterAll(async () => {
    await db?.drop();
  });

  // PostgreSQL 18 tells of the sub-transaction's end, in a message of a later protocol version than was asked for.
  it('that had a sub-transaction is passed over when it is read after its end', async () => {
    const options = { connection: db.url, slot: db.slot() };
    await (await startApplication(options, [recorderOf('orders')])).close();
    await db.query('BEGIN');
    await db.query(`SAVEPOINT small; INSERT INTO orders VALUES (1, 'small'); RELEASE small`);
    await db.query(`INSERT INTO orders SELECT id, repeat('x', 100) FROM generate_series(2, 3000) AS id`);
    await db.query('ROLLBACK');
    await db.query(`INSERT INTO orders VALUES (5000, 'kept')`);
    const recorder = recorderOf('orders');
    const app = await startApplication(options, [recorder]);
    try {
      await waitFor(
        () => recorder.changes.length > 0,
        () => `the row that was kept; ${JSON.stringify(app.listener.health())}`,
      );
      expect(recorder.changes).toEqual([expect.objectContaining({ record: { id: 5000, note: 'kept' } })]);
      expect(app.listener.health()).toMatchObject({ status: 'up', state: 'streaming' });
    } finally {
      await app.close();
    }
  });
});
