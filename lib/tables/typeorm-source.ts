import type { EntityClass, EntitySchemaSource } from '../interfaces/orm-table.interface.js';

// TypeORM, as far as it is used: nothing of it is imported. Its objects say what they are by a symbol of everyone's.
const IS_INSTANCE = '@instanceof';
const DATA_SOURCE = Symbol.for('DataSource');
const ENTITY_SCHEMA = Symbol.for('EntitySchema');

export interface OrmEmbedded {
  readonly propertyName: string;
  readonly type: EntityClass | string;
  readonly parentEmbeddedMetadata?: OrmEmbedded;
}

export interface OrmColumn {
  readonly databaseName: string;
  readonly propertyName: string;
  /** No property of the class has it: a join column of a relation, a discriminator. */
  readonly isVirtual: boolean;
  /** No column of the table: `@VirtualColumn`. */
  readonly isVirtualProperty?: boolean;
  readonly embeddedMetadata?: OrmEmbedded;
}

export interface OrmMetadata {
  readonly target: EntityClass | string;
  readonly tableName: string;
  readonly schema?: string;
  readonly tableType: string;
  readonly columns: readonly OrmColumn[];
  readonly discriminatorColumn?: OrmColumn;
  readonly discriminatorValue?: unknown;
  readonly childEntityMetadatas: readonly OrmMetadata[];
  readonly parentEntityMetadata?: OrmMetadata;
}

/** A `DataSource`. */
export interface OrmDataSource {
  readonly options: { readonly type: string };
  readonly driver: { readonly schema?: string; prepareHydratedValue(value: unknown, column: OrmColumn): unknown };
  hasMetadata(target: unknown): boolean;
  getMetadata(target: unknown): OrmMetadata;
}

export function isDataSource(value: unknown): value is OrmDataSource {
  return isMarked(value, DATA_SOURCE);
}

export function isEntitySchema(value: unknown): value is EntitySchemaSource {
  return isMarked(value, ENTITY_SCHEMA);
}

function isMarked(value: unknown, mark: symbol): boolean {
  return typeof value === 'object' && value !== null && (value as Record<string, unknown>)[IS_INSTANCE] === mark;
}

export interface TableArgs {
  readonly target: unknown;
  readonly name?: string;
  readonly schema?: string;
  readonly type: string;
}

export interface ColumnArgs {
  readonly target: unknown;
  readonly propertyName: string;
  readonly mode: string;
  readonly options: {
    readonly name?: string;
    readonly type?: unknown;
    /** Of a `date`: as in UTC. */
    readonly utc?: boolean;
    readonly transformer?: Transformer | readonly Transformer[];
  };
}

export interface Transformer {
  from(value: unknown): unknown;
}

export interface EmbeddedArgs {
  readonly target: unknown;
  readonly propertyName: string;
  readonly prefix?: string | boolean;
  readonly type: () => EntityClass;
}

/** What its decorators have told, before any `DataSource` has made names of it. */
export interface ArgsStorage {
  readonly tables: readonly TableArgs[];
  readonly columns: readonly ColumnArgs[];
  readonly embeddeds: readonly EmbeddedArgs[];
}

/** Where every copy of TypeORM in the process keeps it; undefined: there is none. */
export function argsStorage(): ArgsStorage | undefined {
  return (globalThis as { typeormMetadataArgsStorage?: ArgsStorage }).typeormMetadataArgsStorage;
}
