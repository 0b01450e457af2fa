import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../protocol/lsn.js';
import { FIRST_USER_OID, type CompositeAttribute, type MadeType } from '../protocol/made-type.js';

/** One type as the catalogue has it. */
interface TypeRow {
  readonly oid: number;
  readonly kind: MadeType['kind'];
  readonly name: string;
  readonly of: number | null;
  readonly delimiter: string;
  readonly send: string | null;
  readonly attributes: (CompositeAttribute | null)[] | null;
}

/** What was asked of types by their oids. */
export interface FoundTypes {
  /** With all that they are made of, those of users and domains. */
  readonly types: ReadonlyMap<number, MadeType>;
  /** Whether what the transaction has made can be seen by now: what is not among them is gone then. */
  readonly isSeen: boolean;
}

const IS_ARRAY = `t.typtype = 'b' AND t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0`;

/**
 * All but the row types of tables, of which there are as many as tables, and nearly none is the type of a column: those are
 * asked for when one is.
 */
const ALL = `
  t.typtype = 'd' OR (t.oid >= ${FIRST_USER_OID} AND t.typtype <> 'p' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_type e JOIN pg_catalog.pg_class c ON c.oid = e.typrelid
     WHERE e.oid IN (t.oid, t.typelem) AND c.relkind <> 'c'))`;

/** A text sends what it is; whatever else is written otherwise than text is not to be known by this. */
const SEND = `
  SELECT s.prosrc FROM pg_catalog.pg_proc s, pg_catalog.pg_proc o
   WHERE s.oid = t.typsend AND o.oid = t.typoutput AND (s.prosrc <> 'textsend' OR o.prosrc = 'textout')`;

const ATTRIBUTES = `
  SELECT json_agg(CASE WHEN NOT a.attisdropped THEN json_build_object('name', a.attname, 'oid', a.atttypid::int8) END
                  ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0`;

/** Types that begin so, with all that they are made of, as JSON. */
function typesSql(start: string): string {
  return `
    WITH RECURSIVE wanted (oid) AS (
        SELECT t.oid FROM pg_catalog.pg_type t WHERE ${start}
      UNION
        SELECT part.oid
          FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid,
               LATERAL (SELECT t.typelem AS oid WHERE ${IS_ARRAY}
                        UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
                        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
                        UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
                        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                                   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
                                     AND NOT a.attisdropped) part)
    SELECT json_agg(json_build_object(
             'oid', t.oid::int8, 'name', t.typname, 'kind', k.kind, 'of', k.of::int8, 'delimiter', e.typdelim,
             'send', CASE WHEN k.kind = 'base' THEN (${SEND}) END,
             'attributes', CASE WHEN k.kind = 'composite' THEN (${ATTRIBUTES}) END))::text
      FROM wanted w
      JOIN pg_catalog.pg_type t ON t.oid = w.oid
      LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem,
           LATERAL (SELECT 'enum' AS kind, NULL::oid AS of WHERE t.typtype = 'e'
                    UNION ALL SELECT 'domain', t.typbasetype WHERE t.typtype = 'd'
                    UNION ALL SELECT 'array', t.typelem WHERE ${IS_ARRAY}
                    UNION ALL SELECT 'base', NULL WHERE t.typtype = 'b' AND NOT (${IS_ARRAY})
                    UNION ALL SELECT 'composite', NULL WHERE t.typtype = 'c'
                    UNION ALL SELECT 'range', r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
                    UNION ALL SELECT 'multirange', r.rngtypid FROM pg_catalog.pg_range r
                               WHERE r.rngmultitypid = t.oid) k
     WHERE t.oid >= ${FIRST_USER_OID} OR t.typtype = 'd'`;
}

/** A transaction's number without its epoch is near the newest one. All is of one snapshot: of one statement. */
const IS_SEEN = `
  SELECT pg_catalog.pg_visible_in_snapshot(
           greatest(x.newest + (($2::int8 - x.newest % 4294967296 + 6442450944) % 4294967296 - 2147483648), 3)::text::xid8,
           x.snapshot)
    FROM (SELECT s AS snapshot, pg_catalog.pg_snapshot_xmax(s)::text::int8 AS newest
            FROM pg_catalog.pg_current_snapshot() s) x`;

const READ_ALL = `SELECT (${typesSql(ALL)}) AS types`;
const READ_SOME = `SELECT (${typesSql('t.oid = ANY ($1::oid[])')}) AS types, (${IS_SEEN})::text AS seen`;

/** Where the log ends that is on disk, or on a standby the one that was replayed. */
export async function readWalEnd(client: Client): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>(
    `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_flush_lsn() END::text AS lsn`,
  );
  return parseLsn(rows[0]!.lsn);
}

/** The types of users, by oid, and all domains; but for row types of tables. */
export async function readMadeTypes(client: Client): Promise<Map<number, MadeType>> {
  const { rows } = await client.query<{ types: string | null }>(READ_ALL);
  return madeTypes(rows[0]!.types);
}

/**
 * These types, as far as they are there.
 *
 * @param xid the transaction that may have made them; null: all that can have made them has long been committed
 */
export async function readTypes(client: Client, oids: readonly number[], xid: number | null): Promise<FoundTypes> {
  const { rows } = await client.query<{ types: string | null; seen: string }>(READ_SOME, [oids, xid ?? 3]);
  const { types, seen } = rows[0]!;
  return { types: madeTypes(types), isSeen: xid === null || seen === 'true' };
}

/**
 * The oids of types by their names, as SQL has them: `int`, `shop.mood`, `mood[]`, `"Mood"`. One without a schema is of
 * pg_catalog, or of public. A name that there is no type of is left out.
 */
export async function readTypeNames(client: Client, names: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const name of names) {
    const oid = (await typeNamed(client, name)) ?? (await typeNamed(client, `public.${name}`));
    if (oid !== null) found.set(name, oid);
  }
  return found;
}

async function typeNamed(client: Client, name: string): Promise<number | null> {
  try {
    // The session sees pg_catalog only.
    const sql = 'SELECT pg_catalog.to_regtype($1)::oid::text AS oid';
    const { rows } = await client.query<{ oid: string | null }>(sql, [name]);
    return rows[0]!.oid === null ? null : Number(rows[0]!.oid);
  } catch (error) {
    // What is no name is an error of syntax before 16; one with too many dots names another database.
    if (/^(?:42|22|3F|0A)/.test(String((error as { code?: unknown }).code))) return null;
    throw error;
  }
}

function madeTypes(json: string | null): Map<number, MadeType> {
  const rows = json === null ? [] : (JSON.parse(json) as TypeRow[]);
  return new Map(rows.map((row) => [row.oid, madeType(row)]));
}

function madeType({ kind, name, of, delimiter, send, attributes }: TypeRow): MadeType {
  switch (kind) {
    case 'enum':
      return { kind };
    case 'base':
      return { kind, name, send };
    case 'array':
      return { kind, of: of!, delimiter };
    case 'composite':
      return { kind, attributes: attributes ?? [] };
    default:
      return { kind, of: of! };
  }
}
