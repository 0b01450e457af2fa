import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuthenticationError, type PgListenerError } from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { recorderOf, startApplication } from '../support/application.js';
import { withClient } from '../support/database.js';
import { secure, tlsFixture } from '../support/tls.js';
import { waitFor } from '../support/wait.js';

describe('TLS and SCRAM', () => {
  let server: PostgresServer;
  const ca = tlsFixture('server.crt');

  beforeAll(async () => {
    server = await startPostgres();
    await withClient(server.url, (client) =>
      client.query(`CREATE TABLE orders (id int PRIMARY KEY, note text);
        CREATE ROLE safe LOGIN REPLICATION PASSWORD 'ähm, "secret"'; GRANT ALL ON orders TO safe; ALTER TABLE orders OWNER TO safe;
        GRANT CREATE ON DATABASE postgres TO safe`),
    );
    await secure(server, ['hostssl all safe all scram-sha-256']);
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  const connection = (password: string, ssl?: object) => ({
    host: '127.0.0.1',
    port: server.port,
    database: 'postgres',
    user: 'safe',
    password,
    ssl,
  });
  const failure = async (password: string, ssl?: object): Promise<PgListenerError> => {
    const booting = startApplication({
      connection: connection(password, ssl),
      slot: 'refused',
      startup: { timeoutMs: 5_000 },
    });
    return booting.then(
      () => Promise.reject(new Error('It booted')),
      (error: PgListenerError) => error,
    );
  };

  it('streams over TLS with a SCRAM password, across a reconnect', async () => {
    const recorder = recorderOf('orders');
    const app = await startApplication(
      { connection: connection('ähm, "secret"', { ca, servername: 'localhost' }), slot: 'safe' },
      [recorder],
    );
    try {
      const rows = 20_000;
      await withClient(server.url, async (client) => {
        const { rows: senders } = await client.query(
          'SELECT ssl FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid)',
        );
        expect(senders).toEqual([{ ssl: true }]);
        await client.query(`INSERT INTO orders SELECT id, repeat('ä', 100) FROM generate_series(1, ${rows}) AS id`);
        await waitFor(() => recorder.changes.length === rows, 'all rows');
        await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
        await client.query(`INSERT INTO orders VALUES (0)`);
        await waitFor(() => recorder.changes.length === rows + 1, 'the row after the reconnect');
      });
    } finally {
      await app.close();
    }
  });

  it('refuses a wrong password and an unknown certificate, and never shows the password', async () => {
    const wrong = await failure('wrong-secret', { ca, servername: 'localhost' });
    expect(wrong).toBeInstanceOf(AuthenticationError);
    expect(wrong.message).toContain('ALTER ROLE "safe" PASSWORD');
    expect(JSON.stringify(wrong) + wrong.message + wrong.stack).not.toContain('wrong-secret');
    const unknown = await failure('ähm, "secret"', {});
    expect(unknown).toBeInstanceOf(AuthenticationError);
    expect(unknown.message).toContain('cannot be verified');
    const plain = await failure('ähm, "secret"');
    expect(plain).toBeInstanceOf(AuthenticationError);
    expect(plain.message).toContain('pg_hba.conf');
  });
});
