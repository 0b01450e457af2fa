import { escapeIdentifier, type Client } from 'pg';
import { canonicalTable, type ParsedTableName, type TablePattern } from '../changes/table-pattern.js';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { OperationBit } from '../changes/change.js';

/** What a handler has to be told of columns. */
export interface ColumnNeeds {
  /** Whether an update changed one of these. */
  readonly whenChanged: readonly string[];
  /** What these were, before an update or a delete. */
  readonly oldRecord: 'full' | readonly string[];
}

/** Tables that somebody listens to, and by whom, for error texts. */
export interface TableSubscription {
  readonly pattern: TablePattern;
  /** Union of operation bits. */
  readonly mask: number;
  /** Such as `OrdersHandler.onCreated` or `forFeature`. */
  readonly source: string;
  /** Undefined: it names no column. */
  readonly needs?: ColumnNeeds | undefined;
}

export interface TableRow {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  /** r table, p partitioned table, v view, m materialised view, f foreign table. */
  readonly kind: string;
  readonly isPermanent: boolean;
  /** oid of the topmost partitioned table, of a partition. */
  readonly root: string | null;
  /** Update and delete can be published: there is a key, an index or the full row to tell rows apart. */
  readonly hasIdentity: boolean;
  /** It has columns that the server computes and stores, which can be published from 18 on. */
  readonly hasStored?: boolean;
  /** It has columns that are computed when read: from 18 on, no UPDATE and DELETE goes with REPLICA IDENTITY FULL then. */
  readonly hasVirtual?: boolean;
}

export type PublishedTables = readonly TableRow[];

