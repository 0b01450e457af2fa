import { readFileSync } from 'node:fs';
import pg from 'pg';
import { startPostgres } from '../../dist/testing/index.js';

/** Rows of a 5-million-row transaction fit; nothing is written twice because a checkpoint came in between. */
const SETTINGS = {
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
  shared_buffers: '512MB',
  max_replication_slots: '40',
  max_wal_senders: '40',
  autovacuum: 'off',
  synchronous_commit: 'off',
  // The disk is not what is measured; flushed, and so sent, is what the kernel has.
  fsync: 'off',
  // One that confirms nothing, and a drain that takes longer than a minute.
  wal_sender_timeout: '30min',
};

/** A PostgreSQL of this run, reachable over TCP, TLS and a Unix socket. `stop()` ends it and removes its data. */
export async function startCluster() {
  const server = await startPostgres({ settings: SETTINGS });
  try {
    await allowTls(server);
    const [{ directory, version }] = await query(
      server.url,
      `SELECT current_setting('unix_socket_directories') AS directory, current_setting('server_version') AS version`,
    );
    return { server, directory, version, stop: () => server.stop('immediate') };
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

/** How a consumer reaches a database of the cluster. */
export function targetOf(cluster, database, transport = 'tcp') {
  return {
    transport,
    host: transport === 'unix' ? cluster.directory : '127.0.0.1',
    port: cluster.server.port,
    user: 'postgres',
    database,
  };
}

export async function query(url, text, values) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function allowTls(server) {
  const fixture = (name) => readFileSync(new URL(`../../test/fixtures/tls/${name}`, import.meta.url), 'utf8').trim();
  for (const name of ['server.crt', 'server.key']) {
    // The server's own user writes them: as root, this process is another one.
    await query(
      server.url,
      `COPY (SELECT unnest(string_to_array('${fixture(name)}', E'\\n'))) TO PROGRAM 'cat > ${name} && chmod 600 ${name}'`,
    );
  }
  await query(server.url, 'ALTER SYSTEM SET ssl = on');
  await query(server.url, 'SELECT pg_reload_conf()');
  await query(server.url, `ALTER ROLE postgres SET client_min_messages = error`);
}
