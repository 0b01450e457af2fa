import { canonicalTable } from '../changes/table-pattern.js';
import type { EntityClass, EntitySchemaSource } from '../interfaces/orm-table.interface.js';
import type { EmbeddedObject, MappedColumn, RecordPlan } from './record-mapper.js';
import { UnresolvedTable, type ResolvedTable, type RowsOfClass } from './resolved-table.js';
import { RowMapping, type PlansByValue } from './row-mapping.js';
import {
  argsStorage,
  isEntitySchema,
  type OrmColumn,
  type OrmDataSource,
  type OrmEmbedded,
  type OrmMetadata,
} from './typeorm-source.js';
import { resolveUndecided } from './typeorm-args.js';

const POSTGRES = new Set(['postgres', 'aurora-postgres']);

/**
 * A table of TypeORM's: as the application's data sources have it, which know naming strategies, prefixes and schemas;
 * where none has it, as its decorators have it.
 *
 * @throws UnresolvedTable
 */
export function resolveEntity(
  entity: EntityClass | EntitySchemaSource,
  dataSources: readonly OrmDataSource[],
): ResolvedTable {
  const all = dataSources.filter((each) => each.hasMetadata(entity));
  const known = all.filter(({ options }) => POSTGRES.has(options.type));
  const [first] = known;
  if (first === undefined) {
    if (all.length > 0) throw new UnresolvedTable(`is an entity of a data source of ${all[0]!.options.type}`);
    if (isEntitySchema(entity)) {
      throw new UnresolvedTable('is of no data source of the application: provide yours as TypeOrmModule does');
    }
    return resolveUndecided(entity, argsStorage());
  }
  const names = new Set(known.map((each) => tableNameOf(each, each.getMetadata(entity))));
  if (names.size > 1) {
    throw new UnresolvedTable(
      `is an entity of several data sources, which have it in different tables (${[...names].join(', ')}): name the table`,
    );
  }
  const metadata = first.getMetadata(entity);
  return {
    name: tableNameOf(first, metadata),
    only: rowsOf(metadata),
    note: null,
    mapping: () => new RowMapping(planOf(first, metadata), plansByValue(first, metadata)),
  };
}

function tableNameOf({ driver }: OrmDataSource, { schema, tableName, tableType }: OrmMetadata): string {
  if (tableType === 'view') throw new UnresolvedTable('is a view entity: a view has no rows of its own to change');
  return canonicalTable(schema ?? driver.schema ?? 'public', tableName);
}

/** A child entity of single-table inheritance means its own rows. */
function rowsOf(metadata: OrmMetadata): RowsOfClass | null {
  const { parentEntityMetadata: parent } = metadata;
  const column = metadata.discriminatorColumn ?? parent?.discriminatorColumn;
  if (metadata.tableType !== 'entity-child' || column === undefined) return null;
  const values = [metadata, ...metadata.childEntityMetadatas].map(({ discriminatorValue }) =>
    String(discriminatorValue),
  );
  return { column: column.databaseName, values: new Set(values) };
}

/** All classes that share the table, whichever of them was named. */
function plansByValue(source: OrmDataSource, metadata: OrmMetadata): PlansByValue | null {
  const root = metadata.parentEntityMetadata ?? metadata;
  const { childEntityMetadatas: children, discriminatorColumn: column } = root;
  if (children.length === 0 || column === undefined) return null;
  const plans = [root, ...children].map((each) => [String(each.discriminatorValue), planOf(source, each)] as const);
  return { column: column.databaseName, plans: new Map(plans) };
}

function planOf(source: OrmDataSource, { target, columns }: OrmMetadata): RecordPlan {
  return {
    prototype: prototypeOf(target),
    columns: columns
      .filter(({ isVirtualProperty }) => isVirtualProperty !== true)
      .map((column) => mappedColumn(source, column)),
  };
}

function mappedColumn({ driver }: OrmDataSource, column: OrmColumn): MappedColumn {
  const embedded = embeddedPath(column.embeddedMetadata);
  const { databaseName, propertyName, isVirtual } = column;
  const property = embedded[0]?.name ?? propertyName;
  if (isVirtual) return { column: databaseName, property, place: null };
  const read = (value: unknown): unknown => driver.prepareHydratedValue(value, column);
  return { column: databaseName, property, place: { embedded, name: propertyName, read } };
}

function embeddedPath(embedded: OrmEmbedded | undefined): EmbeddedObject[] {
  if (embedded === undefined) return [];
  const { parentEmbeddedMetadata, propertyName, type } = embedded;
  return [...embeddedPath(parentEmbeddedMetadata), { name: propertyName, prototype: prototypeOf(type) }];
}

function prototypeOf(target: EntityClass | string): object {
  return typeof target === 'string' ? Object.prototype : (target.prototype as object);
}
