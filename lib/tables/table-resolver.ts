import { PgListenerError } from '../errors/pg-listener.error.js';
import { TableSourceError } from '../errors/handler.error.js';
import type { TableSource } from '../interfaces/orm-table.interface.js';
import { isDrizzleTable, resolveDrizzleTable } from './drizzle-table.js';
import { UnresolvedTable, type ResolvedTable } from './resolved-table.js';
import { resolveEntity } from './typeorm-entity.js';
import { isDataSource, isEntitySchema, type OrmDataSource } from './typeorm-source.js';

/** Tables by their ORM's metadata. Each is looked up once, when the application has initialised. */
export class TableResolver {
  private readonly found = new Map<TableSource, ResolvedTable>();
  private readonly dataSources: readonly OrmDataSource[];

  /** @param instances of the application's providers: TypeORM's data sources are found among them */
  constructor(instances: Iterable<unknown> = []) {
    this.dataSources = [...new Set(instances)].filter(isDataSource);
  }

  /** @throws TableSourceError */
  resolve(source: TableSource): ResolvedTable {
    const known = this.found.get(source);
    if (known !== undefined) return known;
    try {
      const table = isDrizzleTable(source) ? resolveDrizzleTable(source) : resolveEntity(source, this.dataSources);
      this.found.set(source, table);
      return table;
    } catch (error) {
      if (error instanceof UnresolvedTable) throw new TableSourceError(describeSource(source), error.message);
      if (error instanceof PgListenerError) throw error;
      throw new TableSourceError(describeSource(source), 'has metadata of a form that is not known', error);
    }
  }

  /** What a person should know of the tables that were looked up. */
  get notes(): readonly string[] {
    return [...this.found.values()].flatMap(({ note }) => note ?? []);
  }
}

/** For texts: a table may have no name yet. */
export function describeSource(source: TableSource): string {
  if (typeof source === 'function') return `the class ${source.name || '(anonymous)'}`;
  return isEntitySchema(source) ? `the entity schema ${source.options.name}` : 'a Drizzle table';
}
