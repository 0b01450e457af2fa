import { readFileSync } from 'node:fs';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import { withClient } from './database.js';

/** A file of test/fixtures/tls: a certificate for `localhost` that is its own authority, and its key. */
export function tlsFixture(name: 'server.crt' | 'server.key'): string {
  return readFileSync(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url), 'utf8');
}

/** Turns TLS on and replaces pg_hba.conf; `postgres` stays trusted. */
export async function secure(server: PostgresServer, hba: readonly string[]): Promise<void> {
  await withClient(server.url, async (client) => {
    // The server's own user writes them: as root, this process is another one.
    const write = (file: string, text: string): Promise<unknown> =>
      client.query(`COPY (SELECT unnest(string_to_array(${client.escapeLiteral(text.trim())}, E'\\n'))) TO PROGRAM
        'cat > ${file} && chmod 600 ${file}'`);
    await write('server.crt', tlsFixture('server.crt'));
    await write('server.key', tlsFixture('server.key'));
    await write('pg_hba.conf', [...hba, 'host all postgres all trust'].join('\n'));
    await client.query('ALTER SYSTEM SET ssl = on');
    await client.query('SELECT pg_reload_conf()');
  });
}