export interface PublicationPlan {
  readonly full: PublishedTables;
  /** Tables without a replica identity: insert and truncate only. */
  readonly append: PublishedTables;
  /** A table that is named outright does not exist, cannot be published, or lacks the identity that its handlers need. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

const KINDS: Readonly<Record<string, string>> = { v: 'a view', m: 'a materialised view', f: 'a foreign table' };
/** What a table without a replica identity cannot publish. */
export const NEEDS_IDENTITY = OperationBit.update | OperationBit.delete;

/**
 * A key that has a generated column tells no row apart where that is not published: before 18, and ever if it is computed
 * when read (42P10 at the user's UPDATE, from 18 on).
 */
const PLAIN_KEY = `NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    AND (a.attgenerated = 'v' OR a.attgenerated = 's' AND current_setting('server_version_num')::int < 180000))`;

/** Dropped columns are nothing any more. */
const HAS_GENERATED = (of: string, kind: 's' | 'v'): string => `EXISTS (SELECT FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = ${of}.oid AND a.attgenerated = '${kind}' AND NOT a.attisdropped)`;

/** What the server asks for: a primary key that is not deferrable, a valid index, or the full row, all of it published. */
const HAS_IDENTITY = (of: string): string => `CASE ${of}.relreplident WHEN 'f' THEN NOT ${HAS_GENERATED(of, 'v')}
  WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = ${of}.oid AND i.indisprimary AND i.indimmediate AND ${PLAIN_KEY})
  WHEN 'i' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = ${of}.oid AND i.indisreplident AND i.indisvalid AND ${PLAIN_KEY})
  ELSE false END`;

/** Every table-like object that a user could name, but for the system's and our own. */
export async function readTables(client: Client): Promise<PublishedTables> {
  const { rows } = await client.query<TableRow>(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS "table", c.relkind AS kind,
            c.relpersistence = 'p' AS "isPermanent",
            CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::text END AS root,
            NOT EXISTS (
              SELECT FROM pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
               WHERE t.isleaf AND l.relkind = 'r' AND NOT ${HAS_IDENTITY('l')}
            ) AND (c.relkind = 'p' OR ${HAS_IDENTITY('c')}) AS "hasIdentity",
            ${HAS_GENERATED('c', 's')} AS "hasStored", ${HAS_GENERATED('c', 'v')} AS "hasVirtual"
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', '${OWN_SCHEMA}') AND n.nspname NOT LIKE 'pg\\_t%'
      ORDER BY n.nspname, c.relname`,
  );
  return rows;
}

/**
 * Which tables go into which publication. A table without a usable replica identity never gets into the one that
 * publishes updates and deletes: the user's own UPDATE would fail (SQLSTATE 55000).
 */
export function planPublications(
  tables: PublishedTables,
  subscriptions: readonly TableSubscription[],
): PublicationPlan {
  const faults = missingTables(tables, subscriptions);
  const full: TableRow[] = [];
  const append: TableRow[] = [];
  const passedOver: string[] = [];
  const matched = new Set<string>();
  for (const table of tables) if (subscriptions.some((each) => isWanted(each, table))) matched.add(table.oid);
  for (const table of tables) {
    // A partition is published under the name of its topmost parent.
    if (!matched.has(table.oid) || (table.root !== null && matched.has(table.root))) continue;
    const wanting = subscriptions.filter((each) => isWanted(each, table));
    const name = canonicalTable(table.schema, table.table);
    const unfit = KINDS[table.kind] ?? (table.isPermanent ? undefined : 'an unlogged or temporary table');
    if (unfit !== undefined) {
      const naming = wanting.find((each) => namesOutright(each, table));
      if (naming !== undefined) faults.push(`${name} is ${unfit}, which has no changes to publish (${naming.source})`);
      continue;
    }
    if (table.hasIdentity) {
      full.push(table);
      continue;
    }
    const naming = wanting.find((each) => namesOutright(each, table) && (each.mask & NEEDS_IDENTITY) !== 0);
    if (naming !== undefined) faults.push(identityFault(name, table, naming.source));
    else if (wanting.some((each) => (each.mask & NEEDS_IDENTITY) !== 0)) passedOver.push(name);
    append.push(table);
  }
  const warnings = passedOver.length === 0 ? [] : [identityWarning(passedOver)];
  for (const { pattern, source } of subscriptions) {
    if (pattern.namedTables.length > 0 || tables.some((each) => pattern.matches(each.schema, each.table))) continue;
    warnings.push(`No table matches what ${source} listens to. One that is made later is heard after the next start`);
  }
  return { full, append, faults, warnings };
}

/** One line for each table that is named outright and does not exist, with all who name it. */
export function missingTables(tables: PublishedTables, subscriptions: readonly TableSubscription[]): string[] {
  const missing = new Map<string, { sources: string[]; near: string }>();
  for (const { pattern, source } of subscriptions) {
    for (const { schema, table } of pattern.namedTables) {
      if (tables.some((each) => each.schema === schema && each.table === table)) continue;
      const name = canonicalTable(schema, table);
      const near = tables.find((each) => each.table.toLowerCase() === table.toLowerCase());
      const known = missing.get(name) ?? { sources: [], near: near ? canonicalTable(near.schema, near.table) : '' };
      known.sources.push(source);
      missing.set(name, known);
    }
  }
  return [...missing].map(([name, { sources, near }]) => {
    const mend =
      near === '' ? 'correct the name, or create it first: migrations run before the boot' : `did you mean ${near}?`;
    return `there is no table ${name} (${sources.join(', ')}); ${mend}`;
  });
}

function isWanted({ pattern }: TableSubscription, table: TableRow): boolean {
  return pattern.matches(table.schema, table.table);
}

function namesOutright({ pattern }: TableSubscription, table: TableRow): boolean {
  return pattern.namedTables.some((each) => each.schema === table.schema && each.table === table.table);
}

/** A table's name as SQL takes it. */
export function sqlName({ schema, table }: ParsedTableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}

/** What takes a table's column list away, and leaves its row filter (an expression as the catalogue has it; null: none). */
export function listlessMend(publication: string, table: ParsedTableName, filter: string | null): string {
  const alter = `ALTER PUBLICATION ${escapeIdentifier(publication)}`;
  const name = sqlName(table);
  const where = filter === null ? '' : ` WHERE (${filter})`;
  return `${alter} DROP TABLE ${name}; ${alter} ADD TABLE ${name}${where}; (or with a list that has it)`;
}

function identityFault(name: string, table: TableRow, source: string): string {
  return (
    `${name} has no primary key or other replica identity, so its updates and deletes cannot be told (${source}). ` +
    `${identityMend(table)} or listen to inserts and truncates only`
  );
}

/** What gives a table a replica identity: a sentence with SQL, ending in `;`. */
export function identityMend(table: TableRow): string {
  const alter = `ALTER TABLE ${sqlName(table)} REPLICA IDENTITY`;
  return table.hasVirtual
    ? `A virtual generated column allows no REPLICA IDENTITY FULL: give it a primary key, and: ${alter} DEFAULT;`
    : `Give it a primary key, or: ${alter} FULL;`;
}

function identityWarning(names: readonly string[]): string {
  return (
    `Tables without a primary key or other replica identity bring inserts and truncates only: ${names.join(', ')}. ` +
    'For updates and deletes: add a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL'
  );
}
