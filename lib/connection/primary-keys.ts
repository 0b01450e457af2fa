import type { Client } from 'pg';
import { tableKey } from '../changes/transaction.js';

/** What tells the rows of a table apart. */
export interface PrimaryKey {
  readonly columns: readonly string[];
  /**
   * Whether two keys are equal just where their texts are. Not so for a collation that ignores case, a numeric without
   * a scale (1.0 and 1.00), an interval: such keys order nothing, and the table counts as one.
   */
  readonly isExact: boolean;
}

/** By `tableKey`. */
export type PrimaryKeys = ReadonlyMap<string, PrimaryKey>;

/** Types whose equality is that of their texts (pg_type.oid, the same in every version); bpchar and numeric where they have a length. */
const EXACT = [16, 17, 18, 19, 20, 21, 23, 25, 26, 650, 774, 829, 869, 1043, 1082, 1083, 1114, 1184, 2950, 3220];
const EXACT_WITH_LENGTH = [1042, 1700];

/** The primary key of every table that has one, as the catalogue has it now. */
export async function readPrimaryKeys(client: Client): Promise<PrimaryKeys> {
  const { rows } = await client.query<{ schema: string; table: string; columns: string; exact: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS "table", json_agg(a.attname ORDER BY k.place)::text AS columns,
            bool_and(coalesce(l.collisdeterministic, true) AND (t.typtype = 'e' OR b.oid = ANY ('{${EXACT.join(',')}}')
              OR b.oid = ANY ('{${EXACT_WITH_LENGTH.join(',')}}') AND greatest(a.atttypmod, t.typtypmod) > 0)) AS exact
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indrelid AND c.relkind IN ('r', 'p')
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       CROSS JOIN LATERAL unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, place)
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
       JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
       JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
       LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
      WHERE i.indisprimary GROUP BY 1, 2`,
  );
  return new Map(
    rows.map(({ schema, table, columns, exact }) => [
      tableKey({ schema, table }),
      { columns: JSON.parse(columns) as string[], isExact: exact },
    ]),
  );
}
