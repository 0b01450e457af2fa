import { escapeIdentifier, type Client } from 'pg';
import { canonicalTable } from '../changes/table-pattern.js';
import { readUnevenTables } from '../connection/uneven-tables.js';
import { NEEDS_IDENTITY, listlessMend, type TableSubscription } from './publication-plan.js';

interface Named {
  readonly publication: string;
  readonly schema: string;
  readonly table: string;
}

/** A table of a publication that publishes updates or deletes, with a row filter or a column list at odds with its key. */
interface UncoveredTable extends Named {
  /** Columns of the row filter outside of the replica identity, as JSON; null: none. */
  readonly filtered: string | null;
  /** Columns of the replica identity that the column list leaves out, as JSON; null: none. */
  readonly unlisted: string | null;
  /** There is a column list, and the replica identity is FULL, which allows none. */
  readonly isFull: boolean;
  /** What makes the replica identity FULL, of every partition that the filter needs it of; null: none. */
  readonly makeFull: string | null;
  /** The row filter as SQL; null: none. */
  readonly filter: string | null;
}

/**
 * What the server itself asks for at the user's UPDATE and DELETE (manual, sections 29.4.2 and 29.5; 42P10): the columns
 * of a row filter are within the replica identity, which is within the column list. The columns of a filter are in its
 * stored expression only: the dependencies of the entry mix them with the list's.
 */
const UNCOVERED = `
  WITH entry AS (
    SELECT pr.oid, p.pubname, pr.prrelid, pr.prattrs, pr.prqual,
           ARRAY(SELECT DISTINCT m[1]::smallint FROM regexp_matches(pr.prqual::text, ':varattno (\\d+)', 'g') m) AS used
      FROM pg_catalog.pg_publication_rel pr JOIN pg_catalog.pg_publication p ON p.oid = pr.prpubid
     WHERE p.pubname = ANY ($1) AND (p.pubupdate OR p.pubdelete) AND (pr.prqual IS NOT NULL OR pr.prattrs IS NOT NULL)),
  leaf AS (
    SELECT e.*, l.oid AS leaf, l.relreplident AS identity, l.relname, l.relnamespace,
           ARRAY(SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
                  WHERE i.indrelid = l.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                    AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END) AS key
      FROM entry e CROSS JOIN LATERAL (SELECT relid::oid FROM pg_partition_tree(e.prrelid) UNION SELECT e.prrelid) t (relid)
      JOIN pg_catalog.pg_class l ON l.oid = t.relid AND l.relkind = 'r'),
  lack AS (
    SELECT leaf.*,
           ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = prrelid AND a.attnum = ANY (used) AND identity <> 'f' AND a.attname <> ALL (key)) AS filtered,
           prattrs IS NOT NULL AND identity = 'f' AS full_list, CASE WHEN prattrs IS NULL OR identity = 'f' THEN '{}' ELSE ARRAY(
             SELECT k FROM unnest(key) k WHERE k NOT IN (
               SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = prrelid AND a.attnum = ANY (prattrs))) END AS unlisted
      -- Without any key, that is what the user is told.
      FROM leaf WHERE identity = 'f' OR key <> '{}')
  SELECT pubname AS publication, n.nspname AS schema, c.relname AS "table", pg_get_expr(prqual, prrelid) AS filter,
         jsonb_agg(DISTINCT f) FILTER (WHERE f IS NOT NULL) AS filtered,
         jsonb_agg(DISTINCT u) FILTER (WHERE u IS NOT NULL) AS unlisted,
         bool_or(full_list) AS "isFull",
         string_agg(DISTINCT format('ALTER TABLE %I.%I REPLICA IDENTITY FULL;', ln.nspname, lack.relname), ' ')
           FILTER (WHERE f IS NOT NULL) AS "makeFull"
    FROM lack JOIN pg_catalog.pg_class c ON c.oid = prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_namespace ln ON ln.oid = lack.relnamespace
    LEFT JOIN LATERAL unnest(filtered::text[]) f ON true LEFT JOIN LATERAL unnest(unlisted::text[]) u ON true
   WHERE f IS NOT NULL OR u IS NOT NULL OR full_list GROUP BY lack.oid, 1, 2, 3, 4 ORDER BY 2, 3, 1`;

/**
 * From 18 on, a generated column of the replica identity must be published (42P10 at the user's UPDATE and DELETE).
 * Virtual ones cannot be: that counts as no replica identity, and is told as such.
 */
