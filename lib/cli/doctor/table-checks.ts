import { escapeIdentifier } from 'pg';
import { OperationBit } from '../../changes/change.js';
import { canonicalTable, TablePattern, type ParsedTableName } from '../../changes/table-pattern.js';
import {
  NEEDS_IDENTITY,
  planPublications,
  sqlName,
  type PublishedTables,
  type TableRow,
} from '../../publications/publication-plan.js';
import { publishable, type ListedPublication, type OwnedTables } from '../publication-survey.js';
import { byOwner, countText, fault, namesText, ok, type Finding, type Mend } from './finding.js';
import type { ServerSurvey } from './server-survey.js';

const OPERATIONS = Object.entries(OperationBit);
const EVERY_OPERATION = OPERATIONS.reduce((mask, [, bit]) => mask | bit, 0);
const GENERATED_ARE_PUBLISHED = 180_000;
const NEW_PUBLICATION = 'listener_changes';

/** What tells rows apart, of every table: those that are published suffer now, the others bring less than one thinks. */
export function checkIdentity(
  tables: PublishedTables,
  publications: readonly ListedPublication[],
  version: number,
): Finding[] {
  const real = publishable(tables);
  if (real.length === 0) return [ok('no-tables', 'There are no tables yet')];
  const lacking = real.filter(({ kind, hasIdentity }) => kind === 'r' && !hasIdentity);
  if (lacking.length === 0) return [ok('replica-identity', `Rows of ${all(real)} can be told apart`)];
  const suffering = lacking.filter((table) => publications.some((each) => publishesRows(each, table)));
  const rest = lacking.filter((table) => !suffering.includes(table));
  const mend = (of: readonly TableRow[]) => identityMends(of, publications, version);
  const findings: Finding[] = [];
  if (suffering.length > 0) {
    findings.push(
      fault(
        'error',
        'replica-identity',
        `Published without a primary key or other replica identity: ${namesText(suffering.map(nameOf))}`,
        'every UPDATE and DELETE of them fails, whoever makes it, for a publication asks for what tells rows apart.',
        mend(suffering),
      ),
    );
  }
  if (rest.length > 0) {
    findings.push(
      fault(
        'warning',
        'replica-identity',
        `Without a primary key or other replica identity: ${namesText(rest.map(nameOf))}`,
        'only inserts and truncates of them can be told.',
        mend(rest),
      ),
    );
  }
  return findings;
}

/** From 18 on, FULL asks for all columns to be published, which those that are computed when read never are. */
function identityMends(
  tables: readonly TableRow[],
  publications: readonly ListedPublication[],
  version: number,
): Mend[] {
  const [keyed, full] = [tables.filter(({ hasVirtual }) => hasVirtual), tables.filter(({ hasVirtual }) => !hasVirtual)];
  const unpublished =
    version < GENERATED_ARE_PUBLISHED
      ? []
      : publications.filter(
          (each) => !each.hasGenerated && full.some((table) => table.hasStored && publishesRows(each, table)),
        );
  const alter = keyed.map((table) => `ALTER TABLE ${sqlName(table)} REPLICA IDENTITY DEFAULT;`);
  return [
    ...(full.length === 0 ? [] : [{ step: 'give each a primary key; or, at the price of more write-ahead log:' }]),
    ...byOwner(
      ...full.map((table) => `ALTER TABLE ${sqlName(table)} REPLICA IDENTITY FULL;`),
      ...unpublished.map(
        ({ name }) => `ALTER PUBLICATION ${escapeIdentifier(name)} SET (publish_generated_columns = stored);`,
      ),
    ),
    ...(keyed.length === 0
      ? []
      : [
          {
            step: `${namesText(keyed.map(nameOf))}: a virtual generated column allows no REPLICA IDENTITY FULL; give it a primary key, and:`,
          },
          ...byOwner(...alter),
        ]),
  ];
}

function publishesRows({ mask, tables }: ListedPublication, { oid, root }: TableRow): boolean {
  return (mask & NEEDS_IDENTITY) !== 0 && (tables.has(oid) || (root !== null && tables.has(root)));
}

/** What a listener is to hear of. */
export interface Listened {
  /** Patterns. */
  readonly tables: readonly string[];
  /** Those that it is given; empty: it makes its own. */
  readonly publications: readonly string[];
}

/** Whether each table can be listened to by this role: it owns it, or a publication carries it. */
export function checkOwnership(
  tables: PublishedTables,
  publications: readonly ListedPublication[],
  owned: OwnedTables,
  { role, version, isStandby }: Pick<ServerSurvey, 'role' | 'version' | 'isStandby'>,
  listened: Listened = { tables: ['*'], publications: [] },
): Finding[] {
  const pattern = new TablePattern(listened.tables);
  const tops = publishable(tables).filter(({ root, schema, table }) => root === null && pattern.matches(schema, table));
  // Those that a listener is given are held against the tables by themselves.
  if (tops.length === 0 || listened.publications.length > 0) return [];
  const carried = (oid: string): boolean => publications.some((each) => each.tables.has(oid));
  // On a standby, nobody can make a publication, whoever owns the tables.
  const closed = tops.filter(({ oid }) => (isStandby || !owned.has(oid)) && !carried(oid));
  const name = escapeIdentifier(role.name);
  if (closed.length === 0) return [ok('ownership', openText(tops, publications, owned, name))];
  const isNamed = closed.some((table) => pattern.namedTables.some((each) => isSame(each, table)));
  return [
    fault(
      isNamed || closed.length === tops.length ? 'error' : 'warning',
      'ownership',
      isStandby
        ? `No publication carries these tables, and on a standby none can be made: ${namesText(closed.map(nameOf))}`
        : `The role ${name} owns neither these tables nor does a publication carry them: ${namesText(closed.map(nameOf))}`,
      'only their owner can publish them, and what is not published nobody can listen to.',
      [
        ...(isStandby ? [{ step: 'connect to the primary; or there:' }] : []),
        ...byOwner(...publicationsFor(closed, publications, version)),
        {
          step: `name what was made in \`publications\` of the module: publications: ['${newName(publications)}', ...]`,
        },
      ],
    ),
  ];
}

