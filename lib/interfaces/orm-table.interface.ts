/** A table of Drizzle's, as far as its types tell. Nothing is imported: `pgTable` and `pgSchema().table` give one. */
export interface DrizzleTable {
  readonly _: { readonly brand: 'Table'; readonly columns: object };
  readonly $inferSelect: object;
}

/** A class of entities, such as TypeORM's. */
export type EntityClass<Row = object> = abstract new (...args: never[]) => Row;

/** An `EntitySchema` of TypeORM's. It does not tell TypeScript of which type its rows are. */
export interface EntitySchemaSource {
  readonly '@instanceof': symbol;
  readonly options: { readonly name: string; readonly columns: object };
}

/** What names a table by the metadata that an ORM has of it. */
export type TableSource = EntityClass | EntitySchemaSource | DrizzleTable;

/** How a mapped handler's rows are told from their columns. */
export interface MappedOptions {
  /** Of Drizzle's `drizzle({ casing })`, which its tables do not know: how a column is called that has no name of its own. */
  readonly casing?: 'snake_case' | 'camelCase';
}

interface ColumnTypes {
  readonly name: string;
  readonly data: unknown;
  readonly driverParam: unknown;
  readonly notNull: boolean;
  readonly columnType: string;
}

/** Where Drizzle's value is another one than node-postgres'. */
interface DriverTypes {
  PgBigInt53: string;
  PgBigInt64: string;
  PgBigSerial53: string;
  PgBigSerial64: string;
  PgNumericNumber: string;
  PgNumericBigInt: string;
  PgDate: Date;
  PgDateString: Date;
  PgTimestamp: Date;
  PgTimestampString: Date;
  PgInterval: object;
  PgPointTuple: { x: number; y: number };
  PgLine: string;
  PgLineABC: string;
  PgGeometry: string;
  PgGeometryObject: string;
  PgVector: string;
  PgHalfVector: string;
}

type ValueOf<C> = C extends { readonly _: infer T extends ColumnTypes }
  ? T['columnType'] extends keyof DriverTypes
    ? DriverTypes[T['columnType']]
    : T['columnType'] extends 'PgCustomColumn'
      ? T['driverParam']
      : T extends { readonly columnType: 'PgArray'; readonly baseColumn: infer Base }
        ? ValueOf<Base>[]
        : T['data']
  : never;
type NameOf<C> = C extends { readonly _: { readonly name: infer Name extends string } } ? Name : never;
type NullOf<C> = C extends { readonly _: { readonly notNull: true } } ? never : null;

/** A row of a Drizzle table as node-postgres has it: by the columns' names, with the driver's values. */
export type DriverRow<Table extends DrizzleTable> = {
  [K in keyof Table['_']['columns'] as NameOf<Table['_']['columns'][K]>]:
    ValueOf<Table['_']['columns'][K]> | NullOf<Table['_']['columns'][K]>;
};
