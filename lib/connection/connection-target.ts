import { Client, type ClientConfig } from 'pg';
import { ServerSetupError } from '../errors/replication.error.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** A path that has gone dark must not hold a query for ever. */
const QUERY_TIMEOUT_MS = 15_000;
const BOOL_OID = 16;

/**
 * How answers to our own questions are read. The user's parsers are for the user's rows: one that leaves text as it is
 * would make a truth of every 'f'.
 */
const CATALOGUE_TYPES = {
  getTypeParser: (oid: number) => (oid === BOOL_OID ? (text: string) => text === 't' : (text: string) => text),
};

/** Which application a connection belongs to, for error texts: never a secret. */
export interface ConnectionTarget {
  readonly app: string;
  readonly connection: ClientConfig;
}

/** Opens nothing yet. @throws ServerSetupError where node-postgres cannot make sense of the configuration */
export function makeClient({ app, connection }: ConnectionTarget, extra: { replication?: string } = {}): Client {
  try {
    const client = new Client({
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: `nestjs-pg-listener:${app}`,
      ...connection,
      ...extra,
      types: CATALOGUE_TYPES,
      binary: false,
    } as ClientConfig);
    // Without a listener, an error on an idle client would end the process. Those who use the client add their own.
    client.on('error', () => undefined);
    return client;
  } catch (cause) {
    // A file that is missing is named; other texts may hold a part of the connection.
    const { code, path } = cause as { code?: string; path?: string };
    const file = path === undefined ? '' : `: ${path} (${code})`;
    throw new ServerSetupError(`node-postgres cannot read the configuration of the connection${file}`, {
      app,
      cause,
      hint: 'compare `connection` with the documentation of its ClientConfig; files that it names must exist.',
    });
  }
}

/**
 * For a pool of sessions that the user's own code gets: its values are read with the user's parsers, and how long a query
 * may take is the user's business.
 */
export function poolConfig({ app, connection }: ConnectionTarget): ClientConfig {
  return {
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: `nestjs-pg-listener:${app}`,
    ...connection,
  };
}

/** What the server calls us: the user's own name, or one that says whose connection it is. */
export function applicationName(target: ConnectionTarget): string {
  const { connectionParameters } = makeClient(target) as unknown as {
    connectionParameters: { application_name?: string };
  };
  return connectionParameters.application_name ?? '';
}

/** `host:port`: what slot names are unique in. */
export function serverOf(target: ConnectionTarget): string {
  const { host, port } = makeClient(target);
  return `${host}:${port}`;
}

/** `user@host:port/database`. */
export function describeTarget(target: ConnectionTarget): string {
  const { user, host, port, database } = makeClient(target);
  return `${user ?? ''}@${host}:${port}/${database ?? ''}`;
}
