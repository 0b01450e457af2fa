import type { Client } from 'pg';
import { OperationBit } from '../changes/change.js';
import type { TableRow } from '../publications/publication-plan.js';

/** A publication of the database, and what it carries. */
export interface ListedPublication {
  readonly name: string;
  /** Union of the bits of the operations that it publishes. */
  readonly mask: number;
  /** FOR ALL TABLES: also of those that are made later. */
  readonly isForAll: boolean;
  /** Changes of partitions come under the name of the topmost table. */
  readonly isViaRoot: boolean;
  /** oids of the tables that it carries, under the names under which their changes come. */
  readonly tables: ReadonlySet<string>;
  /** oids of those of which it carries some columns or some rows only. */
  readonly narrowed: ReadonlySet<string>;
  /** From PostgreSQL 18 on: generated columns come along. */
  readonly hasGenerated: boolean;
}

/** What a role may do with a table that is to be published. */
export type OwnedTables = ReadonlySet<string>;

const PUBLICATIONS = `
  SELECT p.pubname AS name, p.puballtables AS all, p.pubviaroot AS root,
         (p.pubinsert::int * ${OperationBit.insert} + p.pubupdate::int * ${OperationBit.update} +
          p.pubdelete::int * ${OperationBit.delete} + p.pubtruncate::int * ${OperationBit.truncate})::text AS mask,
         coalesce(to_jsonb(p) ->> 'pubgencols', 'n') <> 'n' AS generated,
         (SELECT string_agg(c.oid::text, ',')
            FROM pg_catalog.pg_publication_tables t
            JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
           WHERE t.pubname = p.pubname) AS tables,
         (SELECT string_agg(r.prrelid::text, ',')
            FROM pg_catalog.pg_publication_rel r CROSS JOIN LATERAL to_jsonb(r) AS j
           WHERE r.prpubid = p.oid AND coalesce(j ->> 'prattrs', j ->> 'prqual') IS NOT NULL) AS narrowed
    FROM pg_catalog.pg_publication p ORDER BY p.pubname`;

interface PublicationRow {
  name: string;
  all: boolean;
  root: boolean;
  mask: string;
  generated: boolean;
  tables: string | null;
  narrowed: string | null;
}

export async function readPublications(client: Client): Promise<ListedPublication[]> {
  const { rows } = await client.query<PublicationRow>(PUBLICATIONS);
  return rows.map(({ name, all, root, mask, generated, tables, narrowed }) => ({
    name,
    mask: Number(mask),
    isForAll: all,
    isViaRoot: root,
    tables: new Set(tables?.split(',')),
    narrowed: new Set(narrowed?.split(',')),
    hasGenerated: generated,
  }));
}

/** oids of the tables that the role owns, and so may publish. */
export async function readOwnedTables(client: Client): Promise<OwnedTables> {
  const { rows } = await client.query<{ oid: string }>(
    `SELECT oid::text AS oid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')`,
  );
  return new Set(rows.map(({ oid }) => oid));
}

/** Tables that have changes to publish; of partitions, those that are published under no other name. */
export function publishable(tables: readonly TableRow[]): TableRow[] {
  return tables.filter(({ kind, isPermanent }) => isPermanent && (kind === 'r' || kind === 'p'));
}
