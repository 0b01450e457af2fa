import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { closeClient, connectReplication } from '#lib/connection/connection.js';
import { forkOf } from '#lib/slots/timeline-history.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

describe('the history of the first timeline', () => {
  let db: TestDatabase;
  let replication: Client;

  beforeEach(async () => {
    db = await createDatabase();
    replication = await connectReplication({ app: 'default', connection: { connectionString: db.url } });
  });
  afterEach(async () => {
    await closeClient(replication);
    await db.drop();
  });

  it('is not there, and tells nothing', async () => {
    expect(await forkOf(replication, '2', '1')).toBeNull();
  });
});
