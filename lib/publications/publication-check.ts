import { escapeIdentifier, type Client } from 'pg';
import { OperationBit, type RowOperation } from '../changes/change.js';
import { canonicalTable, type ParsedTableName } from '../changes/table-pattern.js';
import {
  identityMend,
  missingTables,
  NEEDS_IDENTITY,
  readTables,
  sqlName,
  type PublishedTables,
  type TableRow,
  type TableSubscription,
} from './publication-plan.js';

/** A table as the user's publications carry it. */
export interface PublishedTable {
  readonly schema: string;
  readonly table: string;
  /** Union of the bits of the operations that are published. */
  readonly mask: number;
  /** Two of the publications give it different column lists: the server refuses to send any change of it. */
  readonly isContradictory?: boolean;
}

export interface PublicationFindings {
  /** A handler would wait for changes that can never come. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

const OPERATIONS = Object.entries(OperationBit) as [RowOperation, number][];
const EVERY_OPERATION = OPERATIONS.reduce((mask, [, bit]) => mask | bit, 0);

/** What the publications carry, all together (manual, section 52.42; pg_publication_tables). */
async function readPublished(client: Client, publications: readonly string[]): Promise<PublishedTable[]> {
  const { rows } = await client.query<Omit<PublishedTable, 'mask'> & { mask: string }>(
    `SELECT t.schemaname AS schema, t.tablename AS "table",
            bit_or(p.pubinsert::int * ${OperationBit.insert} + p.pubupdate::int * ${OperationBit.update} +
                   p.pubdelete::int * ${OperationBit.delete} + p.pubtruncate::int * ${OperationBit.truncate}) AS mask,
            count(DISTINCT to_jsonb(t) ->> 'attnames') > 1 AS "isContradictory"
       FROM pg_catalog.pg_publication_tables t JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname
      WHERE t.pubname = ANY($1) GROUP BY 1, 2`,
    [publications],
  );
  return rows.map(({ schema, table, mask, isContradictory }) => ({
    schema,
    table,
    mask: Number(mask),
    isContradictory,
  }));
}

/** Holds the user's publications against what handlers and features listen to. */
export async function checkPublications(
  client: Client,
  publications: readonly string[],
  subscriptions: readonly TableSubscription[],
): Promise<PublicationFindings> {
  const published = await readPublished(client, publications);
  return comparePublications(await readTables(client), published, subscriptions, publications[0]!);
}

/**
 * Pure. A table that is named outright must be carried with the operations that are asked for by name: a handler of it
 * would never be called, in silence. A pattern that matches nothing is a warning, for it may match later.
 *
 * @param publication the one that the mends name
 */
export function comparePublications(
  tables: PublishedTables,
  published: readonly PublishedTable[],
  subscriptions: readonly TableSubscription[],
  publication: string,
): PublicationFindings {
  const name = escapeIdentifier(publication);
  const faults = [...missingTables(tables, subscriptions), ...contradictions(published)];
  const warnings: string[] = [];
  for (const subscription of subscriptions) {
    const { pattern, source } = subscription;
    for (const named of pattern.namedTables) {
      const table = tables.find((each) => isSame(each, named));
      if (table === undefined) continue; // told already
      const carried = published.find((each) => isSame(each, named));
      if (carried === undefined) faults.push(uncarried(table, source, name, tables, published));
      else compareTable(table, carried, subscription, name, { faults, warnings });
    }
    if (pattern.namedTables.length > 0 || published.some((each) => pattern.matches(each.schema, each.table))) continue;
    const mend = `ALTER PUBLICATION ${name} ADD TABLE ...;`;
    warnings.push(`no publication of this app carries a table that ${source} listens to: ${mend}`);
  }
  return { faults: [...new Set(faults)], warnings: [...new Set(warnings)] };
}

function contradictions(published: readonly PublishedTable[]): string[] {
  return published
    .filter(({ isContradictory }) => isContradictory)
    .map(
      ({ schema, table }) =>
        `the publications give ${canonicalTable(schema, table)} different column lists, which the server refuses to send: ` +
        'name one of them only, or: ALTER PUBLICATION ... SET TABLE ...;',
    );
}

function uncarried(
  table: TableRow,
  source: string,
  publication: string,
  tables: PublishedTables,
  published: readonly PublishedTable[],
): string {
  const isByPartition = table.kind === 'p' && published.some((each) => isPartitionOf(each, table.oid, tables));
  const mend = isByPartition
    ? `it carries its partitions, each under its own name: ALTER PUBLICATION ${publication} SET (publish_via_partition_root = true);`
    : `ALTER PUBLICATION ${publication} ADD TABLE ${sqlName(table)};`;
  return `no publication of this app carries ${canonicalTable(table.schema, table.table)} (${source}): ${mend}`;
}

/** A table that is named and carried: with what its handler needs? */
function compareTable(
  table: TableRow,
  carried: PublishedTable,
  { mask, source }: TableSubscription,
  publication: string,
  { faults, warnings }: { faults: string[]; warnings: string[] },
): void {
  const tableName = canonicalTable(table.schema, table.table);
  if (!table.hasIdentity && (carried.mask & NEEDS_IDENTITY) !== 0) {
    warnings.push(
      `${tableName} (${source}) has no replica identity, and your own UPDATE and DELETE of it fail as long as they are published. ` +
        identityMend(table),
    );
  }
  const lacking = mask & ~carried.mask;
  if (lacking === 0) return;
  const mend = `ALTER PUBLICATION ${publication} SET (publish = '${namesOf(carried.mask | mask)}');`;
  // Who names no operation takes those that there are.
  const findings = mask === EVERY_OPERATION ? warnings : faults;
  findings.push(`no publication of this app publishes ${namesOf(lacking)} of ${tableName} (${source}): ${mend}`);
}

/** The tables that are named outright, for a publication that is yet to be made; `...` where there are none. */
export function tableList(subscriptions: readonly TableSubscription[]): string {
  const names = new Set(subscriptions.flatMap(({ pattern }) => pattern.namedTables.map(sqlName)));
  return names.size === 0 ? '...' : [...names].join(', ');
}

function isSame(one: ParsedTableName, other: ParsedTableName): boolean {
  return one.schema === other.schema && one.table === other.table;
}

function isPartitionOf(each: PublishedTable, root: string, tables: PublishedTables): boolean {
  return tables.some((table) => table.root === root && isSame(table, each));
}

function namesOf(mask: number): string {
  return OPERATIONS.filter(([, bit]) => (mask & bit) !== 0)
    .map(([operation]) => operation)
    .join(', ');
}
