import { OWN_SCHEMA } from '../changes/own-schema.js';
import { TIMELINE } from './timeline.js';
import type { CheckedFilter } from '../changes/parking.js';
import { WHOLE_TABLE } from '../interfaces/parked-store.interface.js';

const PARKED = `${OWN_SCHEMA}.parked`;
const SLOTS = `${OWN_SCHEMA}.slots`;

/** What the constraint of the table calls the same change. */
const IDENTITY = 'slot_name, handler, commit_lsn, wal_lsn, ordinal, xid, commit_timestamp';

/** In the order of the parameters, from $1. */
const COLUMNS: readonly (readonly [name: string, type: string])[] = [
  ['slot_name', 'text'],
  ['handler', 'text'],
  ['commit_lsn', 'pg_lsn'],
  ['wal_lsn', 'pg_lsn'],
  ['ordinal', 'integer'],
  ['xid', 'bigint'],
  ['commit_timestamp', 'timestamptz'],
  ['app', 'text'],
  ['schema_name', 'text'],
  ['table_name', 'text'],
  ['operation', 'text'],
  ['keys', 'text[]'],
  ['index', 'integer'],
  ['origin', 'text'],
  ['relation', 'jsonb'],
  ['message', 'bytea'],
  ['attempts', 'integer'],
  ['error', 'text'],
  ['change', 'jsonb'],
];
const IDENTITY_COLUMNS = 7;
const ATTEMPTS = parameter('attempts');

/**
 * The first part of whatever only the process that streams may write, in one statement with it, so that nothing comes in
 * between: whoever takes the stream over changes the row, and either waits for this to be committed or makes it find
 * nothing.
 *
 * @param first number of the parameter with the slot whose take-overs are counted; the next one is how many we know of,
 *   null: they are not
 */
export const heldBy = (first: number): string => `WITH lease AS MATERIALIZED (
  SELECT 1 FROM ${SLOTS} WHERE slot_name = $${first}::text AND epoch = $${first + 1}::bigint FOR SHARE
), held AS MATERIALIZED (
  SELECT $${first + 1}::bigint IS NULL OR EXISTS (SELECT FROM lease) AS held
)`;
const IF_HELD = `(SELECT held FROM held)`;

/**
 * Behind the columns: see `heldBy`.
 *
 * `held`: whether the stream is ours. `id`: null where it was parked already.
 */
export const PARK = `${heldBy(COLUMNS.length + 1)}, parked AS (${parkWhere('held')})
SELECT held, (SELECT id FROM parked) AS id FROM held`;

/**
 * Before `PARK_CLAIMING`, in its transaction: what is folded meanwhile would leave the claims after that has looked at the
 * spans. $1 system identifier, $2 app, $3 handler.
 */
export const PROGRESS_TURN = `SELECT id FROM ${OWN_SCHEMA}.progress
 WHERE system_identifier = $1::text AND app = $2::text AND handler = $3::text FOR NO KEY UPDATE`;

/**
 * The same for a transactional handler, whose claim of the change goes with it: what is claimed already is done, and is
 * not parked. Behind the parameters of `PARK`: the system identifier and the timeline, as the names of log files have it,
 * that the place belongs to.
 *
 * `known`: whether there is a row of the handler's progress.
 */
