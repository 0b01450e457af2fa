import { escapeIdentifier, type Client } from 'pg';
import { OperationBit } from '../changes/change.js';
import { canonicalTable } from '../changes/table-pattern.js';
import { listlessMend, NEEDS_IDENTITY, type ColumnNeeds, type TableSubscription } from './publication-plan.js';

/** What can be told of the columns of a table that publications carry. */
export interface ColumnFacts {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly ColumnFact[];
  /** The statements that make the replica identity FULL, of every partition too; empty: it is. */
  readonly makeFull: string;
  /** The first that carries it; the mends name it. */
  readonly publication: string;
  /** Its row filter there, as SQL; null: none. */
  readonly filter: string | null;
  /** Since 18. Before, what is generated never travels, and FULL does without. */
  readonly canPublishGenerated?: boolean;
}

export interface ColumnFact {
  readonly name: string;
  readonly isPublished: boolean;
  readonly isGenerated: boolean;
  /** Computed when read (18): it never travels, and REPLICA IDENTITY FULL fails the user's UPDATE where it is. */
  readonly isVirtual?: boolean;
  /** Of the replica identity: told of an old row in any case. */
  readonly isKey: boolean;
}

interface ColumnRow {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly isGenerated: boolean;
  /** Generated columns travel from 18 on; 15 lists them among `attnames` all the same. */
  readonly neverTravels: boolean;
  readonly isVirtual: boolean;
  readonly isKey: boolean;
  readonly makeFull: string;
}

interface PublishedRow extends Record<'schema' | 'table' | 'publication', string> {
  readonly names: string | null;
  readonly filter: string | null;
}

/**
 * The old row is written as the partition's replica identity has it, and told under the name of the root, whose own says
 * whether it is told as a whole: all of them count.
 */
const COLUMNS = `
  SELECT n.nspname AS schema, c.relname AS "table", a.attname AS "column", a.attgenerated <> '' AS "isGenerated",
         a.attgenerated <> '' AND current_setting('server_version_num')::int < 180000 AS "neverTravels",
         a.attgenerated = 'v' AS "isVirtual",
         EXISTS (SELECT FROM pg_catalog.pg_index i
                  WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END) AS "isKey",
         coalesce((SELECT string_agg(format('ALTER TABLE %I.%I REPLICA IDENTITY FULL;', ln.nspname, l.relname), ' ' ORDER BY l.oid)
                     FROM (SELECT relid::oid FROM pg_partition_tree(c.oid) UNION SELECT c.oid) t (relid)
                     JOIN pg_catalog.pg_class l ON l.oid = t.relid AND (l.relkind = 'r' OR l.oid = c.oid) JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace
                    WHERE l.relreplident <> 'f'), '') AS "makeFull"
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE CASE WHEN $2::oid[] IS NOT NULL THEN c.oid = ANY ($2)
              ELSE EXISTS (SELECT FROM pg_catalog.pg_publication_tables p
                            WHERE p.pubname = ANY ($1) AND p.schemaname = n.nspname AND p.tablename = c.relname) END
   ORDER BY c.oid, a.attnum`;

/** `attnames` from 15 on; before, every column travels that is not generated. */
const PUBLISHED = `
  SELECT schemaname AS schema, tablename AS "table", pubname AS publication, to_jsonb(p) ->> 'attnames' AS names,
         to_jsonb(p) ->> 'rowfilter' AS filter
    FROM pg_catalog.pg_publication_tables p WHERE pubname = ANY ($1) ORDER BY pubname DESC`;

/** Holds the columns that handlers name against the tables that publications carry. */
export async function checkColumns(
  client: Client,
  publications: readonly string[],
  subscriptions: readonly TableSubscription[],
): Promise<{ readonly faults: readonly string[]; readonly warnings: readonly string[] }> {
  // Tables may be many: nothing is asked where nobody names a column.
  if (!subscriptions.some(({ needs }) => needs !== undefined)) return { faults: [], warnings: [] };
  return compareColumns(await readColumnFacts(client, publications), subscriptions);
}

/** @param oids of tables that the first of the publications is to carry as one that the module makes; null: what they carry */
export async function readColumnFacts(
  client: Client,
  publications: readonly string[],
  oids: readonly string[] | null = null,
): Promise<ColumnFacts[]> {
  const { rows: lists } = await client.query<PublishedRow>(PUBLISHED, [publications]);
  const published = new Map(
    lists.map(({ names, ...each }) => [
      canonicalTable(each.schema, each.table),
      { ...each, listed: names === null ? null : new Set(JSON.parse(names) as string[]) },
    ]),
  );
  const { rows } = await client.query<ColumnRow>(COLUMNS, [publications, oids]);
  const canPublishGenerated = rows.some((row) => row.isGenerated && !row.neverTravels);
  const tables = new Map<string, ColumnFacts & { readonly columns: ColumnFact[] }>();
  for (const { schema, table, column, isGenerated, neverTravels, isVirtual, isKey, makeFull } of rows) {
    const name = canonicalTable(schema, table);
    const own = { publication: publications[0]!, filter: null, listed: null };
    const { publication, filter, listed } = oids === null ? published.get(name)! : own;
    if (!tables.has(name))
      tables.set(name, { schema, table, columns: [], makeFull, publication, filter, canPublishGenerated });
    // Publications of the module's own bring what is generated and stored.
    const isCarried = oids === null ? !isGenerated : !isVirtual;
    const isPublished = !neverTravels && (listed?.has(column) ?? isCarried);
    tables.get(name)!.columns.push({ name: column, isGenerated, isVirtual, isKey, isPublished });
  }
  return [...tables.values()];
}

