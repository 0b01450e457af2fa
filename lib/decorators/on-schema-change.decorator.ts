import type { HandlerDecorator, SchemaHandlerOptions } from '../interfaces/handler.interface.js';
import type { SchemaChange } from '../interfaces/schema-change.interface.js';
import type { AppName, TableSelector } from '../interfaces/table.interface.js';
import { addHandlerMetadata, storedOptions } from './handler-metadata.js';
import { selectedTables } from './selected-tables.js';

/**
 * Calls the method when a table comes in another shape than before: columns, key, replica identity or name, as far as
 * pgoutput tells. At least once, in its place: before the first change in the new shape is given to any handler. The first
 * sight of a table is no change.
 *
 * @param table as in `@OnTableChange`; a table that was renamed is told under the old name too
 * @example
 * \@OnSchemaChange('orders')
 * async onAltered(change: SchemaChange) {}
 * @publicApi
 */
export function OnSchemaChange<const S extends TableSelector<App>, const App extends AppName = 'default'>(
  table: S,
  options?: SchemaHandlerOptions<App>,
): HandlerDecorator<SchemaChange> {
  return (target, key, descriptor) =>
    addHandlerMetadata(target, key, descriptor, {
      kind: 'schema',
      ...selectedTables(target, key, table),
      options: storedOptions(options),
    });
}
