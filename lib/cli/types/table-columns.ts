import type { Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import type { DatabaseType } from './column-types.js';

export interface TableColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly isNullable: boolean;
  /** A generated column: changes come without it, unless it is stored and published on purpose. */
  readonly isGenerated: boolean;
  /** An update that leaves it alone may come without it, if it is large. */
  readonly isToastable: boolean;
}

export interface DescribedTable {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly TableColumn[];
}

/**
 * What is written compressed or outside of its row is toastable ("main" storage, such as numeric's, is so only in the last
 * resort); a key is too small for it, and under FULL the old row has it.
 *
 * A NOT NULL that was not validated holds for new rows only (from PostgreSQL 18 on).
 */
const COLUMNS = `
  SELECT n.nspname AS schema, c.relname AS "table", a.attname AS name, a.atttypid::text AS type,
         NOT a.attnotnull OR EXISTS (
           SELECT FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated AND a.attnum = ANY (k.conkey)
         ) AS nullable,
         a.attgenerated <> '' AS generated,
         a.attstorage IN ('x', 'e') AND c.relreplident <> 'f' AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)
         ) AS toastable
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', '${OWN_SCHEMA}') AND n.nspname NOT LIKE 'pg\\_t%'
   ORDER BY n.nspname <> 'public', n.nspname, c.relname, a.attnum`;

interface ColumnRow {
  schema: string;
  table: string;
  /** Null: the table has no columns. */
  name: string | null;
  type: string;
  nullable: boolean;
  generated: boolean;
  toastable: boolean;
}

/** Every table that can be listened to, those of `public` first; partitions are part of their topmost table. */
export async function readTableColumns(client: Client): Promise<DescribedTable[]> {
  const { rows } = await client.query<ColumnRow>(COLUMNS);
  const tables: (DescribedTable & { columns: TableColumn[] })[] = [];
  for (const { schema, table, name, type, nullable, generated, toastable } of rows) {
    let last = tables.at(-1);
    if (last?.schema !== schema || last.table !== table) tables.push((last = { schema, table, columns: [] }));
    if (name === null) continue;
    const facts = { isNullable: nullable, isGenerated: generated, isToastable: toastable };
    last.columns.push({ name, typeOid: Number(type), ...facts });
  }
  return tables;
}

/** Enums and domains, by oid. */
export async function readDatabaseTypes(client: Client): Promise<Map<number, DatabaseType>> {
  const { rows } = await client.query<{ oid: string; kind: string; base: string; labels: string | null }>(
    `SELECT t.oid::text AS oid, t.typtype AS kind, t.typbasetype::text AS base,
            (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)::text
               FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) AS labels
       FROM pg_catalog.pg_type t WHERE t.typtype IN ('d', 'e')`,
  );
  return new Map(
    rows.map(({ oid, kind, base, labels }) => [
      Number(oid),
      { oid: Number(oid), kind, base: Number(base), labels: labels === null ? [] : (JSON.parse(labels) as string[]) },
    ]),
  );
}
