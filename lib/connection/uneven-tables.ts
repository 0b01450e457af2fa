import type { Client } from 'pg';
import { tableKey } from '../changes/transaction.js';

export interface UnevenTable {
  readonly schema: string;
  readonly table: string;
  /** The SQL by which its partitions come to its own replica identity. */
  readonly mend: string;
}

/** By `tableKey`. */
export type UnevenTables = ReadonlyMap<string, UnevenTable>;

/**
 * Partitioned tables of which a partition has another replica identity. Published under the name of the root, an old row
 * is as its partition has logged it, but said to be as the root has it: what the partition left out looks like null.
 * `ALTER TABLE ... REPLICA IDENTITY` of a root goes to none of its partitions (manual, ALTER TABLE, notes on ONLY).
 *
 * A partition with FULL tells whatever its root asks for. As the catalogue has it now.
 */
const UNEVEN = `
  WITH identity AS (
    SELECT c.oid, c.relreplident AS kind, ARRAY(
             SELECT a.attname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
              WHERE i.indrelid = c.oid AND i.indisreplident AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) ORDER BY 1) AS columns
      FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND (c.relispartition OR c.relkind = 'p'))
  SELECT n.nspname AS schema, c.relname AS "table", string_agg(format('ALTER TABLE %I.%I REPLICA IDENTITY %s;', ln.nspname, l.relname,
           CASE root.kind WHEN 'f' THEN 'FULL' WHEN 'd' THEN 'DEFAULT' ELSE 'USING INDEX ...' END), ' ' ORDER BY l.oid) AS mend
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN identity root ON root.oid = c.oid
    CROSS JOIN LATERAL pg_partition_tree(c.oid) t
    JOIN pg_catalog.pg_class l ON l.oid = t.relid AND l.relkind = 'r' JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace
    JOIN identity leaf ON leaf.oid = l.oid
   WHERE c.relkind = 'p' AND root.kind <> 'n' AND leaf.kind <> 'f'
     AND (leaf.kind <> root.kind OR leaf.kind = 'i' AND leaf.columns <> root.columns)
   GROUP BY 1, 2`;

export async function readUnevenTables(client: Client): Promise<UnevenTables> {
  const { rows } = await client.query<UnevenTable & Record<string, string>>(UNEVEN);
  return new Map(rows.map((each) => [tableKey(each), each]));
}
