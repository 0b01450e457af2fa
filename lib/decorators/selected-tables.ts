import { refuse } from './handler-metadata.js';

/** What a selector names: tables and patterns, and the names of entity classes. */
export interface SelectedTables {
  readonly tables: readonly string[];
  readonly entities: readonly string[];
}

/** @throws HandlerDefinitionError on what cannot name a table */
export function selectedTables(target: object, key: string | symbol, selector: unknown): SelectedTables {
  const selected = (Array.isArray(selector) ? selector : [selector]) as unknown[];
  const unfit = selected.find((each) => !isTable(each));
  if (unfit !== undefined || selected.includes(undefined)) {
    const kind = unfit === null ? 'null' : typeof unfit;
    refuse(
      target,
      key,
      `names a table by ${kind}; a name, a pattern or table<Row>(name) is wanted (is it imported in a circle?)`,
    );
  }
  const entities = selected.filter((each) => typeof each === 'function') as { name: string }[];
  return {
    tables: selected
      .filter((each) => typeof each !== 'function')
      .map((each) => (typeof each === 'string' ? each : (each as { name: string }).name)),
    entities: entities.map((each) => each.name),
  };
}

function isTable(each: unknown): boolean {
  if (typeof each === 'string' || typeof each === 'function') return true;
  return typeof each === 'object' && each !== null && typeof (each as { name?: unknown }).name === 'string';
}