const UNPUBLISHED = `
  SELECT p.pubname AS publication, t.schemaname AS schema, t.tablename AS "table"
    FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_tables t USING (pubname)
    JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
   WHERE p.pubname = ANY ($1) AND (p.pubupdate OR p.pubdelete) AND current_setting('server_version_num')::int >= 180000 AND EXISTS (
     SELECT FROM (SELECT relid::oid FROM pg_partition_tree(c.oid) UNION SELECT c.oid) g (relid)
       JOIN pg_catalog.pg_class l ON l.oid = g.relid AND l.relkind = 'r'
       JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attgenerated = 's' AND NOT a.attisdropped
       LEFT JOIN pg_catalog.pg_index i ON i.indrelid = l.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
      WHERE a.attname <> ALL (t.attnames)
        AND CASE l.relreplident WHEN 'f' THEN true WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
   ORDER BY 2, 3, 1`;

/** Row filters and column lists came with it. */
const FILTERS_SINCE = 150_000;

/**
 * What the user's own statements would stumble over: publications of theirs whose row filter or column list and the
 * replica identity of a table that somebody listens to do not go together. Warnings, as inserts do come.
 */
export async function checkIdentityCover(
  client: Client,
  publications: readonly string[],
  subscriptions: readonly TableSubscription[],
): Promise<readonly string[]> {
  const { rows: versions } = await client.query<{ version: string }>(
    `SELECT current_setting('server_version_num') AS version`,
  );
  if (Number(versions[0]!.version) < FILTERS_SINCE) return [];
  const { rows: uncovered } = await client.query<UncoveredTable>(UNCOVERED, [publications]);
  const { rows: unpublished } = await client.query<Named>(UNPUBLISHED, [publications]);
  const sourceOf = ({ schema, table }: Named): string | undefined =>
    subscriptions.find(({ pattern }) => pattern.matches(schema, table))?.source;
  return [
    ...uncovered.flatMap((each) => findings(each, sourceOf(each))),
    ...unpublished.flatMap((each) => unpublishedFinding(each, sourceOf(each))),
  ];
}

/** What handlers of a partitioned table cannot be told as its own replica identity has it. */
export async function unevenWarnings(client: Client, subscriptions: readonly TableSubscription[]): Promise<string[]> {
  const uneven = await readUnevenTables(client);
  return [...uneven.values()].flatMap(({ schema, table, mend }) => {
    const listener = subscriptions.find(
      ({ pattern, mask }) => (mask & NEEDS_IDENTITY) !== 0 && pattern.matches(schema, table),
    );
    if (listener === undefined) return [];
    return (
      `${canonicalTable(schema, table)} (${listener.source}): partitions of it have another replica identity than the table itself, and ` +
      `of a row as it was, only what is not null is told: ${mend}`
    );
  });
}

function unpublishedFinding({ publication, schema, table }: Named, source: string | undefined): string[] {
  if (source === undefined) return [];
  const it = escapeIdentifier(publication);
  return [
    `${canonicalTable(schema, table)} (${source}): its replica identity has a generated column, which ${it} does not publish, and ` +
      'your own UPDATE and DELETE fail as long as they are published: ' +
      `ALTER PUBLICATION ${it} SET (publish_generated_columns = stored);`,
  ];
}

function findings(uncovered: UncoveredTable, source: string | undefined): string[] {
  if (source === undefined) return [];
  const { publication, schema, table, filtered, unlisted, isFull, makeFull, filter } = uncovered;
  const where = `${canonicalTable(schema, table)} (${source})`;
  const it = escapeIdentifier(publication);
  const findings: string[] = [];
  if (filtered !== null) {
    findings.push(
      `${where}: the row filter of ${it} is about ${quoted(filtered)}, outside of the replica identity, and your own UPDATE ` +
        `and DELETE fail as long as they are published: ${makeFull}`,
    );
  }
  if (isFull || unlisted !== null) {
    const what = isFull ? 'goes with no REPLICA IDENTITY FULL' : `leaves out the key's ${quoted(unlisted!)}`;
    findings.push(
      `${where}: the column list of ${it} ${what}, and your own UPDATE and DELETE fail as long as they are published: ` +
        listlessMend(publication, { schema, table }, filter),
    );
  }
  return findings;
}

function quoted(names: string): string {
  return (JSON.parse(names) as string[]).map((name) => `"${name}"`).join(', ');
}
