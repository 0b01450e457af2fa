import { OWN_SCHEMA } from '../changes/own-schema.js';

/**
 * Tables of our own, in the source database. Statements are printed for roles that lack the right to run them, so they
 * may be run again at any time.
 */
export interface OwnTables {
  readonly names: readonly string[];
  readonly statements: readonly string[];
}

const STREAM_STATEMENTS: readonly string[] = [
  `CREATE SCHEMA IF NOT EXISTS ${OWN_SCHEMA}`,
  // One row for each slot: who owns it, and what was confirmed at most. A re-created slot bears no mark of its own.
  `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.slots (
  slot_name text PRIMARY KEY,
  service text,
  app text NOT NULL,
  system_identifier text NOT NULL,
  timeline text NOT NULL,
  confirmed_lsn pg_lsn NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  handlers jsonb NOT NULL DEFAULT '{}',
  recorded_at timestamptz NOT NULL DEFAULT now()
)`,
  // Where changes may be missing. Acknowledged by a person or a policy, resolved when a stream has begun behind it.
  `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.gaps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  slot_name text NOT NULL,
  app text NOT NULL,
  kind text NOT NULL,
  from_lsn pg_lsn,
  to_lsn pg_lsn,
  detail text NOT NULL,
  detected_at timestamptz NOT NULL DEFAULT now(),
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at timestamptz
)`,
  // One row for each change and handler. xid and time tell one history of the log from another, where positions come twice.
  `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  slot_name text NOT NULL,
  app text NOT NULL,
  handler text NOT NULL,
  schema_name text,
  table_name text,
  operation text,
  keys text[] NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  wal_lsn pg_lsn NOT NULL,
  ordinal integer NOT NULL,
  xid bigint NOT NULL,
  commit_timestamp timestamptz NOT NULL,
  index integer NOT NULL,
  origin text,
  relation jsonb,
  message bytea NOT NULL,
  change jsonb,
  error text,
  attempts integer NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now(),
  last_attempt_at timestamptz,
  request text,
  UNIQUE (slot_name, handler, commit_lsn, wal_lsn, ordinal, xid, commit_timestamp)
)`,
  `CREATE INDEX IF NOT EXISTS parked_by_key ON ${OWN_SCHEMA}.parked (slot_name, handler, schema_name, table_name, id)`,
  `CREATE INDEX IF NOT EXISTS parked_in_order ON ${OWN_SCHEMA}.parked (slot_name, commit_lsn, wal_lsn, ordinal, id)`,
  `CREATE INDEX IF NOT EXISTS parked_requests ON ${OWN_SCHEMA}.parked (slot_name) WHERE request IS NOT NULL`,
];

/** Of every app with a named slot. */
export const STREAM_TABLES: OwnTables = { names: ['slots', 'gaps', 'parked'], statements: STREAM_STATEMENTS };

/** Of apps that listen to changes of schema. */
export const SCHEMA_TABLES: OwnTables = {
  names: [...STREAM_TABLES.names, 'described'],
  statements: [
    ...STREAM_STATEMENTS,
    // How each table was described last under each of its names, as far as handlers were told, and since where in which log.
    `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.described (
  slot_name text NOT NULL,
  schema_name text NOT NULL,
  table_name text NOT NULL,
  relation_oid oid NOT NULL,
  shape jsonb NOT NULL,
  system_identifier text NOT NULL,
  timeline text NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  wal_lsn pg_lsn NOT NULL,
  ordinal integer NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (slot_name, schema_name, table_name, relation_oid)
)`,
  ],
};

/** Of apps with transactional handlers, whatever their slot: a claim looks at whose stream it is, and at what is parked. */
export const EFFECTS_TABLES: OwnTables = {
  names: [...STREAM_TABLES.names, 'progress', 'spans', 'claims'],
  statements: [
    ...STREAM_STATEMENTS,
    // One row for each handler. No slot and no timeline: what is done goes with the data, back in time and to another server.
    `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.progress (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  system_identifier text NOT NULL,
  app text NOT NULL,
  handler text NOT NULL,
  service text,
  UNIQUE (system_identifier, app, handler)
)`,
    // From `from_lsn` up to the place, everything that the handler was given is done: the part of one stream, for another one
    // may have begun before it, and not be as far. A slot of one connection only has no name.
    `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.spans (
  progress_id bigint NOT NULL REFERENCES ${OWN_SCHEMA}.progress ON DELETE CASCADE,
  slot_name text NOT NULL,
  from_lsn pg_lsn NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  wal_lsn pg_lsn NOT NULL,
  ordinal integer NOT NULL,
  folded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (progress_id, slot_name, from_lsn)
)`,
    // What is done outside of any. No foreign key: each claim would lock the one row of its handler.
    `CREATE TABLE IF NOT EXISTS ${OWN_SCHEMA}.claims (
  progress_id bigint NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  wal_lsn pg_lsn NOT NULL,
  ordinal integer NOT NULL,
  PRIMARY KEY (progress_id, commit_lsn, wal_lsn, ordinal)
)`,
  ],
};
