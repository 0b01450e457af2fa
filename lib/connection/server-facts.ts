import type { Client } from 'pg';
import { ServerSetupError } from '../errors/replication.error.js';
import { parseLsn, type Lsn } from '../protocol/lsn.js';
import { applicationName, describeTarget, type ConnectionTarget } from './connection-target.js';
import { readPrimaryKeys, type PrimaryKeys } from './primary-keys.js';
import { translateServerError } from './server-errors.js';

/** What has to be known of a server before streaming from it. */
export interface ServerFacts {
  /** `server_version_num`, such as 180004. */
  readonly version: number;
  /** 0: the server waits for ever. */
  readonly walSenderTimeoutMs: number;
  readonly primaryKeys: PrimaryKeys;
}

/** Which cluster this is, and which of its histories: positions mean something only within both. */
export interface SystemIdentity {
  readonly systemIdentifier: string;
  readonly timeline: string;
  /** Where the server's log ends. */
  readonly walEnd: Lsn;
}

const OLDEST_VERSION = 140_000;

/** Reads them, and refuses a server that cannot do logical replication. @throws ServerSetupError */
export async function readServerFacts(client: Client, target: ConnectionTarget): Promise<ServerFacts> {
  const { rows } = await client.query<Record<'version' | 'level' | 'timeout' | 'standbys', string>>(
    `SELECT current_setting('server_version_num') AS version,
            coalesce(current_setting('effective_wal_level', true), current_setting('wal_level')) AS level,
            (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout') AS timeout,
            current_setting('synchronous_standby_names') AS standbys`,
  );
  const { level, standbys, timeout } = rows[0]!;
  const version = Number(rows[0]!.version);
  if (version < OLDEST_VERSION) {
    throw new ServerSetupError(`PostgreSQL ${Math.floor(version / 10_000)} is too old on ${describeTarget(target)}`, {
      app: target.app,
      hint: 'use PostgreSQL 14 or later.',
    });
  }
  // From 19 on, a server with wal_level = replica turns logical decoding on when the first slot is made.
  if (level !== 'logical' && version < 190_000) {
    throw new ServerSetupError(
      `wal_level is "${level}" on ${describeTarget(target)}; logical replication needs "logical"`,
      {
        app: target.app,
        hint: "as a superuser: ALTER SYSTEM SET wal_level = 'logical'; then restart the server.",
      },
    );
  }
  refuseSynchronousStandby(standbys, target);
  return {
    version,
    walSenderTimeoutMs: Number(timeout),
    primaryKeys: await readPrimaryKeys(client),
  };
}

/** @throws ServerSetupError where the server cannot leave changes of an origin out */
export function requireOrigins(version: number, target: ConnectionTarget): void {
  if (version >= 160_000) return;
  throw new ServerSetupError(
    `\`origin: 'none'\` needs PostgreSQL 16, and ${describeTarget(target)} has ${Math.floor(version / 10_000)}`,
    { app: target.app, hint: 'leave the option out; see what a handler may write in docs/exactly-once.md.' },
  );
}

/** @throws ServerSetupError where the server cannot send what is prepared */
export function requireTwoPhase(version: number, target: ConnectionTarget): void {
  if (version >= 150_000) return;
  throw new ServerSetupError(
    `\`twoPhase\` needs PostgreSQL 15, and ${describeTarget(target)} has ${Math.floor(version / 10_000)}`,
    { app: target.app, hint: 'leave the option out: what is prepared comes when it is committed.' },
  );
}

/** Whether a server that names these synchronous standbys would take a connection of that application_name for one. */
export function isSynchronousStandby(standbys: string, name: string): boolean {
  const listed = standbys.replace(/^\s*(?:FIRST|ANY)?\s*\d+\s*\(/i, '').replace(/\)\s*$/, '');
  const names = new Set(
    listed.split(',').map((part) =>
      part
        .trim()
        .replace(/^"(.*)"$/, '$1')
        .toLowerCase(),
    ),
  );
  return names.has('*') || names.has(name.toLowerCase());
}

/** As a synchronous standby, every commit in the database would wait for our handlers. */
function refuseSynchronousStandby(standbys: string, target: ConnectionTarget): void {
  const name = applicationName(target);
  if (!isSynchronousStandby(standbys, name)) return;
  throw new ServerSetupError(
    `synchronous_standby_names ('${standbys}') matches the application_name "${name}": commits would wait for handlers`,
    {
      app: target.app,
      hint: 'set `connection.application_name` to a name that is not listed, or list the standbys by name.',
    },
  );
}

/** IDENTIFY_SYSTEM (manual, section 54.4), the first replication command of a connection. @throws PgListenerError */
export async function identifySystem(replication: Client, target: ConnectionTarget): Promise<SystemIdentity> {
  try {
    const { rows } = await replication.query<{ systemid: string; timeline: number; xlogpos: string }>(
      'IDENTIFY_SYSTEM',
    );
    const { systemid, timeline, xlogpos } = rows[0]!;
    return { systemIdentifier: systemid, timeline: String(timeline), walEnd: parseLsn(xlogpos) };
  } catch (error) {
    throw translateServerError(error, target, 'replication');
  }
}
