import { TablePattern } from './changes/table-pattern.js';
import { ALL_OPERATIONS, operationMask } from './events/change-streams.js';
import type { HandlerDefinition } from './interfaces/handler-definition.interface.js';
import type { TableSubscription } from './publications/publication-plan.js';

/** Tables that an app hears, with who asked for them. */
export interface FeatureTable {
  readonly name: string;
  readonly source: string;
}

/** What has to be published: what handlers take, and what features hear. */
export function subscriptionsOf(
  definitions: readonly HandlerDefinition[],
  features: readonly FeatureTable[],
): TableSubscription[] {
  const ofHandlers = definitions
    .filter(({ kind }) => kind === 'table' || kind === 'schema')
    .map(({ id, kind, tables, operations, whenChanged, oldRecord }) => ({
      pattern: new TablePattern(tables),
      // A shape comes with whatever is published.
      mask: kind === 'schema' ? 0 : operationMask(operations),
      source: id,
      needs: whenChanged.length > 0 || oldRecord.length > 0 ? { whenChanged, oldRecord } : undefined,
    }));
  const ofFeatures = features.map(({ name, source }) => ({
    pattern: new TablePattern([name]),
    mask: ALL_OPERATIONS,
    source,
  }));
  return [...ofHandlers, ...ofFeatures];
}
