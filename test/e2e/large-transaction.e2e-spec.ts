import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { recorderOf, startApplication } from '../support/application.js';
import { startChild, type ChildApplication } from '../support/child.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor, waitForCount } from '../support/wait.js';

const ROWS = 1_000_000;

describe('a transaction of 1,000,000 rows', () => {
  let db: TestDatabase;
  let child: ChildApplication | undefined;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE events (writer int, id int, note text, PRIMARY KEY (writer, id))');
  });
  afterAll(async () => {
    await child?.kill();
    await db?.drop();
  });

  it('arrives whole and in order in flat memory, with an asynchronous handler for each row', async () => {
    child = startChild(db.url, db.slot(), 'count', ['--expose-gc']);
    await waitFor(
      () => child!.messages.length > 0,
      () => `the child; ${child!.output()}`,
    );
    await db.query(`INSERT INTO events SELECT 1, id, 'note ' || id FROM generate_series(1, ${ROWS}) AS id`);
    await waitForCount(
      () => Number(child!.messages.at(-1)!['handled'] ?? 0),
      ROWS,
      () => `rows; ${child!.output()}`,
    );
    const last = child.messages.at(-1)!;
    console.log(`1,000,000 rows in one transaction: resident memory grew by ${String(last['growthMb'])} MB`);
    expect(last).toMatchObject({ handled: ROWS, isOrdered: true });
    expect(last['growthMb']).toBeLessThan(100);
  }, 300_000);
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
