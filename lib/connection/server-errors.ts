import { escapeIdentifier } from 'pg';
import { asError } from '../errors/as-error.js';
import { PgListenerError } from '../errors/pg-listener.error.js';
import {
  AuthenticationError,
  ConnectionError,
  ServerBusyError,
  ServerSetupError,
} from '../errors/replication.error.js';
import { describeTarget, makeClient, type ConnectionTarget } from './connection-target.js';

/** What a connection is for: the same refusal has another mend for each. */
export type ConnectionPurpose = 'queries' | 'replication';

/** A failure, as the texts need it. */
interface Failure {
  readonly code: string;
  /** The server's or the system's own words. */
  readonly text: string;
  /** `user@host:port/database`. */
  readonly where: string;
  readonly host: string;
  readonly port: number;
  /** Quoted for SQL. */
  readonly role: string;
  /** Quoted for SQL. */
  readonly database: string;
  readonly usesTls: boolean;
  readonly purpose: ConnectionPurpose | undefined;
}

type ErrorClass = new (message: string, details: ConstructorParameters<typeof ConnectionError>[1]) => PgListenerError;

/** The kind of error, what happened and where, and how to mend it. */
type Explanation = readonly [kind: ErrorClass, message: string, hint?: string];

const POOLER_HINT =
  'point `connection` to PostgreSQL itself: poolers (PgBouncer before 1.23, RDS Proxy, Supavisor and others) do not ' +
  'pass the replication protocol on. The pool of the rest of the application may stay as it is.';

/** A startup parameter or a replication command that is taken for SQL: what answers is not the server's walsender. */
const pooler = ({ where, text }: Failure): Explanation => [
  ServerSetupError,
  `A connection pooler seems to stand before ${where}: it refuses the replication protocol (${text})`,
  POOLER_HINT,
];

const unknownHost = ({ host, where, code }: Failure): Explanation => [
  ConnectionError,
  `The host name "${host}" of ${where} cannot be resolved (${code})`,
  'correct the host in `connection`; between containers it is the name of the service, not localhost.',
];

const unreachable = ({ where, code, text }: Failure): Explanation => [
  ConnectionError,
  `${where} does not answer (${code || text})`,
  'check the address, the network and the firewall between this machine and the server.',
];

const missingRight = ({ where, text, role, database, purpose }: Failure): Explanation => [
  ServerSetupError,
  `The role ${role} lacks a right on ${where}: ${text}`,
  purpose === 'queries'
    ? `as the owner of the database: GRANT CONNECT ON DATABASE ${database} TO ${role};`
    : `as a superuser: ALTER ROLE ${role} REPLICATION; (Amazon RDS: GRANT rds_replication TO ${role};)`,
];

const noConnection = (failure: Failure): Explanation => [
  ConnectionError,
  `${failure.where} has no free connection: ${failure.text}`,
  roomFor(failure),
];

/** What is exhausted stands in the server's text, whatever language that is in. */
function roomFor({ text, role, database }: Failure): string {
  if (text.includes(role)) return `ALTER ROLE ${role} CONNECTION LIMIT -1;`;
  if (text.includes(database)) return `ALTER DATABASE ${database} CONNECTION LIMIT -1;`;
  if (text.includes('max_wal_senders')) {
    return 'as a superuser: ALTER SYSTEM SET max_wal_senders = 20; then restart the server; or end what holds them: SELECT pid, application_name FROM pg_stat_replication;';
  }
  return 'raise max_connections (needs a restart), or end what holds them: SELECT pid, usename, application_name FROM pg_stat_activity;';
}

const refusedLogin = ({ where, text, usesTls, role }: Failure): Explanation => [
  AuthenticationError,
  `PostgreSQL refused ${where}: ${text}`,
  // The file's name stands in the server's text, whatever language that is in.
  text.includes(role) && !/pg_hba\.conf|certificate/.test(text)
    ? `the role must exist and be allowed to log in: CREATE ROLE ${role} LOGIN REPLICATION PASSWORD '...'; or ALTER ROLE ${role} LOGIN;`
    : (usesTls
        ? ''
        : 'if the server wants TLS (hostssl in pg_hba.conf), turn it on: `ssl` in `connection`, or ?sslmode=verify-full in the URL. Else ') +
      'the role must exist and have LOGIN, and pg_hba.conf needs a line for this user, database and address (logical ' +
      'replication uses the database lines, not "replication"); then: SELECT pg_reload_conf();',
];

const badCertificate = ({ where, text }: Failure): Explanation => [
  AuthenticationError,
  `The TLS certificate of ${where} cannot be verified: ${text}`,
  'give the certificate authority as `connection.ssl.ca`; `rejectUnauthorized: false` trusts anybody.',
];

const unreadableText = ({ where, code }: Failure): Explanation => [
  ServerSetupError,
  // The server's text shows bytes of the value: it stays in the cause.
  `The server cannot write a value as UTF-8 (${code}) on ${where}`,
  'a text of the database does not fit its encoding (SQL_ASCII takes any bytes); a SELECT of the row fails too. ' +
    'Correct such rows. To go on without the transaction that holds one, stop the app and move its slot with ' +
    'pg_replication_slot_advance.',
];

