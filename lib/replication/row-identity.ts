import { tableKey } from '../changes/transaction.js';
import type { PrimaryKeys } from '../connection/primary-keys.js';
import type { CachedRelation } from '../decoder/relation-cache.js';
import type { Relation } from '../decoder/pgoutput-messages.js';
import type { RoutedTable } from '../interfaces/transaction-sink.interface.js';

/** How a table was described, with what tells its rows apart. */
export function routedTable({ relation, isUneven }: CachedRelation, primaryKeys: PrimaryKeys): RoutedTable {
  const { schema, table, replicaIdentity, columns } = relation;
  const keyColumns = isUneven ? null : keyColumnsOf(relation, primaryKeys);
  const described = columns.map(({ name, typeOid, isKey }) => `${name}:${typeOid}:${isKey ? 1 : 0}`);
  return { schema, table, keyColumns, signature: [replicaIdentity, keyColumns, ...described].join('\0') };
}

/**
 * The primary key's columns, where every change of a row tells their values. Null where it does not, or where equal keys
 * may have different texts:
 *
 * - under DEFAULT the server marks them itself; what it marks may differ from the catalogue, which is that of now;
 * - under FULL the whole old row comes;
 * - under USING INDEX an update of the primary key alone would not show, and a delete brings the index' columns only;
 * - without an identity there are inserts only, and those have all columns;
 * - partitions with another identity than their root's tell what they like.
 */
function keyColumnsOf({ schema, table, replicaIdentity, columns }: Relation, keys: PrimaryKeys): string[] | null {
  const key = keys.get(tableKey({ schema, table }));
  if (key === undefined || !key.isExact) return null;
  const sent = new Map(columns.map((column) => [column.name, column.isKey]));
  if (!key.columns.every((name) => sent.has(name))) return null;
  const marked = columns.filter(({ isKey }) => isKey).map(({ name }) => name);
  const isMarked = key.columns.every((name) => sent.get(name));
  if (replicaIdentity === 'default' && marked.length > 0 && marked.length !== key.columns.length) return null;
  if (replicaIdentity === 'default' && marked.length > 0 && !isMarked) return null;
  if (replicaIdentity === 'index' && !isMarked) return null;
  return [...key.columns];
}
