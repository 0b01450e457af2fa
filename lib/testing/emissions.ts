import { isDeepStrictEqual } from 'node:util';
import { Delete, Insert, Truncate, Update, type ChangePlace, type RowChange } from '../changes/change.js';
import { LogicalMessageEvent } from '../changes/logical-message.js';
import { parseTableName, type ParsedTableName } from '../changes/table-pattern.js';
import { TableDescription } from '../changes/schema-change.js';
import type { TransactionInfo } from '../changes/transaction.js';
import type { DrizzleTable } from '../interfaces/orm-table.interface.js';
import type { AppName, RowOf, TableName, TableRef } from '../interfaces/table.interface.js';
import type { ColumnShape, TableShape } from '../interfaces/schema-change.interface.js';
import { drizzleTableName, isDrizzleTable } from '../tables/drizzle-table.js';
import { lsnFromParts } from '../protocol/lsn.js';

type Table<App = string> = TableName<App> | TableRef<any> | DrizzleTable;
type RecordOf<T, App> = Readonly<RowOf<T, App>>;

/**
 * Something to emit: a change of one table, a logical message, or a change of schema. Made by `insert`, `update`, `remove`,
 * `truncate`, `message`, `alter`.
 */
export type Emission =
  | { readonly kind: 'change'; readonly table: ParsedTableName; readonly make: ChangeMaker }
  | { readonly kind: 'message'; readonly make: MessageMaker }
  | { readonly kind: 'schema'; readonly make: DescriptionMaker };

type ChangeMaker = (transaction: TransactionInfo, table: ParsedTableName, place: ChangePlace) => RowChange;
type MessageMaker = (transaction: TransactionInfo, place: ChangePlace) => LogicalMessageEvent;
type DescriptionMaker = (transaction: TransactionInfo, place: ChangePlace) => TableDescription;
type Row = Record<string, unknown>;

/**
 * A row that was inserted.
 *
 * @param table `orders` (= `public.orders`), `schema.table`, `table<Row>(name)`, or a Drizzle table; no pattern
 * @param record as a handler is to see it: the values that your `pg` gives
 * @throws TablePatternError
 */
export function insert<const T extends Table<App>, App extends AppName = 'default'>(
  table: T,
  record: RecordOf<T, App>,
): Emission {
  return change(table, (...place) => new Insert(...place, copy(record)));
}

/**
 * A row that was updated.
 *
 * @param record the row as it is now
 * @param oldRecord what the server would tell of the row before: all columns under REPLICA IDENTITY FULL
 *   (`changedColumns` is worked out then), the key where it changed, else null
 * @throws TablePatternError
 */
export function update<const T extends Table<App>, App extends AppName = 'default'>(
  table: T,
  record: RecordOf<T, App>,
  oldRecord: Partial<RecordOf<T, App>> | null = null,
): Emission {
  const now: Row = copy(record);
  const before: Row | null = oldRecord === null ? null : copy(oldRecord);
  const isFull = before !== null && Object.keys(now).every((column) => column in before);
  const changed = isFull ? Object.keys(now).filter((column) => !isDeepStrictEqual(now[column], before[column])) : null;
  return change(table, (...place) => new Update(...place, now, before, changed, []));
}

/**
 * A row that was deleted.
 *
 * @param oldRecord the key, or all columns under REPLICA IDENTITY FULL
 * @throws TablePatternError
 */
export function remove<const T extends Table<App>, App extends AppName = 'default'>(
  table: T,
  oldRecord: Partial<RecordOf<T, App>>,
): Emission {
  return change(table, (...place) => new Delete(...place, copy(oldRecord)));
}

/** A table that was truncated. @throws TablePatternError */
export function truncate(table: Table, options: { cascade?: boolean; restartIdentity?: boolean } = {}): Emission {
  const { cascade = false, restartIdentity = false } = options;
  return change(table, (...place) => new Truncate(...place, cascade, restartIdentity));
}

/** What `pg_logical_emit_message(true, prefix, content)` writes: a message within its transaction. */
export function message(prefix: string, content: string | Uint8Array): Emission {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : Buffer.from(content);
  return {
    kind: 'message',
    make: (transaction, place) =>
      new LogicalMessageEvent(transaction, {
        transactional: true,
        lsn: lsnFromParts(place.walHigh, place.walLow) + 1n,
        prefix,
        content: bytes,
      }),
  };
}

/** A description of a table, as far as a test cares: what is left out is as in a table without a key. */
export type DescribedTable = Partial<Omit<TableShape, 'schema' | 'table' | 'columns'>> & {
  /** As `insert` takes it; default: the table that is altered. */
  readonly table?: string;
  /** `typeOid` defaults to text (25). */
  readonly columns: readonly (Partial<ColumnShape> & Pick<ColumnShape, 'name'>)[];
};

/**
 * A table that comes in another shape from here on. `differences` are worked out as for a server's; where there are none, no
 * handler is called.
 *
 * @throws TablePatternError
 * @example
 * await listener.emit(alter('orders', { columns: [{ name: 'id' }] }, { columns: [{ name: 'id' }, { name: 'note' }] }));
 */
export function alter(table: Table, previous: DescribedTable, current: DescribedTable): Emission {
  const name = nameOf(table);
  const [before, now] = [describedShape(name, previous), describedShape(name, current)];
  return { kind: 'schema', make: (transaction, place) => new TableDescription(transaction, place, now, before) };
}

const TEXT_OID = 25;

function describedShape(name: string, { oid, replicaIdentity, columns, table = name }: DescribedTable): TableShape {
  return {
    oid: oid ?? 1,
    ...parseTableName(table),
    replicaIdentity: replicaIdentity ?? 'default',
    columns: columns.map((column) => ({
      typeOid: TEXT_OID,
      typeName: null,
      typeModifier: -1,
      isKey: false,
      ...column,
    })),
  };
}

function change(table: Table, make: ChangeMaker): Emission {
  return { kind: 'change', table: parseTableName(nameOf(table)), make };
}

function nameOf(table: Table): string {
  if (typeof table === 'string') return table;
  return isDrizzleTable(table) ? drizzleTableName(table) : table.name;
}

/** A handler that alters its row must not alter the test's. */
function copy(row: object): Row {
  return { ...row };
}
