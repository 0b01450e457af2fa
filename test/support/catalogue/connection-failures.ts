import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { getPgListenerToken } from 'nestjs-pg-listener';
import pg from 'pg';
import { tlsFixture } from '../tls.js';
import { waitFor } from '../wait.js';
import type { FailureFamily } from './entry.js';
import { findPgBouncer } from './pgbouncer.js';

const POOLER = findPgBouncer();

/** node-postgres' options of a URL, to which others can be added. */
function options(url: string): pg.ClientConfig {
  const { hostname, port, username, password, pathname } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) };
}

/** A startup message (manual, section 54.7) without its parameter `replication`; everything else as it is. */
function withoutReplication(chunk: Buffer): Buffer {
  const parameter = Buffer.from('replication\0database\0');
  const at = chunk.indexOf(parameter);
  if (at < 0 || chunk.readInt32BE(0) !== chunk.length) return chunk;
  const shorter = Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + parameter.length)]);
  shorter.writeInt32BE(shorter.length, 0);
  return shorter;
}

/** Before the server has said anything about replication. */
export const CONNECTION_FAILURES: FailureFamily = {
  title: 'Connecting',
  entries: [
    {
      title: 'The connection is not set',
      about:
        'The options are checked before anything is opened, all of them at once, and their values are never shown.',
      provoke: (site) =>
        site.refusal({ connection: undefined as never, slot: 'Shop!', shutdownTimeoutMs: '10s' as never }),
    },
    {
      title: 'The host is unknown',
      about:
        'A network may come back, so this is tried again with growing delays. At boot, the application waits for ' +
        '`startup.timeoutMs` (30 seconds) and then fails with this text; with `startup: { wait: false }` it boots at once.',
      provoke: (site) =>
        site.retried('cannot be resolved', { connection: 'postgresql://app:secret@no-such-host.invalid/shop' }),
    },
    {
      title: 'Nothing listens at the address',
      about: 'Tried again, as above: a server that restarts is back in a moment.',
      provoke: (site) => site.retried('Nothing listens', { connection: 'postgresql://app:secret@127.0.0.1:1/shop' }),
    },
    {
      title: 'No answer in time at boot',
      about: 'What held the boot up is told, also as the `cause` of the error.',
      provoke: (site) =>
        site.refusal({
          connection: 'postgresql://app:secret@127.0.0.1:1/shop',
          // More than a busy machine needs for the attempt that is told of.
          startup: { timeoutMs: 3_000 },
        }),
    },
    {
      title: 'The password is wrong',
      about: 'No retry mends it, so the app halts. The password itself is in no text and in no log.',
      provoke: (site) => site.refusal({ connection: site.url('app', 'a wrong one') }),
    },
    {
      title: 'The password is missing',
      about: 'Also where it is no string. Often the variable that holds it is not set.',
      provoke: (site) => site.refusal({ connection: { ...options(site.url()), password: undefined } }),
    },
    {
      title: 'The role may not log in',
      about: 'Also where it does not exist; the words after the colon are the server’s.',
      provoke: async (site) => {
        await site.admin('ALTER ROLE reader NOLOGIN');
        site.later(() => site.admin('ALTER ROLE reader LOGIN'));
        return site.refusal({ connection: site.url('reader') });
      },
    },
    {
      title: 'pg_hba.conf refuses the connection',
      about: 'The words after the colon are the server’s.',
      provoke: (site) => site.refusal({ connection: site.url('stranger', 'secret') }),
    },
    {
      title: 'The server requires TLS',
      about: 'The line of `pg_hba.conf` begins with `hostssl`. Managed servers are set up like this.',
      provoke: (site) => site.refusal({ connection: site.url('strict') }),
    },
    {
      title: 'The server does not speak TLS',
      about: 'There is no silent fallback to an unencrypted connection.',
      provoke: async (site) => {
        const server = await site.otherServer();
        return site.refusal({ connection: `${server.urlOf('postgres')}?sslmode=verify-full` });
      },
    },
    {
      title: 'The certificate is self-signed',
      about:
        'A certificate that no known authority has signed proves nothing. Hand its authority over: ' +
        "`ssl: { ca: readFileSync('server-ca.pem', 'utf8') }`.",
      provoke: (site) =>
        site.refusal({
          connection: { ...options(site.url('strict')), ssl: { servername: 'localhost' } },
        }),
    },
    {
      title: 'The certificate is of another host',
      about: 'Connect by the name that the certificate has, or set `ssl.servername`.',
      provoke: (site) =>
        site.refusal({
          connection: {
            ...options(site.url('strict')),
            ssl: { ca: tlsFixture('server.crt'), servername: 'db.example' },
          },
        }),
    },
    {
      title: 'The database does not exist',
      about: 'At boot, and also where it was renamed while the application ran: its next connection halts the app.',
      provoke: (site) => site.refusal({ connection: site.url('app', 'secret', 'shop_of_last_year') }),
    },
    {
      title: 'The database was renamed while the application ran',
      about: 'The slot goes with the database: under the new name, everything since is still there.',
      provoke: async (site) => {
        const app = await site.streaming();
        await site.admin('ALTER DATABASE shop ALLOW_CONNECTIONS false');
        await site.admin(
          `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shop'; ALTER DATABASE shop RENAME TO shop_renamed`,
        );
        await waitFor(() => app.context.get(getPgListenerToken()).status.state === 'halted', 'the halt');
        return site.line(app, 'Halted');
      },
    },
    {
      title: 'The database takes no connections',
      about: 'Tried again: it may be closed for maintenance only.',
      provoke: async (site) => {
        await site.admin('ALTER DATABASE shop ALLOW_CONNECTIONS false');
        return site.retried('is closed');
      },
    },
    {
      title: 'The database has a limit of connections',
      about: 'A role may have one too. Tried again, as a connection may become free.',
      provoke: async (site) => {
        await site.admin('ALTER DATABASE shop CONNECTION LIMIT 0');
        return site.retried('no free connection');
      },
    },
    {
      title: 'Something else listens at the port',
      about: 'A web server, for one. Tried again, as a server that is just starting or stopping may do the same.',
      provoke: async (site) => {
        const other = createServer((socket) => socket.end());
        other.listen(0, '127.0.0.1');
        await once(other, 'listening');
        site.later(async () => other.close());
        const { port } = other.address() as AddressInfo;
        return site.retried('before it was one', { connection: `postgresql://app:secret@127.0.0.1:${port}/shop` });
      },
    },
    {
      title: 'A pooler stands in between and refuses',
      about:
        'Logical replication needs a connection of its own to the server. Give the listener the direct address, often ' +
        'another host or port beside the pooler’s.',
      missing: 'missing' in POOLER ? POOLER.missing : undefined,
      provoke: async (site) =>
        site.refusal({ connection: await site.pooler('program' in POOLER ? POOLER.program : '') }),
    },
    {
      title: 'A pooler stands in between and takes replication commands for SQL',
      about: 'The same, with a pooler that drops what it does not know instead of refusing it.',
      provoke: async (site) => {
        const proxy = await site.proxy();
        proxy.rewrite(withoutReplication);
        return site.refusal({ connection: proxy.through(site.url()) });
      },
    },
    {
      title: 'No walsender is free',
      about:
        'Each stream takes one of `max_wal_senders`, as replicas and backups do. Tried again, as one may become free.',
      provoke: async (site) => {
        for (let sender = 0; sender < 3; sender++) {
          await site.hold({ ...options(site.url()), replication: 'database' } as pg.ClientConfig);
        }
        return site.retried('no free connection');
      },
    },
  ],
};
