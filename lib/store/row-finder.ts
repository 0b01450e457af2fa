import { escapeIdentifier, type Client } from 'pg';
import type { Relation } from '../decoder/pgoutput-messages.js';
import type { RowKey } from '../decoder/row-key.js';
import { ToastRefusal } from '../interfaces/toast-source.interface.js';

/** A column of a unique index, and the operator that says in this index what is equal. */
interface IndexColumn {
  readonly name: string;
  /** Null: the index is of a kind that tells none. */
  readonly operator: string | null;
  readonly schema: string | null;
}

interface UniqueIndex {
  readonly isPrimary: boolean;
  readonly columns: readonly IndexColumn[];
}

/** Unique indexes of a table as it is now, the primary key first. */
export type UniqueIndexes = readonly UniqueIndex[];

/** How the rows of one table are told apart. */
export interface RowFinder {
  readonly columns: readonly string[];
  /** By the places of the columns, such as `OPERATOR("public".=)`. */
  readonly operators: readonly string[];
}

/** Equality is the third strategy of a B-tree (manual, section 36.16.2). 403 is the B-tree's oid in every version. */
const INDEXES = `
  SELECT json_agg(json_build_object('isPrimary', i.indisprimary, 'columns', (
           SELECT json_agg(json_build_object('name', a.attname, 'operator', o.oprname, 'schema', s.nspname)
                           ORDER BY k.place)
             FROM unnest(i.indkey::smallint[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             JOIN pg_catalog.pg_opclass c ON c.oid = k.opclass
             LEFT JOIN pg_catalog.pg_amop p ON c.opcmethod = 403 AND p.amopfamily = c.opcfamily
                   AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype AND p.amopstrategy = 3
             LEFT JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr
             LEFT JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
         )) ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indexrelid)::text
    FROM pg_catalog.pg_index i
   WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL`;

const TABLE = `
  SELECT (${INDEXES}) AS indexes
    FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
   WHERE t.oid = $1 AND n.nspname = $2 AND t.relname = $3`;

/** @returns a refusal where there is no such table of that name any more */
export async function readUniqueIndexes(client: Client, relation: Relation): Promise<UniqueIndexes | ToastRefusal> {
  const { id, schema, table } = relation;
  const { rows } = await client.query<{ indexes: string | null }>(TABLE, [id, schema, table]);
  if (rows.length === 0) return new ToastRefusal('gone', 'the table was dropped, or has another name by now');
  return JSON.parse(rows[0]!.indexes ?? '[]') as UniqueIndexes;
}

/**
 * By the columns of the key. An operator may lie in the schema of an extension (citext, ltree), which the session does not
 * look into: the index on these columns names it.
 */
export function rowFinder(indexes: UniqueIndexes, { cached, names }: RowKey): RowFinder | ToastRefusal {
  if (cached.relation.replicaIdentity === 'full') return byPrimaryKey(indexes, names);
  const index = indexes.find(
    ({ columns }) => columns.length === names.length && columns.every(({ name }) => names.includes(name)),
  );
  const byName = new Map(index?.columns.map((column) => [column.name, operatorOf(column)]));
  return { columns: names, operators: names.map((name) => byName.get(name) ?? '=') };
}

/** The replica identity does not tell which columns they are. */
function byPrimaryKey(indexes: UniqueIndexes, names: readonly string[]): RowFinder | ToastRefusal {
  const index = indexes.find(({ isPrimary }) => isPrimary);
  if (index === undefined) return new ToastRefusal('no key', 'the table has no primary key to find a row by');
  const columns = index.columns.map(({ name }) => name);
  const missing = columns.find((name) => !names.includes(name));
  if (missing !== undefined) {
    return new ToastRefusal('half a key', `the update does not tell the column "${missing}" of the primary key`);
  }
  return { columns, operators: index.columns.map(operatorOf) };
}

function operatorOf({ operator, schema }: IndexColumn): string {
  return operator === null || schema === null ? '=' : `OPERATOR(${escapeIdentifier(schema)}.${operator})`;
}
