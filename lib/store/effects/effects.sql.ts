import { escapeLiteral } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { formatLsn, lsnFromParts } from '../../protocol/lsn.js';
import { TIMELINE } from '../timeline.js';
import { WRITTEN } from '../written.js';

// Statements below that run in a handler's own session qualify everything: its search_path is the user's.

const CLAIMS = `${OWN_SCHEMA}.claims`;
const PROGRESS = `${OWN_SCHEMA}.progress`;
const SPANS = `${OWN_SCHEMA}.spans`;
const PARKED = `${OWN_SCHEMA}.parked`;
const SLOTS = `${OWN_SCHEMA}.slots`;
const PLACE = 'commit_lsn, wal_lsn, ordinal';

/** A call's transaction is known on the server by its advisory lock: whose stream it belongs to. */
export interface CallMark {
  /** Of the slot, 32 bits, signed. */
  readonly slotKey: number;
  /** Of the take-over, its lower 32 bits, signed. */
  readonly epochKey: number;
}

export interface ClaimStatement {
  readonly mark: CallMark;
  /** Whose take-overs are counted. */
  readonly slotName: string;
  readonly progressId: string;
}

/** A place in the log. */
export interface PlaceRow {
  readonly commit_lsn: string;
  readonly wal_lsn: string;
  readonly ordinal: string;
}

/** A span of places that are done; all null where there is none. */
export type SpanRow = (PlaceRow & { readonly from_lsn: string }) | { readonly from_lsn: null };

/** What a transaction that has begun is worth: a row for each span of the handler, or one without. */
export type WorthRow = SpanRow & {
  readonly timeline: string;
  /** Where the log ends. */
  readonly log_end: string;
  readonly epoch: string | null;
  readonly xid: string;
};

/**
 * Begins a transaction and claims places: four answers, of which the third has the claimed ones, and the fourth says
 * what they are worth.
 *
 * The order matters. The lock first: whoever takes the stream over, and has counted that, looks for such locks; either it
 * finds ours, or we find its count. The claim before the look at the spans: what is claimed and done leaves the table
 * only when a span has come to cover it, so that a claim that could be made although the place was done is seen by the
 * statement after it.
 */
export function claim({ mark, slotName, progressId }: ClaimStatement, places: readonly WalPosition[]): string {
  const rows = places.map((place) => `(${placeLiterals(place)})`).join(', ');
  return `${begin(mark)};
INSERT INTO ${CLAIMS} (progress_id, ${PLACE}) SELECT ${progressId}, v.* FROM (VALUES ${rows}) AS v (${PLACE})
 ON CONFLICT DO NOTHING RETURNING ${PLACE};
${worth(slotName, progressId)}`;
}

/** Begins a transaction and takes a parked change out: where it was there, the third answer has a row. */
export function takeOut({ mark, slotName, progressId }: ClaimStatement, storeSlot: string, parkedId: string): string {
  return `${begin(mark)};
DELETE FROM ${PARKED} WHERE slot_name OPERATOR(pg_catalog.=) ${escapeLiteral(storeSlot)}
 AND id OPERATOR(pg_catalog.=) ${escapeLiteral(parkedId)}::pg_catalog.int8 RETURNING id;
${worth(slotName, progressId)}`;
}

/**
 * Another transaction than the one that was begun must not be taken for it; and what could be lost in a crash, where the
 * confirmed position is not, must not be confirmed.
 *
 * @param tellsLsn whether a fourth answer says where the log ends after it
 */
export function commit(xid: string, tellsLsn: boolean): string {
  const isOurs = `pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text IS NOT DISTINCT FROM ${escapeLiteral(xid)}`;
  // Not a constant in a branch: that would be worked out beforehand, whichever branch is taken.
  const guard = `SELECT 1 OPERATOR(pg_catalog./) CASE WHEN ${isOurs} THEN 1 ELSE 0 END`;
  const durable = `SELECT CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
 THEN pg_catalog.set_config('synchronous_commit', 'local', true) END`;
  return `${guard}; ${durable}; COMMIT${tellsLsn ? `; ${WRITTEN}` : ''}`;
}

/** What `commit` fails with where its transaction is not there. */
export const NOT_OURS = '22012';

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
 * to one that the server has lost. Spans of others that lie within are said with ours; two processes that did that to each other would wait for each other,
 * hence the turn.
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
   WHERE s.progress_id = moved.progress_id AND (s.slot_name, s.from_lsn) <> ($2::text, $3::pg_lsn) AND s.from_lsn >= $3::pg_lsn
     AND (s.commit_lsn, s.wal_lsn, s.ordinal) <= ($4::pg_lsn, $5::pg_lsn, $6::integer)
)
DELETE FROM ${CLAIMS} AS c USING moved
 WHERE c.progress_id = moved.progress_id AND c.commit_lsn >= $3::pg_lsn
   AND (c.commit_lsn, c.wal_lsn, c.ordinal) <= ($4::pg_lsn, $5::pg_lsn, $6::integer)`;

/**
 * $1 progress of several handlers. What slots of one connection only have left behind: no slot of the database can bring
 * again what is older than the oldest log that one of them keeps. A handler that has had a slot with a name is left alone:
 * a standby may have that slot as it was before.
 */
export const PRUNE = `WITH oldest AS (
  SELECT min(restart_lsn) AS lsn FROM pg_catalog.pg_replication_slots WHERE database = current_database()
), lost AS (
  SELECT id FROM ${PROGRESS} AS p WHERE id = ANY ($1::bigint[])
     AND NOT EXISTS (SELECT FROM ${SPANS} AS s WHERE s.progress_id = p.id AND s.slot_name <> '')
), spans AS (
  DELETE FROM ${SPANS} AS s USING oldest, lost WHERE s.progress_id = lost.id AND s.commit_lsn < oldest.lsn
)
DELETE FROM ${CLAIMS} AS c USING oldest, lost WHERE c.progress_id = lost.id AND c.commit_lsn < oldest.lsn`;

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

export const SYSTEM = `SELECT system_identifier::text AS system_identifier FROM pg_catalog.pg_control_system()`;

/** Read committed, whatever the role's default: see `claim`. */
function begin({ slotKey, epochKey }: CallMark): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT pg_catalog.pg_advisory_xact_lock_shared(${slotKey}, ${epochKey})`;
}

function worth(slotName: string, progressId: string): string {
  return `SELECT s.from_lsn, s.commit_lsn, s.wal_lsn, s.ordinal, ${TIMELINE} AS timeline,
 pg_catalog.pg_current_wal_insert_lsn() AS log_end, pg_catalog.pg_current_xact_id() AS xid,
 (SELECT epoch FROM ${SLOTS} WHERE slot_name OPERATOR(pg_catalog.=) ${escapeLiteral(slotName)}) AS epoch
 FROM ${PROGRESS} AS p LEFT JOIN ${SPANS} AS s ON s.progress_id OPERATOR(pg_catalog.=) p.id
 WHERE p.id OPERATOR(pg_catalog.=) ${progressId}`;
}

function placeLiterals({ commitLsn, walHigh, walLow, ordinal }: WalPosition): string {
  const lsn = (value: bigint): string => `'${formatLsn(value)}'::pg_catalog.pg_lsn`;
  return `${lsn(commitLsn)}, ${lsn(lsnFromParts(walHigh, walLow))}, ${ordinal}`;
}
