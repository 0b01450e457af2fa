import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { TIMELINE } from '../timeline.js';
import type { PlaceRow } from './call.sql.js';

const CLAIMS = `${OWN_SCHEMA}.claims`;
const PROGRESS = `${OWN_SCHEMA}.progress`;
const SPANS = `${OWN_SCHEMA}.spans`;
const SLOTS = `${OWN_SCHEMA}.slots`;
const PLACE = 'commit_lsn, wal_lsn, ordinal';

/** $1 system identifier, $2 app, $3 handlers, $4 service (null: not known). */
export const ENTER = `INSERT INTO ${PROGRESS} (system_identifier, app, handler, service)
SELECT $1::text, $2::text, unnest($3::text[]), $4::text ON CONFLICT (system_identifier, app, handler) DO NOTHING`;

export interface ProgressRow {
  readonly id: string;
  readonly system_identifier: string;
  readonly handler: string;
  readonly service: string | null;
}

/** $1 app, $2 handlers. Of every cluster: a restored dump has those of the one that it was taken of. */
export const READ_PROGRESS = `SELECT id, system_identifier, handler, service FROM ${PROGRESS}
 WHERE app = $1::text AND handler = ANY ($2::text[])`;

export interface KeptSpanRow extends PlaceRow {
  readonly progress_id: string;
  readonly slot_name: string;
  readonly from_lsn: string;
}

/** $1 progress of several handlers. */
export const READ_SPANS = `SELECT progress_id, slot_name, from_lsn, ${PLACE} FROM ${SPANS}
 WHERE progress_id = ANY ($1::bigint[])`;

/**
 * $1 progress, $2 the slot, $3 where its span begins, $4 to $6 up to where, $7 the timeline that they belong to.
 *
 * In one statement: a place must not leave the claims before a span covers it. What lies beyond the end of the log belongs
 * to one that the server has lost. Spans of slots for one connection that lie within are said with ours; two processes that did that to each other
 * would wait for each other, hence the turn.
 */
export const FOLD = `WITH turn AS MATERIALIZED (
  SELECT id FROM ${PROGRESS} WHERE id = $1::bigint FOR NO KEY UPDATE
), moved AS (
  INSERT INTO ${SPANS} AS s (progress_id, slot_name, from_lsn, ${PLACE})
  SELECT id, $2::text, $3::pg_lsn, $4::pg_lsn, $5::pg_lsn, $6::integer FROM turn
   WHERE ${TIMELINE} = $7::text AND $4::pg_lsn < pg_current_wal_insert_lsn()
  ON CONFLICT (progress_id, slot_name, from_lsn) DO UPDATE
     SET commit_lsn = EXCLUDED.commit_lsn, wal_lsn = EXCLUDED.wal_lsn, ordinal = EXCLUDED.ordinal, folded_at = now()
   WHERE (s.commit_lsn, s.wal_lsn, s.ordinal) < ($4::pg_lsn, $5::pg_lsn, $6::integer)
  RETURNING progress_id
), within AS (
  DELETE FROM ${SPANS} AS s USING moved
   WHERE s.progress_id = moved.progress_id AND s.slot_name IN ('', $2::text)
     AND (s.slot_name, s.from_lsn) <> ($2::text, $3::pg_lsn) AND s.from_lsn >= $3::pg_lsn
     AND (s.commit_lsn, s.wal_lsn, s.ordinal) <= ($4::pg_lsn, $5::pg_lsn, $6::integer)
)
DELETE FROM ${CLAIMS} AS c USING moved
 WHERE c.progress_id = moved.progress_id AND c.commit_lsn >= $3::pg_lsn
   AND (c.commit_lsn, c.wal_lsn, c.ordinal) <= ($4::pg_lsn, $5::pg_lsn, $6::integer)`;

/**
 * A slot begins anew: what its span was before is over, also if nothing comes for a handler until the next connection.
 * $1 progress of several handlers, $2 the slot, $3 where it begins. It covers nothing yet.
 */
export const BEGIN_SPANS = `INSERT INTO ${SPANS} (progress_id, slot_name, from_lsn, ${PLACE})
SELECT unnest($1::bigint[]), $2::text, $3::pg_lsn, $3::pg_lsn, '0/0'::pg_lsn, 0
ON CONFLICT DO NOTHING`;

/**
 * $1 progress of several handlers. What slots that are gone have left behind, of one connection only or dropped: no slot
 * of the database can bring again what is older than the oldest log that one of them keeps. Not before a day has gone by:
 * a process may have it in hand still, and a standby the slot.
 */
export const PRUNE = `WITH stale AS (
  DELETE FROM ${SPANS} AS s WHERE progress_id = ANY ($1::bigint[]) AND folded_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS r WHERE r.slot_name = s.slot_name)
     AND commit_lsn < (SELECT min(restart_lsn) FROM pg_catalog.pg_replication_slots WHERE database = current_database())
  RETURNING s.progress_id, s.commit_lsn, s.wal_lsn, s.ordinal
)
DELETE FROM ${CLAIMS} AS c USING stale AS s
 WHERE c.progress_id = s.progress_id AND (c.commit_lsn, c.wal_lsn, c.ordinal) <= (s.commit_lsn, s.wal_lsn, s.ordinal)`;

/**
 * Ends the transactions of those who had the stream before: one that is frozen would keep what it has claimed, and what
 * it has locked, for as long as it sleeps. $1 the slot, $2 how many take-overs we know of, $3 and $4 our own mark, $5
 * sessions that we have given up: the server may not know that nobody is there any more.
 */
export const END_EARLIER = `SELECT pid, pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_locks
 WHERE locktype = 'advisory' AND objsubid = 2 AND granted
   AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND classid = ($3::bigint & 4294967295)::oid AND (objid <> ($4::bigint & 4294967295)::oid OR pid = ANY ($5::integer[]))
   AND EXISTS (SELECT FROM ${SLOTS} WHERE slot_name = $1::text AND epoch = $2::bigint)`;

/** $1 process ids. Of sessions of other roles, only superusers see more than that they are there. */
export const SESSION_STATES = `SELECT pid, state FROM pg_catalog.pg_stat_activity WHERE pid = ANY ($1::integer[])`;
