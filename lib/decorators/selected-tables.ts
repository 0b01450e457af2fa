import type { TableSource } from '../interfaces/orm-table.interface.js';
import { isDrizzleView, isTableSource } from '../tables/drizzle-table.js';
import { refuse } from './handler-metadata.js';

/** What a selector names: tables and patterns, and what an ORM knows the table of. */
export interface SelectedTables {
  readonly tables: readonly string[];
  readonly sources: readonly TableSource[];
}

/** @throws HandlerDefinitionError on what cannot name a table */
export function selectedTables(target: object, key: string | symbol, selector: unknown): SelectedTables {
  const selected = (Array.isArray(selector) ? selector : [selector]) as unknown[];
  const unfit = selected.find((each) => !isTable(each));
  if (unfit !== undefined || selected.includes(undefined)) {
    if (isDrizzleView(unfit)) refuse(target, key, 'names a Drizzle view: a view has no rows of its own to change');
    const kind = unfit === null ? 'null' : typeof unfit;
    refuse(
      target,
      key,
      `names a table by ${kind}; a name, a pattern or table<Row>(name) is wanted, or a table of an ORM (is it imported in a circle?)`,
    );
  }
  const sources = selected.filter(isTableSource);
  return {
    tables: selected
      .filter((each) => !isTableSource(each))
      .map((each) => (typeof each === 'string' ? each : (each as { name: string }).name)),
    sources,
  };
}

function isTable(each: unknown): boolean {
  if (typeof each === 'string' || isTableSource(each)) return true;
  return typeof each === 'object' && each !== null && typeof (each as { name?: unknown }).name === 'string';
}
