import type { Client } from 'pg';
import { connectReplication, socketOf } from '../../connection/connection.js';
import type { ConnectionTarget } from '../../connection/connection-target.js';
import { identifySystem } from '../../connection/server-facts.js';
import { readWalRate } from '../wal-rate.js';
import type { PgListenerError } from '../../errors/pg-listener.error.js';

/** One setting of the server (manual, section 52.25). */
export interface Setting {
  readonly value: string;
  /** `command line`, `configuration file`, `default`, ... */
  readonly source: string;
  /** A reload has brought another value, which waits for a restart. */
  readonly isPending: boolean;
}

/** Who hosts the server, as its roles tell: there, settings are changed in another way. */
export type Host = 'rds' | 'cloud-sql' | 'azure' | null;

export interface Role {
  readonly name: string;
  readonly database: string;
  readonly isSuperuser: boolean;
  readonly mayReplicate: boolean;
  readonly mayCreate: boolean;
  readonly isReadOnly: boolean;
}

/** What the server says of itself and of the role that asks. */
export interface ServerSurvey {
  /** `server_version_num`. */
  readonly version: number;
  /** `server_version`, without what a distribution adds. */
  readonly versionText: string;
  readonly isStandby: boolean;
  readonly encoding: string;
  readonly host: Host;
  readonly settings: ReadonlyMap<string, Setting>;
  readonly role: Role;
  /** Of `max_slot_wal_keep_size`; null: no limit. */
  readonly keepBytes: number | null;
  /** Bytes of write-ahead log in a second; null: it cannot be told. */
  readonly walRate: number | null;
  /** WAL senders that run: standbys, backups, subscribers, listeners. */
  readonly senders: number;
  /** Somebody between us and the server answers for it: the key that cancels queries is not the server's. */
  readonly hasPooler: boolean;
}

const SETTINGS = [
  'wal_level',
  'effective_wal_level',
  'max_replication_slots',
  'max_wal_senders',
  'max_slot_wal_keep_size',
  'max_prepared_transactions',
  'idle_replication_slot_timeout',
  'synchronous_standby_names',
  'logical_decoding_work_mem',
  'wal_sender_timeout',
];

const SURVEY = `
  SELECT current_setting('server_version_num') AS version, current_setting('server_version') AS text,
         pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding,
         current_user AS role, current_database() AS database, r.rolsuper AS super,
         s.rolreplication OR s.rolsuper OR EXISTS (
           SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(session_user, g.oid, 'MEMBER')
         ) AS replication,
         has_database_privilege(current_database(), 'CREATE') AS "mayCreate",
         current_setting('transaction_read_only') = 'on' AS "readOnly",
         (SELECT nullif(setting, '-1')::numeric * 1048576 FROM pg_catalog.pg_settings
           WHERE name = 'max_slot_wal_keep_size')::text AS keep,
         (SELECT count(*) FROM pg_catalog.pg_stat_replication)::text AS senders, pg_backend_pid()::text AS pid,
         (SELECT min(CASE rolname WHEN 'rds_superuser' THEN 'rds' WHEN 'cloudsqlsuperuser' THEN 'cloud-sql' ELSE 'azure' END)
            FROM pg_catalog.pg_roles WHERE rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')) AS host
    FROM pg_catalog.pg_roles r, pg_catalog.pg_roles s WHERE r.rolname = current_user AND s.rolname = session_user`;

interface SurveyRow {
  version: string;
  text: string;
  standby: boolean;
  encoding: string;
  role: string;
  database: string;
  super: boolean;
  replication: boolean;
  mayCreate: boolean;
  readOnly: boolean;
  /** Null: no limit. */
  keep: string | null;
  senders: string;
  pid: string;
  host: Host;
}

export async function surveyServer(client: Client): Promise<ServerSurvey> {
  const { rows } = await client.query<SurveyRow>(SURVEY);
  const row = rows[0]!;
  const { rows: settings } = await client.query<{ name: string; value: string; source: string; pending: boolean }>(
    `SELECT name, current_setting(name) AS value, source, pending_restart AS pending
       FROM pg_catalog.pg_settings WHERE name = ANY ($1)`,
    [SETTINGS],
  );
  return {
    version: Number(row.version),
    versionText: row.text.split(' ')[0]!,
    isStandby: row.standby,
    encoding: row.encoding,
    host: row.host,
    settings: new Map(
      settings.map(({ name, value, source, pending }) => [name, { value, source, isPending: pending }]),
    ),
    role: {
      name: row.role,
      database: row.database,
      isSuperuser: row.super,
      mayReplicate: row.replication,
      mayCreate: row.mayCreate,
      isReadOnly: row.readOnly && !row.standby,
    },
    keepBytes: row.keep === null ? null : Number(row.keep),
    walRate: await readWalRate(client),
    senders: Number(row.senders),
    // A pooler hands out a key of its own, in the form of a process number (manual, section 54.2.8).
    hasPooler: (client as unknown as { processID: number | null }).processID !== Number(row.pid),
  };
}

/** Really speaks the replication protocol: pg_hba.conf, a pooler or a network may be in the way. Null: nothing is. */
export async function tryReplication(target: ConnectionTarget): Promise<PgListenerError | null> {
  let client: Client | undefined;
  try {
    client = await connectReplication(target);
    await identifySystem(client, target);
    return null;
  } catch (error) {
    return error as PgListenerError;
  } finally {
    if (client !== undefined) socketOf(client).destroy();
  }
}
