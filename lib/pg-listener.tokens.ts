import type { InjectionToken } from '@nestjs/common';
import { PgListenerConfig } from './configs/pg-listener-config.js';
import { canonicalSelector } from './changes/table-pattern.js';
import type { TableSource } from './interfaces/orm-table.interface.js';
import { drizzleTableName, isDrizzleTable } from './tables/drizzle-table.js';
import { isEntitySchema } from './tables/typeorm-source.js';
import { DEFAULT_APP_NAME } from './pg-listener.constants.js';
import { PgListener } from './pg-listener.js';

/** Token of an app's `PgListener`: the class itself for the default app. @publicApi */
export function getPgListenerToken(app: string = DEFAULT_APP_NAME): InjectionToken<PgListener> {
  return app === DEFAULT_APP_NAME ? PgListener : `PgListener(${app})`;
}

/** Token of an app's `PgListenerConfig`: the class itself for the default app. @publicApi */
export function getPgListenerConfigToken(app: string = DEFAULT_APP_NAME): InjectionToken<PgListenerConfig> {
  return app === DEFAULT_APP_NAME ? PgListenerConfig : `PgListenerConfig(${app})`;
}

/**
 * Token of the observable that `forFeature` provides. `orders` and `public.orders` are one table and one token, and so is a
 * Drizzle table of that name; an entity class or schema is a token of its own, for its table is known only when its ORM is.
 *
 * @publicApi
 */
export function getChangesToken(
  table: string | { readonly name: string } | TableSource,
  options: { app?: string } = {},
): string {
  return `Changes(${tokenText(table)}) of PgListenerModule.forFeature, app "${options.app ?? DEFAULT_APP_NAME}"`;
}

function tokenText(table: string | { readonly name: string } | TableSource): string {
  if (typeof table === 'string') return canonicalSelector(table);
  if (isDrizzleTable(table)) return drizzleTableName(table);
  if (typeof table === 'function') return `class ${table.name} #${numberOf(table)}`;
  if (isEntitySchema(table)) return `entity schema ${table.options.name} #${numberOf(table)}`;
  return canonicalSelector((table as { readonly name: string }).name);
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;

/** Two classes may have one name. */
function numberOf(entity: object): number {
  const number = numbers.get(entity) ?? ++lastNumber;
  numbers.set(entity, number);
  return number;
}

/** Where an app's parts can be had throughout the application, whatever `isGlobal` says. @internal */
export function internalToken(app: string): string {
  return `PgListenerApp(${app})`;
}

/** The options of an app, before they are resolved. @internal */
export function optionsToken(app: string): string {
  return `PgListenerOptions(${app})`;
}
