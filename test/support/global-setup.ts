import { startPostgres, type PostgresServer } from './versioned-postgres.js';

declare global {
  var testServer: PostgresServer | undefined;
}

/** One PostgreSQL for the run; each spec makes a database of its own in it. */
export default async function globalSetup(): Promise<void> {
  const server = await startPostgres({
    settings: { max_wal_senders: '40', max_replication_slots: '40', max_connections: '150' },
  });
  globalThis.testServer = server;
  process.env['PG_LISTENER_TEST_URL'] = server.url;
}