/** By SQLSTATE (manual, appendix A) or by the system's code. */
const EXPLANATIONS: Readonly<Record<string, (failure: Failure) => Explanation>> = {
  '28P01': ({ where, role }) => [
    AuthenticationError,
    `PostgreSQL refused the password of ${where}`,
    `correct the password in \`connection\`, or: ALTER ROLE ${role} PASSWORD '...';`,
  ],
  '28000': refusedLogin,
  '22021': unreadableText,
  '22P05': unreadableText,
  '3D000': ({ where, database }) => [
    ServerSetupError,
    `There is no such database: ${where}`,
    `correct the database name in \`connection\` (was it renamed?), or: CREATE DATABASE ${database};`,
  ],
  '42501': missingRight,
  '53300': noConnection,
  ERR_SOCKET_BAD_PORT: ({ where, text }) => [
    ServerSetupError,
    `The port of ${where} is none: ${text}`,
    'correct the port in `connection`: a number; is its environment variable set?',
  ],
  '55P03': ({ where }) => [ServerBusyError, `A lock was not granted in time on ${where}`],
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  ECONNREFUSED: ({ where, host, port, code }) => [
    ConnectionError,
    `Nothing listens at ${host}:${port} (${code}), where ${where} is wanted`,
    'start the server, or correct host and port in `connection`; listen_addresses must have the address.',
  ],
  ENOENT: ({ where, text }) => [
    ConnectionError,
    `There is no such Unix socket for ${where}: ${text}`,
    'start the server, or correct the folder in `connection`: SHOW unix_socket_directories;',
  ],
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  DEPTH_ZERO_SELF_SIGNED_CERT: badCertificate,
  SELF_SIGNED_CERT_IN_CHAIN: badCertificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: badCertificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: badCertificate,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ where, text }) => [
    AuthenticationError,
    `The TLS certificate of ${where} is one for another name: ${text}`,
    'connect by a name that the certificate has, or give that name as `connection.ssl.servername`.',
  ],
  CERT_HAS_EXPIRED: ({ where, text }) => [
    AuthenticationError,
    `The TLS certificate of ${where} has expired: ${text}`,
    'renew it on the server (and look at the clock of this machine).',
  ],
};

/** Texts of node-postgres, and refusals that only their text or the purpose tells apart. */
function explainByText(failure: Failure): Explanation | undefined {
  const { text, code, where, database, purpose } = failure;
  if (text === 'The server does not support SSL connections') {
    return [
      AuthenticationError,
      `${where} does not speak TLS`,
      'set ssl = on and a certificate on the server, or leave `ssl` (or sslmode) out of `connection`.',
    ];
  }
  if (text.startsWith('SASL: ') && text.includes('password')) {
    return [
      AuthenticationError,
      `PostgreSQL wants a password of ${where}, and \`connection\` has none: ${text}`,
      'give it: postgresql://user:password@host/database, or `password`, a string; is its environment variable set?',
    ];
  }
  if (text === 'Connection terminated unexpectedly' && purpose !== undefined) {
    return [
      ConnectionError,
      `${where} ended the connection before it was one: ${text}`,
      'look into the log of the server; if there is nothing, something else than PostgreSQL listens at that port.',
    ];
  }
  // At connect it means ALLOW_CONNECTIONS false.
  if (code === '55000' && purpose !== undefined) {
    return [ConnectionError, `${where} is closed: ${text}`, `ALTER DATABASE ${database} ALLOW_CONNECTIONS true;`];
  }
  if (code === '08P01' && text.includes('replication')) return pooler(failure);
  if (code === '42601' && purpose === 'replication') return pooler(failure);
  if (code === '' && /timeout/i.test(text)) return unreachable(failure);
  return undefined;
}

/**
 * Any failure of a connection or a command as one of ours: fatal where trying again cannot help, else a
 * `ConnectionError`. One of ours stays what it is.
 */
export function translateServerError(
  error: unknown,
  target: ConnectionTarget,
  purpose?: ConnectionPurpose,
): PgListenerError {
  if (error instanceof PgListenerError) return error;
  const cause = asError(error);
  const failure = failureOf(cause, target, purpose);
  const explanation = explainByText(failure) ?? EXPLANATIONS[failure.code]?.(failure);
  const [kind, message, hint] = explanation ?? [ConnectionError, `No connection to ${failure.where}: ${failure.text}`];
  return new kind(message, { app: target.app, cause, hint });
}

function failureOf(cause: Error, target: ConnectionTarget, purpose: ConnectionPurpose | undefined): Failure {
  const code = (cause as { code?: string }).code ?? '';
  const client = makeClient(target);
  return {
    code,
    text: cause.message || code || cause.name,
    where: describeTarget(target),
    host: client.host,
    port: client.port,
    role: escapeIdentifier(client.user ?? 'CURRENT_USER'),
    database: escapeIdentifier(client.database ?? ''),
    usesTls: Boolean(client.ssl),
    purpose,
  };
}
