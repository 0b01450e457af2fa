import pg from 'pg';
import { startPostgres as startEmbedded, type PostgresServer, type StartPostgresOptions } from '#lib/testing/index.js';

/** All else of the testing kit is as it is. */
export * from '#lib/testing/index.js';

/**
 * `startPostgres()` with the server of the version that the run is about: PG_LISTENER_TEST_NATIVE is the folder that
 * holds its `bin`, PG_LISTENER_TEST_VERSION what it must report, such as `14.23`. Neither set: the embedded one.
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const server = await startEmbedded({ nativeDirectory: process.env['PG_LISTENER_TEST_NATIVE'], ...options });
  const wanted = process.env['PG_LISTENER_TEST_VERSION'];
  if (wanted === undefined) return server;
  try {
    await verifyVersion(server, wanted);
    return server;
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

async function verifyVersion(server: PostgresServer, wanted: string): Promise<void> {
  const client = new pg.Client(server.url);
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT current_setting('server_version_num')::int AS number`);
    const version = `${Math.floor(rows[0].number / 10_000)}.${rows[0].number % 10_000}`;
    if (version !== wanted) throw new Error(`The tests are for PostgreSQL ${wanted}, but the server is ${version}`);
  } finally {
    await client.end();
  }
}
