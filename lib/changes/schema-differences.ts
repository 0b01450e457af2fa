import type { ColumnShape, SchemaDifference, TableShape } from '../interfaces/schema-change.interface.js';
import type { TableName } from './transaction.js';

/**
 * In what two descriptions of a table differ, the table first, then its columns in the order of the newer one; none where
 * they say the same.
 *
 * @param former the name that the newer table had last, where that is not the one of `previous`
 */
export function differencesOf(
  previous: TableShape,
  current: TableShape,
  former: TableName = previous,
): SchemaDifference[] {
  const found: SchemaDifference[] = [];
  if (former.schema !== current.schema || former.table !== current.table) {
    found.push({ kind: 'table-renamed', from: nameOf(former), to: nameOf(current) });
  }
  if (previous.oid !== current.oid) found.push({ kind: 'table-recreated', from: previous.oid, to: current.oid });
  if (previous.replicaIdentity !== current.replicaIdentity) {
    const { replicaIdentity: from } = previous;
    found.push({ kind: 'replica-identity-changed', from, to: current.replicaIdentity });
  }
  found.push(...columnDifferences(previous, current));
  return found;
}

function columnDifferences(previous: TableShape, current: TableShape): SchemaDifference[] {
  const { columns: before } = previous;
  const { columns: now } = current;
  const found: SchemaDifference[] = [];
  const kept = new Set(now.map(({ name }) => name).filter((name) => before.some((each) => each.name === name)));
  const orderBefore = before.map(({ name }) => name).filter((name) => kept.has(name));
  const orderNow = now.map(({ name }) => name).filter((name) => kept.has(name));
  const isReordered = orderBefore.some((name, at) => name !== orderNow[at]);
  const renamed = isReordered ? new Map<ColumnShape, ColumnShape>() : renamedColumns(before, now, kept);
  const gone = new Set(renamed.values());
  for (const column of before) {
    if (!kept.has(column.name) && !gone.has(column)) found.push({ kind: 'column-removed', column });
  }
  for (const to of now) {
    const from = before.find(({ name }) => name === to.name);
    const was = renamed.get(to);
    if (was !== undefined) found.push({ kind: 'column-renamed', from: was.name, to: to.name, isCertain: false });
    else if (from === undefined) found.push({ kind: 'column-added', column: to });
    else if (!isSameType(from, to)) found.push({ kind: 'column-type-changed', column: to.name, from, to });
  }
  if (isReordered) found.push({ kind: 'columns-reordered', from: orderBefore, to: orderNow });
  const key = keyDifference(previous, current, renamed);
  if (key !== null) found.push(key);
  return found;
}

/** Under FULL every column is of the key: one more or less says nothing. One that was renamed is part of it as before. */
function keyDifference(
  previous: TableShape,
  current: TableShape,
  renamed: ReadonlyMap<ColumnShape, ColumnShape>,
): SchemaDifference | null {
  if (previous.replicaIdentity === 'full' && current.replicaIdentity === 'full') return null;
  const newNames = new Map([...renamed].map(([to, was]) => [was.name, to.name]));
  const [from, to] = [keyOf(previous.columns), keyOf(current.columns)];
  const expected = from.map((name) => newNames.get(name) ?? name);
  return isSameKey(expected, to) ? null : { kind: 'key-changed', from, to };
}

/**
 * Columns that took the place of others: between the same neighbours as many of the same types. New column to old one.
 */
function renamedColumns(
  before: readonly ColumnShape[],
  now: readonly ColumnShape[],
  kept: ReadonlySet<string>,
): Map<ColumnShape, ColumnShape> {
  const renamed = new Map<ColumnShape, ColumnShape>();
  const stretches = stretchesOf(now, kept);
  for (const [at, old] of stretchesOf(before, kept).entries()) {
    const young = stretches[at]!;
    if (old.length !== young.length || !old.every((column, index) => isSameType(column, young[index]!))) continue;
    for (const [index, column] of young.entries()) renamed.set(column, old[index]!);
  }
  return renamed;
}

/** The columns that are not kept, before, between and behind those that are. */
function stretchesOf(columns: readonly ColumnShape[], kept: ReadonlySet<string>): ColumnShape[][] {
  const stretches: ColumnShape[][] = [[]];
  for (const column of columns) {
    if (kept.has(column.name)) stretches.push([]);
    else stretches.at(-1)!.push(column);
  }
  return stretches;
}

function isSameType(one: ColumnShape, other: ColumnShape): boolean {
  return one.typeOid === other.typeOid && one.typeModifier === other.typeModifier;
}

function keyOf(columns: readonly ColumnShape[]): string[] {
  return columns.filter(({ isKey }) => isKey).map(({ name }) => name);
}

function isSameKey(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}

function nameOf({ schema, table }: TableName): TableName {
  return { schema, table };
}
