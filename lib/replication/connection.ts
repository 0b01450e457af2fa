import { asError } from '../errors/as-error.js';
import type { Socket } from 'node:net';
import { Client, escapeIdentifier, type ClientConfig } from 'pg';
import {
  AuthenticationError,
  ConnectionError,
  ServerBusyError,
  ServerSetupError,
} from '../errors/replication.error.js';
import { PgListenerError } from '../errors/pg-listener.error.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** A path that has gone dark must not hold a query for ever. */
const QUERY_TIMEOUT_MS = 15_000;

/** Which application a connection belongs to, for error texts: never a secret. */
export interface ConnectionTarget {
  readonly app: string;
  readonly connection: ClientConfig;
}

/** A client for SQL, told apart on the server by its application_name. @throws PgListenerError */
export async function connectPlain(target: ConnectionTarget, signal?: AbortSignal): Promise<Client> {
  const client = await connect(target, {}, signal);
  // Nobody's function in another schema may stand in for a built-in one.
  await client.query('SET search_path = pg_catalog').catch((error: unknown) => {
    socketOf(client).destroy();
    throw translateServerError(error, target);
  });
  return client;
}

/** A client that speaks the replication protocol (manual, section 54.4): simple queries and replication commands. */
export async function connectReplication(target: ConnectionTarget, signal?: AbortSignal): Promise<Client> {
  return connect(target, { replication: 'database' }, signal);
}

/** The socket below a client: TCP, TLS or Unix. */
export function socketOf(client: Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Closes a client, whatever state it is in. */
export async function closeClient(client: Client | undefined): Promise<void> {
  if (client === undefined) return;
  const impatient = setTimeout(() => socketOf(client).destroy(), 1_000);
  await client.end().catch(() => undefined);
  clearTimeout(impatient);
}

async function connect(
  target: ConnectionTarget,
  extra: { replication?: string },
  signal: AbortSignal | undefined,
): Promise<Client> {
  const client = makeClient(target, extra);
  const giveUp = (): void => void socketOf(client).destroy();
  signal?.addEventListener('abort', giveUp);
  try {
    signal?.throwIfAborted();
    await client.connect();
  } catch (error) {
    giveUp();
    throw translateServerError(error, target);
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
  return client;
}

/** Opens nothing yet. @throws ServerSetupError where node-postgres cannot make sense of the configuration */
function makeClient({ app, connection }: ConnectionTarget, extra: { replication?: string } = {}): Client {
  try {
    const client = new Client({
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: `nestjs-pg-listener:${app}`,
      ...connection,
      ...extra,
    } as ClientConfig);
    // Without a listener, an error on an idle client would end the process. Those who use the client add their own.
    client.on('error', () => undefined);
    return client;
  } catch (cause) {
    throw new ServerSetupError('node-postgres cannot read the configuration of the connection', {
      app,
      cause,
      hint: 'compare `connection` with the documentation of its ClientConfig; files that it names must exist.',
    });
  }
}

/** What the server calls us: the user's own name, or one that says whose connection it is. */
export function applicationName(target: ConnectionTarget): string {
  const { connectionParameters } = makeClient(target) as unknown as {
    connectionParameters: { application_name?: string };
  };
  return connectionParameters.application_name ?? '';
}

/** `user@host:port/database`. */
export function describeTarget(target: ConnectionTarget): string {
  const { user, host, port, database } = makeClient(target);
  return `${user ?? ''}@${host}:${port}/${database ?? ''}`;
}

const TLS_CERTIFICATE_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
]);

/** SQLSTATEs that no retry mends (manual, appendix A), with how to mend them. */
function fatalError(code: string, text: string, target: ConnectionTarget, cause: Error): PgListenerError | undefined {
  const { app } = target;
  const where = describeTarget(target);
  const role = makeClient(target).user ?? 'CURRENT_USER';
  switch (code) {
    case '28P01':
      return new AuthenticationError(`PostgreSQL refused the password of ${where}`, {
        app,
        cause,
        hint: `correct the password in \`connection\`, or: ALTER ROLE ${escapeIdentifier(role)} PASSWORD '...';`,
      });
    case '28000':
      return new AuthenticationError(`PostgreSQL refused ${where}: ${text}`, {
        app,
        cause,
        hint:
          'the role must exist, and pg_hba.conf needs a line for this user, database and address (logical replication uses the database lines, ' +
          'not "replication"), and TLS as that line asks for it; then: SELECT pg_reload_conf();',
      });
    case '3D000':
      return new ServerSetupError(`There is no such database: ${where}`, {
        app,
        cause,
        hint: 'correct the database name in `connection`, or create it.',
      });
    case '42501':
      return new ServerSetupError(`The role lacks a right on ${where}: ${text}`, {
        app,
        cause,
        hint: `as a superuser: ALTER ROLE ${escapeIdentifier(role)} REPLICATION;`,
      });
    default:
      return undefined;
  }
}

/**
 * Any failure of a connection or a command as one of ours: fatal where trying again cannot help, else a
 * `ConnectionError`. One of ours stays what it is.
 */
export function translateServerError(error: unknown, target: ConnectionTarget): PgListenerError {
  if (error instanceof PgListenerError) return error;
  const cause = asError(error);
  const { app } = target;
  const code = (cause as { code?: string }).code ?? '';
  const text = cause.message || code || cause.name;
  const fatal = fatalError(code, text, target, cause);
  if (fatal !== undefined) return fatal;
  if (TLS_CERTIFICATE_CODES.has(code)) {
    return new AuthenticationError(`The TLS certificate of ${describeTarget(target)} cannot be verified: ${text}`, {
      app,
      cause,
      hint: 'give the certificate authority as `connection.ssl.ca`; `rejectUnauthorized: false` trusts anybody.',
    });
  }
  if (text === 'The server does not support SSL connections') {
    return new AuthenticationError(`${describeTarget(target)} does not speak TLS`, {
      app,
      cause,
      hint: 'set ssl = on and a certificate on the server, or leave `ssl` (or sslmode) out of `connection`.',
    });
  }
  if (code === '55P03')
    return new ServerBusyError(`A lock was not granted in time on ${describeTarget(target)}`, { app, cause });
  if (code === '53300') {
    return new ConnectionError(`${describeTarget(target)} has no free connection: ${text}`, {
      app,
      cause,
      hint: 'raise max_wal_senders or max_connections (both need a restart), or end what holds them.',
    });
  }
  return new ConnectionError(`No connection to ${describeTarget(target)}: ${text}`, { app, cause });
}
