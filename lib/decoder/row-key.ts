import type { CachedRelation } from './relation-cache.js';
import { endOfColumn, TupleKind } from './row-reader.js';

/**
 * By what the row of a change is found in its table: the columns of the replica identity, as they came over the wire. With
 * FULL, all that came: which of them tell rows apart is for the catalogue to say.
 */
export interface RowKey {
  readonly cached: CachedRelation;
  readonly names: readonly string[];
  /** Text, or the binary form: as parameters of a query, the server reads both to the very values. */
  readonly values: readonly (string | Buffer)[];
}

const NEW_TUPLE = 0x4e; // N
/** Behind the message's type and the table's oid. */
const FIRST_TUPLE = 5;

/**
 * Of the new row of an Update that has been read (manual, section 54.9). Null where there is none: no replica identity, or a
 * column of it was not sent.
 *
 * Under FULL every column is marked, and a value that was not sent is none of the key: it is missing where a partition
 * without FULL is published as its root with it.
 */
export function rowKeyOf(cached: CachedRelation, buffer: Buffer, start: number): RowKey | null {
  const { columns, replicaIdentity } = cached.relation;
  let at = start + FIRST_TUPLE;
  if (buffer[at] !== NEW_TUPLE) at = skipTuple(buffer, at + 1, columns.length);
  at += 3; // the kind of the tuple, and the number of its columns
  const names: string[] = [];
  const values: (string | Buffer)[] = [];
  for (const { name, isKey } of columns) {
    const end = endOfColumn(buffer, at);
    const isThere = hasValue(buffer[at]);
    if (isKey && !isThere && replicaIdentity !== 'full') return null;
    if (isKey && isThere) {
      names.push(name);
      // Copied: the bytes will be another message's.
      const bytes = buffer.subarray(at + 5, end);
      values.push(buffer[at] === TupleKind.Text ? bytes.toString() : Buffer.from(bytes));
    }
    at = end;
  }
  return names.length === 0 ? null : { cached, names, values };
}

function skipTuple(buffer: Buffer, start: number, count: number): number {
  let at = start + 2;
  for (let index = 0; index < count; index++) at = endOfColumn(buffer, at);
  return at;
}

function hasValue(kind: number | undefined): boolean {
  return kind === TupleKind.Text || kind === TupleKind.Binary;
}
