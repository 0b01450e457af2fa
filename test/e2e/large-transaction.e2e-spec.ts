import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startChild, type ChildApplication } from '../support/child.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';

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
    const last = await waitFor(
      () => child!.messages.find((message) => message['handled'] === ROWS),
      () => `all rows; ${JSON.stringify(child!.messages.at(-1))} ${child!.output()}`,
      60_000,
    );
    console.log(`1,000,000 rows in one transaction: resident memory grew by ${String(last['growthMb'])} MB`);
    expect(last).toMatchObject({ isOrdered: true });
    expect(last['growthMb']).toBeLessThan(100);
  }, 120_000);
});