export const PARK_CLAIMING = `${heldBy(COLUMNS.length + 1)}, progress AS MATERIALIZED (
  SELECT id, NOT EXISTS (
           SELECT FROM ${OWN_SCHEMA}.spans AS s WHERE s.progress_id = p.id AND s.from_lsn <= ${parameter('commit_lsn')}
              AND (s.commit_lsn, s.wal_lsn, s.ordinal) >= (${parameter('commit_lsn')}, ${parameter('wal_lsn')}, ${parameter('ordinal')})
         ) AND ${TIMELINE} = $${COLUMNS.length + 4}::text AND ${parameter('commit_lsn')} < pg_current_wal_insert_lsn() AS is_open
    FROM ${OWN_SCHEMA}.progress AS p
   WHERE system_identifier = $${COLUMNS.length + 3}::text AND app = ${parameter('app')} AND handler = ${parameter('handler')}
), claimed AS (
  INSERT INTO ${OWN_SCHEMA}.claims (progress_id, commit_lsn, wal_lsn, ordinal)
  SELECT id, ${parameter('commit_lsn')}, ${parameter('wal_lsn')}, ${parameter('ordinal')} FROM held, progress WHERE held AND is_open
  ON CONFLICT DO NOTHING
  RETURNING progress_id
), parked AS (${parkWhere('held AND EXISTS (SELECT FROM claimed)')})
SELECT held, (SELECT id FROM parked) AS id, EXISTS (SELECT FROM progress) AS known FROM held`;

/** The first parameters of `PARK`. */
export const FIND = `SELECT id FROM ${PARKED} WHERE (${IDENTITY}) = (${COLUMNS.slice(0, IDENTITY_COLUMNS)
  .map(([, type], index) => `$${index + 1}::${type}`)
  .join(', ')})`;
export const FIND_PARAMETERS = IDENTITY_COLUMNS;

/** Parameters of every statement that takes a filter, from $1. */
export function filterParameters(slotName: string, { ids, handler, table }: CheckedFilter): unknown[] {
  return [slotName, ids, handler, table?.schema ?? null, table?.table ?? null];
}

const OF_SLOT = `slot_name = $1::text`;
const OF_HANDLER_AND_TABLE = `($3::text IS NULL OR handler = $3) AND ($4::text IS NULL OR schema_name = $4)
  AND ($5::text IS NULL OR table_name = $5)`;
const FILTER = `${OF_SLOT} AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND ${OF_HANDLER_AND_TABLE}`;

const KEYS = `id, handler, schema_name, table_name, array_to_json(keys)::text AS keys`;

/** $1 the slot, $2 the last id of the page before, $3 how many. */
export const KEYS_PAGE = `SELECT ${KEYS} FROM ${PARKED} WHERE ${OF_SLOT} AND id > $2::bigint ORDER BY id LIMIT $3::bigint`;

/** $6, $7: see `heldBy`. One row without an id where there is nothing to discard. */
export const DISCARD = `${heldBy(6)}, gone AS (DELETE FROM ${PARKED} WHERE ${FILTER} AND ${IF_HELD} RETURNING *)
SELECT held, ${KEYS} FROM held LEFT JOIN gone ON true ORDER BY id`;

export const COUNT = `SELECT count(*) AS count FROM ${PARKED} WHERE ${FILTER}`;

const WORK = `${KEYS}, operation, commit_lsn, wal_lsn, ordinal, xid, index, origin, relation::text AS relation, attempts,
  error, encode(message, 'hex') AS message, ${milliseconds('commit_timestamp')}, ${milliseconds('parked_at')},
  ${milliseconds('last_attempt_at')}`;

/** $6 how many. */
export const LIST = `SELECT ${WORK} FROM ${PARKED} WHERE ${FILTER} ORDER BY id LIMIT $6::bigint`;

/** The order of the log; the id tells two histories of it apart, in which positions come twice. */
const PLACE = 'commit_lsn, wal_lsn, ordinal, id';

/** $1 the slot, $2 ids. */
export const READ = `SELECT ${WORK} FROM ${PARKED} WHERE ${OF_SLOT} AND id = ANY ($2::bigint[]) ORDER BY ${PLACE}`;

/**
 * Ids of what nothing holds up. $6 ids to leave out, $7 how many, $8 among the oldest how many (null: all).
 *
 * Oldest is what comes first in the log, not what was parked first: after a crash a change that was handled already comes
 * again, has to wait behind a later one of its key, and is parked after it.
 *
 * What comes first with each key is found in one pass over all of them: to look from each for those before it takes
 * hours for 100,000. Whether a change is held depends on older ones only, so that a part from the oldest on is enough,
 * if it gives enough.
 */