/**
 * Pure. For a table that is named outright, what cannot be had is a fault: its handler would never be called, or never
 * find what it asks for. For one that matches a pattern it is a warning.
 */
export function compareColumns(
  tables: readonly ColumnFacts[],
  subscriptions: readonly TableSubscription[],
): { readonly faults: readonly string[]; readonly warnings: readonly string[] } {
  const faults = new Set<string>();
  const warnings = new Set<string>();
  for (const { pattern, mask, source, needs } of subscriptions) {
    if (needs === undefined) continue;
    for (const table of tables) {
      if (!pattern.matches(table.schema, table.table)) continue;
      const isNamed = pattern.namedTables.some((each) => each.schema === table.schema && each.table === table.table);
      for (const finding of findingsOf(table, needs, mask)) {
        (isNamed ? faults : warnings).add(`${canonicalTable(table.schema, table.table)} (${source}): ${finding}`);
      }
    }
  }
  return { faults: [...faults], warnings: [...warnings] };
}

function findingsOf(table: ColumnFacts, needs: ColumnNeeds, mask: number): string[] {
  const findings: string[] = [];
  const wantsOld = needs.oldRecord === 'full' || needs.oldRecord.length > 0;
  const named = [...needs.whenChanged, ...(needs.oldRecord === 'full' ? [] : needs.oldRecord)];
  for (const name of new Set(named)) {
    const finding = columnFinding(table, name);
    if (finding !== null) findings.push(finding);
  }
  if (findings.length > 0 || table.makeFull === '') return findings;
  if (needs.whenChanged.length > 0 && (mask & OperationBit.update) !== 0) {
    findings.push(
      `\`whenChanged\` needs the row as it was, which PostgreSQL tells under REPLICA IDENTITY FULL only: ${makeFull(table)}`,
    );
  }
  if (wantsOld && (mask & NEEDS_IDENTITY) !== 0 && !isWithinKey(table, needs.oldRecord)) {
    const key = table.columns.filter(({ isKey }) => isKey).map(({ name }) => `"${name}"`);
    const told = key.length === 0 ? 'tells nothing' : `tells ${key.join(', ')} only`;
    findings.push(
      `of a row as it was, its replica identity ${told}, and \`oldRecord\` asks for more: ${makeFull(table)}`,
    );
  }
  return findings;
}

/** What makes the replica identity FULL, and lets the user's own UPDATE pass. */
function makeFull({ columns, publication, ...table }: ColumnFacts): string {
  const virtual = columns.find(({ isVirtual }) => isVirtual);
  if (virtual !== undefined) {
    return (
      `which cannot be had as long as "${virtual.name}" is a virtual generated column, with which FULL fails your own UPDATE ` +
      'and DELETE: make it a stored one, or do without'
    );
  }
  const isUnpublished = columns.some(({ isGenerated, isPublished }) => isGenerated && !isPublished);
  return isUnpublished && table.canPublishGenerated
    ? `${table.makeFull} ALTER PUBLICATION ${escapeIdentifier(publication)} SET (publish_generated_columns = stored);`
    : table.makeFull;
}

/** Of an update that did not touch the key, nothing old is told, and nothing old differs: the new row has it. */
function isWithinKey({ columns }: ColumnFacts, wanted: 'full' | readonly string[]): boolean {
  return wanted !== 'full' && wanted.every((name) => columns.some((column) => column.name === name && column.isKey));
}

function columnFinding({ schema, table, columns, publication, filter }: ColumnFacts, name: string): string | null {
  const column = columns.find((each) => each.name === name);
  if (column === undefined) {
    const near = columns.find((each) => each.name.toLowerCase() === name.toLowerCase());
    const known = columns.map((each) => each.name).join(', ');
    return `it has no column "${name}"; ${near === undefined ? `its columns are ${known}` : `did you mean "${near.name}"?`}`;
  }
  if (column.isPublished) return null;
  if (column.isVirtual)
    return `its column "${name}" is a virtual generated one, which is never published: a stored one can be`;
  if (column.isGenerated) {
    return (
      `its column "${name}" is generated, and not published: from PostgreSQL 18 on, ` +
      `ALTER PUBLICATION ${escapeIdentifier(publication)} SET (publish_generated_columns = stored);`
    );
  }
  return `its column "${name}" is not in the publication's column list: ${listlessMend(publication, { schema, table }, filter)}`;
}
