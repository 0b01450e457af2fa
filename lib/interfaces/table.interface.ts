import type { DriverRow, DrizzleTable, EntityClass, EntitySchemaSource } from './orm-table.interface.js';

/** Augment: `interface PgListenerTables { orders: Order; 'billing.invoices': Invoice }` (default app). */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface PgListenerTables {}
/** Augment for other apps: `interface PgListenerApps { billing: { invoices: Invoice } }`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface PgListenerApps {}

declare const ROW: unique symbol;
/** A table name that carries its row type: one constant for decorator, forFeature and injection. */
export interface TableRef<Row> {
  readonly name: string;
  readonly [ROW]?: (row: Row) => Row;
}

/**
 * Names a table once, with its row type.
 *
 * @example
 * export const Orders = table<Order>('orders');
 */
export function table<Row>(name: string): TableRef<Row> {
  return { name };
}

export type AppName = 'default' | (keyof PgListenerApps extends never ? string : keyof PgListenerApps & string);
type TablesOf<App> = App extends 'default'
  ? PgListenerTables
  : App extends keyof PgListenerApps
    ? PgListenerApps[App]
    : {};
type Bare<T> = [keyof T] extends [never] ? string : (keyof T & string) | `public.${keyof T & string}`;
type Name<T> = Bare<T> | ([keyof T] extends [never] ? never : Pattern);
type Pattern = `${string}*${string}` | `!${string}`;
type Canonical<N> = N extends `public.${infer Bare}` ? Bare : N;
type One<App> = Name<TablesOf<App>> | TableRef<any> | EntityClass | EntitySchemaSource | DrizzleTable;

/** One table of an app, by its name. */
export type TableName<App = 'default'> = Bare<TablesOf<App>>;
/** A table, a pattern, a reference, an entity class or schema, a Drizzle table, or several of them. */
export type TableSelector<App = 'default'> = One<App> | readonly One<App>[];

/** The row type behind a selector. `Mapped`: as the ORM has it; else by columns, as node-postgres has it. */
export type RowOf<S, App, Mapped = false> =
  S extends EntityClass<infer Row> // before TableRef: a class has a `name` too
    ? Row
    : S extends DrizzleTable // and so has a table with such a column
      ? [Mapped] extends [false]
        ? DriverRow<S>
        : S['$inferSelect']
      : S extends TableRef<infer Row>
        ? Row
        : S extends readonly (infer Each)[]
          ? RowOf<Each, App, Mapped>
          : Canonical<S> extends keyof TablesOf<App>
            ? TablesOf<App>[Canonical<S>]
            : any; // an entity schema too
