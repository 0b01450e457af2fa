import type {
  Change,
  ChangeOf,
  DeleteChange,
  InsertChange,
  Operation,
  SnapshotChange,
  UpdateChange,
} from '../interfaces/change.interface.js';
import type {
  BatchOptions,
  ContextOf,
  Delivered,
  HandlerDecorator,
  HandlerOptions,
} from '../interfaces/handler.interface.js';
import type { MappedOptions } from '../interfaces/orm-table.interface.js';
import type { StandardSchemaV1, ValidatedChange } from '../interfaces/standard-schema.interface.js';
import type { AppName, RowOf, TableSelector } from '../interfaces/table.interface.js';
import type { TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';
import { addHandlerMetadata, storedOptions } from './handler-metadata.js';
import { selectedTables } from './selected-tables.js';

/** A bare literal type would make TypeScript try the overload first ("specialized signature"). */
type Only<O extends Operation> = O;
type Options1<Row> = HandlerOptions<Row, AppName, undefined, false, false, StandardSchemaV1<any, Row> | undefined>;
type Names = string | readonly string[];

export interface OnTableChange {
  /** Row type from PgListenerTables, table<Row>(), an entity class, a Drizzle table, or unchecked; everything inferred. */
  <
    const S extends TableSelector<App>,
    O extends Operation = Operation,
    const App extends AppName = 'default',
    Batch extends BatchOptions | undefined = undefined,
    const Tx extends boolean | TransactionAdapter = false,
    const Mapped extends boolean | MappedOptions = false,
    Schema extends StandardSchemaV1<any, any> | undefined = undefined,
  >(
    table: S,
    operations?: O | readonly O[],
    options?: HandlerOptions<RowOf<S, App, Mapped>, App, Batch, Tx, Mapped, Schema>,
  ): HandlerDecorator<Delivered<ValidatedChange<RowOf<S, App, Mapped>, O, Schema>, Batch>, ContextOf<Tx>>;
  /** Row type given: TypeScript cannot infer the rest then, so the operations are spelled out here. */
  <Row>(table: Names, operation: Only<'insert'>, options?: Options1<Row>): HandlerDecorator<InsertChange<Row>>;
  <Row>(table: Names, operation: Only<'update'>, options?: Options1<Row>): HandlerDecorator<UpdateChange<Row>>;
  <Row>(table: Names, operation: Only<'delete'>, options?: Options1<Row>): HandlerDecorator<DeleteChange<Row>>;
  <Row>(table: Names, operation: Only<'snapshot'>, options?: Options1<Row>): HandlerDecorator<SnapshotChange<Row>>;
  <Row>(
    table: Names,
    operations: readonly ('insert' | 'update')[],
    options?: Options1<Row>,
  ): HandlerDecorator<ChangeOf<Row, 'insert' | 'update'>>;
  <Row>(
    table: Names,
    operations: readonly ('update' | 'delete')[],
    options?: Options1<Row>,
  ): HandlerDecorator<ChangeOf<Row, 'update' | 'delete'>>;
  <Row>(
    table: Names,
    operations: readonly ('insert' | 'delete')[],
    options?: Options1<Row>,
  ): HandlerDecorator<ChangeOf<Row, 'insert' | 'delete'>>;
  <Row>(
    table: Names,
    operations: readonly ('insert' | 'update' | 'delete')[],
    options?: Options1<Row>,
  ): HandlerDecorator<ChangeOf<Row, 'insert' | 'update' | 'delete'>>;
  /** Any other set: the handler takes the whole union. */
  <Row>(table: Names, operations?: readonly Operation[], options?: Options1<Row>): HandlerDecorator<Change<Row>>;
}

/**
 * Calls the method for every committed change of a table, in commit order, at least once. May be stacked: each
 * decorator is a handler of its own.
 *
 * @param table `orders` (= `public.orders`), `schema.table`, `schema.*`, `*`, `!pattern` to exclude, an array of
 *   them, `table<Row>(name)`, a TypeORM entity class or `EntitySchema`, or a Drizzle table
 * @param operations one, several, or none for all
 * @example
 * \@OnTableChange<Order>('orders', 'insert')
 * async onCreated(change: InsertChange<Order>, context: PgListenerContext) {}
 * @publicApi
 */
export const OnTableChange: OnTableChange = (selector: unknown, operations?: unknown, options?: unknown) =>
  ((target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    addHandlerMetadata(target, key, descriptor, {
      kind: 'table',
      ...selectedTables(target, key, selector),
      operations:
        operations === undefined ? [] : ((Array.isArray(operations) ? operations : [operations]) as Operation[]),
      options: storedOptions(options),
    });
  }) as never;