/** What the role does not own it cannot publish: there it takes a publication that is there. */
function openText(
  tops: readonly TableRow[],
  publications: readonly ListedPublication[],
  owned: OwnedTables,
  role: string,
): string {
  const what = `${all(tops, 'All')} can be listened to by ${role}`;
  const foreign = tops.filter(({ oid }) => !owned.has(oid));
  if (foreign.length === 0) return what;
  const names = publications.filter((each) => foreign.some(({ oid }) => each.tables.has(oid))).map(({ name }) => name);
  const which = foreign.length === tops.length ? '' : `, of ${namesText(foreign.map(nameOf))}`;
  return `${what}, through what others publish${which}: \`publications\` of the module has to name it (${namesText(names)})`;
}

/** What is named and is not there, or has no changes. */
export function checkListened(tables: PublishedTables, patterns: readonly string[]): Finding[] {
  const pattern = new TablePattern(patterns);
  // What needs an identity is a matter of its own.
  const subscriptions = [{ pattern, mask: EVERY_OPERATION & ~NEEDS_IDENTITY, source: '--table' }];
  const { faults, warnings } = planPublications(tables, subscriptions);
  const why = 'a listener with a handler of it does not start.';
  const mend = [{ step: 'correct the name, or make the table first: migrations run before the boot' }];
  const isEverything = patterns.length === 1 && patterns[0] === '*';
  return [
    ...faults.map((text) => fault('error', 'listened-tables', text.split('; ')[0]!, why, mend)),
    ...(isEverything ? [] : warnings.map((text) => fault('warning', 'listened-tables', text, 'nothing comes.', mend))),
  ];
}

/** A table that cannot tell its rows apart must not be where updates are published: they would fail. */
function publicationsFor(
  tables: readonly TableRow[],
  publications: readonly ListedPublication[],
  version: number,
): string[] {
  const name = newName(publications);
  const hasStored = version >= GENERATED_ARE_PUBLISHED && tables.some((table) => table.hasStored);
  const generated = hasStored ? ', publish_generated_columns = stored' : '';
  const make = (which: string, list: readonly TableRow[], options: string): string[] =>
    list.length === 0
      ? []
      : [`CREATE PUBLICATION ${escapeIdentifier(which)} FOR TABLE ${list.map(sqlName).join(', ')} WITH (${options});`];
  return [
    ...make(
      name,
      tables.filter(({ hasIdentity }) => hasIdentity),
      `publish_via_partition_root = true${generated}`,
    ),
    ...make(
      `${name}_append`,
      tables.filter(({ hasIdentity }) => !hasIdentity),
      `publish = 'insert, truncate', publish_via_partition_root = true${generated}`,
    ),
  ];
}

function newName(publications: readonly ListedPublication[]): string {
  const taken = (name: string): boolean =>
    publications.some((each) => each.name === name || each.name === `${name}_append`);
  for (let number = 1; ; number++) {
    const name = number === 1 ? NEW_PUBLICATION : `${NEW_PUBLICATION}_${number}`;
    if (!taken(name)) return name;
  }
}

/** What there is, one line for each; what a publication leaves out is said. */
export function tellPublications(tables: PublishedTables, publications: readonly ListedPublication[]): Finding[] {
  if (publications.length === 0) {
    return [ok('publications', 'There are no publications: a listener makes its own, unless it is given one')];
  }
  return publications.map((publication) => {
    const { name, mask, isForAll, narrowed, tables: carried } = publication;
    const what = isForAll ? 'all tables' : countText(carried.size, 'table');
    const operations = OPERATIONS.filter(([, bit]) => (mask & bit) !== 0).map(([operation]) => operation);
    const notes = [
      ...(mask === EVERY_OPERATION ? [] : [`${operations.join(', ') || 'no operations'} only`]),
      ...(narrowed.size === 0 ? [] : [`some columns or rows only of ${namesText(namesOf(tables, narrowed))}`]),
      ...(hasLonePartitions(publication, tables) ? ['partitions come under their own names'] : []),
    ];
    return ok('publications', `The publication ${escapeIdentifier(name)} carries ${[what, ...notes].join('; ')}`);
  });
}

function hasLonePartitions({ isViaRoot, tables: carried }: ListedPublication, tables: PublishedTables): boolean {
  return !isViaRoot && tables.some(({ oid, root }) => root !== null && carried.has(oid));
}

function namesOf(tables: PublishedTables, oids: ReadonlySet<string>): string[] {
  return tables.filter(({ oid }) => oids.has(oid)).map(nameOf);
}

function isSame(one: ParsedTableName, other: TableRow): boolean {
  return one.schema === other.schema && one.table === other.table;
}

function nameOf({ schema, table }: TableRow): string {
  return canonicalTable(schema, table);
}

function all(tables: readonly TableRow[], word = 'all'): string {
  return tables.length === 1 ? nameOf(tables[0]!) : `${word} ${tables.length} tables`;
}