export const DUE = `WITH mine AS MATERIALIZED (
  SELECT id, keys, jsonb_build_array(handler, schema_name, table_name)::text AS place, '${WHOLE_TABLE}' = ANY (keys) AS is_whole,
         row_number() OVER (ORDER BY ${PLACE}) AS rank
    FROM ${PARKED}
   WHERE ${OF_SLOT} AND ($2::bigint[] IS NULL OR (${PLACE}) <= (
           SELECT ${PLACE} FROM ${PARKED} WHERE ${OF_SLOT} AND id = ANY ($2)
            ORDER BY commit_lsn DESC, wal_lsn DESC, ordinal DESC, id DESC LIMIT 1))
     AND ${OF_HANDLER_AND_TABLE}
   ORDER BY ${PLACE} LIMIT $8::bigint
), queues AS (
  SELECT array_agg(rank) AS ranks, min(rank) AS first
    FROM (SELECT rank, place, unnest(keys) AS key FROM mine) AS pairs
   GROUP BY place COLLATE "C", key COLLATE "C" HAVING count(*) > 1
), places AS (
  SELECT place, min(rank) AS first, min(rank) FILTER (WHERE is_whole) AS first_whole FROM mine GROUP BY place
)
SELECT id FROM mine JOIN places USING (place)
 WHERE rank NOT IN (SELECT queued FROM queues, unnest(queues.ranks) AS queued WHERE queued > queues.first)
   AND (first_whole IS NULL OR rank <= first_whole)
   AND (NOT is_whole OR rank = places.first)
   AND ($2::bigint[] IS NULL OR id = ANY ($2))
   AND id NOT IN (SELECT unnest($6::bigint[]))
 ORDER BY rank LIMIT $7::bigint`;

/** $1 the slot, $2 an id; $3, $4: see `heldBy`. */
export const HANDLED = `${heldBy(3)}, gone AS (DELETE FROM ${PARKED} WHERE ${OF_SLOT} AND id = $2::bigint AND ${IF_HELD})
SELECT held FROM held`;

/** $1 the slot, $2 an id, $3 the error's text. */
export const FAILED = `UPDATE ${PARKED} SET attempts = attempts + 1, error = $3::text, last_attempt_at = now()
 WHERE ${OF_SLOT} AND id = $2::bigint`;

/** $6 what. */
export const REQUEST = `UPDATE ${PARKED} SET request = $6::text WHERE ${FILTER}`;

/** $1 the slot; $2, $3: see `heldBy`. One row without an id where nothing is asked for. */
export const TAKE_REQUESTS = `${heldBy(2)}, asked AS MATERIALIZED (
  SELECT id, request FROM ${PARKED} WHERE ${OF_SLOT} AND request IS NOT NULL AND ${IF_HELD} FOR UPDATE
), taken AS (
  UPDATE ${PARKED} AS parked SET request = NULL FROM asked WHERE parked.id = asked.id RETURNING asked.id, asked.request
)
SELECT held, id, request FROM held LEFT JOIN taken ON true ORDER BY id`;

function parkWhere(condition: string): string {
  return `
  INSERT INTO ${PARKED} (${COLUMNS.map(([name]) => name).join(', ')}, last_attempt_at)
  SELECT ${COLUMNS.map(([, type], index) => `$${index + 1}::${type}`).join(', ')},
         CASE WHEN ${ATTEMPTS} > 0 THEN now() END
    FROM held WHERE ${condition}
  ON CONFLICT (${IDENTITY}) DO NOTHING
  RETURNING id
`;
}

function parameter(column: string): string {
  const index = COLUMNS.findIndex(([name]) => name === column);
  return `$${index + 1}::${COLUMNS[index]![1]}`;
}

function milliseconds(column: string): string {
  return `round(extract(epoch FROM ${column}) * 1000)::bigint AS ${column}`;
}
