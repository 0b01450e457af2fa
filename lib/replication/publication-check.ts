import { escapeIdentifier, type Client } from 'pg';
import { OperationBit, type RowOperation } from '../changes/change.js';
import { canonicalTable, type ParsedTableName } from '../changes/table-pattern.js';
import { missingTables, readTables, type PublishedTables, type TableSubscription } from './publication-plan.js';

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
const NEEDS_IDENTITY = OperationBit.update | OperationBit.delete;
const EVERY_OPERATION = OPERATIONS.reduce((mask, [, bit]) => mask | bit, 0);

/** What the publications carry, all together (manual, section 52.42; pg_publication_tables). */
export async function readPublished(client: Client, publications: readonly string[]): Promise<PublishedTable[]> {
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
  const faults = new Set(missingTables(tables, subscriptions));
  const warnings = new Set<string>();
  for (const each of published.filter(({ isContradictory }) => isContradictory)) {
    const where = canonicalTable(each.schema, each.table);
    faults.add(
      `the publications give ${where} different column lists, which the server refuses to send: name one of them only, or: ALTER PUBLICATION ... SET TABLE ...;`,
    );
  }
  for (const { pattern, mask, source } of subscriptions) {
    for (const named of pattern.namedTables) {
      const found = tables.find((each) => isSame(each, named));
      if (found === undefined) continue; // told already
      const carried = published.find((each) => isSame(each, named));
      const table = canonicalTable(named.schema, named.table);
      if (carried === undefined) {
        const isByPartition = found.kind === 'p' && published.some((each) => isPartitionOf(each, found.oid, tables));
        const mend = isByPartition
          ? `it carries its partitions, each under its own name: ALTER PUBLICATION ${name} SET (publish_via_partition_root = true);`
          : `ALTER PUBLICATION ${name} ADD TABLE ${sqlName(named)};`;
        faults.add(`no publication of this app carries ${table} (${source}): ${mend}`);
        continue;
      }
      if (!found.hasIdentity && (carried.mask & NEEDS_IDENTITY) !== 0) {
        warnings.add(
          `${table} (${source}) has no replica identity, and your own UPDATE and DELETE of it fail as long as they are published: ` +
            `give it a primary key, or: ALTER TABLE ${sqlName(named)} REPLICA IDENTITY FULL;`,
        );
      }
      const lacking = OPERATIONS.filter(([, bit]) => (mask & bit) !== 0 && (carried.mask & bit) === 0);
      if (lacking.length === 0) continue;
      const what = lacking.map(([operation]) => operation).join(', ');
      const text = `no publication of this app publishes ${what} of ${table} (${source}): ALTER PUBLICATION ${name} SET (publish = '${namesOf(carried.mask | mask)}');`;
      // Who names no operation takes those that there are.
      if (mask === EVERY_OPERATION) warnings.add(text);
      else faults.add(text);
    }
    const isDeaf =
      pattern.namedTables.length === 0 && !published.some((each) => pattern.matches(each.schema, each.table));
    if (isDeaf)
      warnings.add(
        `no publication of this app carries a table that ${source} listens to: ALTER PUBLICATION ${name} ADD TABLE ...;`,
      );
  }
  return { faults: [...faults], warnings: [...warnings] };
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

function sqlName({ schema, table }: ParsedTableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}

function namesOf(mask: number): string {
  return OPERATIONS.filter(([, bit]) => (mask & bit) !== 0)
    .map(([operation]) => operation)
    .join(', ');
}
