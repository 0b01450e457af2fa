import { escapeLiteral } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { formatLsn, lsnFromParts } from '../../protocol/lsn.js';
import { TIMELINE } from '../timeline.js';
import { WRITTEN } from '../written.js';

// All of this runs in a handler's own session, and qualifies everything: the search_path is the user's.

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

const NAME = OWN_SCHEMA;
const LOCK = `${NAME}_lock`;
const CLAIM = `${NAME}_claim`;
const WORTH = `${NAME}_worth`;
const GUARD = `${NAME}_guard`;

/**
 * What each call asks, prepared once for a session: to be parsed and planned anew would take the server longer than the
 * rest of it.
 *
 * Lock: $1 the slot's key, $2 the take-over's. Claim: $1 progress, $2 to $4 places, part by part. Worth: $1 progress, $2
 * the slot whose take-overs are counted. Guard: $1 the transaction that was begun; another one must not be taken for it,
 * and what could be lost in a crash, where the confirmed position is not, must not be confirmed.
 */
export const PREPARE = `PREPARE ${LOCK} (pg_catalog.int4, pg_catalog.int4) AS
 SELECT pg_catalog.pg_advisory_xact_lock_shared($1, $2);
PREPARE ${CLAIM} (pg_catalog.int8, pg_catalog.pg_lsn[], pg_catalog.pg_lsn[], pg_catalog.int4[]) AS
 INSERT INTO ${CLAIMS} (progress_id, ${PLACE}) SELECT $1, v.*
 FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS v (${PLACE})
 ON CONFLICT DO NOTHING RETURNING ${PLACE};
PREPARE ${WORTH} (pg_catalog.int8, pg_catalog.text) AS
 SELECT s.from_lsn, s.commit_lsn, s.wal_lsn, s.ordinal, ${TIMELINE} AS timeline,
 pg_catalog.pg_current_wal_insert_lsn() AS log_end, pg_catalog.pg_current_xact_id() AS xid,
 (SELECT epoch FROM ${SLOTS} WHERE slot_name OPERATOR(pg_catalog.=) $2) AS epoch
 FROM ${PROGRESS} AS p LEFT JOIN ${SPANS} AS s ON s.progress_id OPERATOR(pg_catalog.=) p.id
 WHERE p.id OPERATOR(pg_catalog.=) $1;
PREPARE ${GUARD} (pg_catalog.text) AS
 SELECT 1 OPERATOR(pg_catalog./)
 CASE WHEN pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text IS NOT DISTINCT FROM $1 THEN 1 ELSE 0 END,
 CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
 THEN pg_catalog.set_config('synchronous_commit', 'local', true) END`;

/** What `commit` fails with where its transaction is not there. */
export const NOT_OURS = '22012';
/** What any of them fails with where somebody has deallocated what was prepared. */
export const NOT_PREPARED = '26000';

/**
 * Begins a transaction and claims places: four answers, of which the third has the claimed ones, and the fourth says
 * what they are worth.
 *
 * The order matters. The lock first: whoever takes the stream over, and has counted that, looks for such locks; either it
 * finds ours, or we find its count. The claim before the look at the spans: what is claimed and done leaves the table
 * only when a span has come to cover it, so that a claim that could be made although the place was done is seen by the
 * statement after it.
 */
export function claim(statement: ClaimStatement, places: readonly WalPosition[]): string {
  const commits = places.map(({ commitLsn }) => formatLsn(commitLsn));
  const own = places.map(({ walHigh, walLow }) => formatLsn(lsnFromParts(walHigh, walLow)));
  const ordinals = places.map(({ ordinal }) => ordinal);
  return `${begin(statement.mark)};
EXECUTE ${CLAIM} (${statement.progressId}, '{${commits.join(',')}}', '{${own.join(',')}}', '{${ordinals.join(',')}}');
${worth(statement)}`;
}

/** Begins a transaction and takes a parked change out: where it was there, the third answer has a row. */
export function takeOut(statement: ClaimStatement, storeSlot: string, parkedId: string): string {
  return `${begin(statement.mark)};
DELETE FROM ${PARKED} WHERE slot_name OPERATOR(pg_catalog.=) ${escapeLiteral(storeSlot)}
 AND id OPERATOR(pg_catalog.=) ${escapeLiteral(parkedId)}::pg_catalog.int8 RETURNING id;
${worth(statement)}`;
}

/** @param tellsLsn whether a third answer says where the log ends after it */
export function commit(xid: string, tellsLsn: boolean): string {
  return `EXECUTE ${GUARD} (${escapeLiteral(xid)}); COMMIT${tellsLsn ? `; ${WRITTEN}` : ''}`;
}

export const SYSTEM = `SELECT system_identifier::text AS system_identifier FROM pg_catalog.pg_control_system()`;

/** Read committed, whatever the role's default: see `claim`. */
function begin({ slotKey, epochKey }: CallMark): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
EXECUTE ${LOCK} (${slotKey}, ${epochKey})`;
}

function worth({ slotName, progressId }: ClaimStatement): string {
  return `EXECUTE ${WORTH} (${progressId}, ${escapeLiteral(slotName)})`;
}
