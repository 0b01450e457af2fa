import type { InjectionToken } from '@nestjs/common';
import { PgListenerConfig } from './configs/pg-listener-config.js';
import { canonicalSelector } from './changes/table-pattern.js';
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
 * Token of the observable that `forFeature` provides. `orders` and `public.orders` are one table and one token.
 *
 * @publicApi
 */
export function getChangesToken(table: string | { readonly name: string }, options: { app?: string } = {}): string {
  const name = typeof table === 'string' ? table : table.name;
  return `Changes(${canonicalSelector(name)}) of PgListenerModule.forFeature, app "${options.app ?? DEFAULT_APP_NAME}"`;
}

/** Where an app's parts can be had throughout the application, whatever `isGlobal` says. @internal */
export function internalToken(app: string): string {
  return `PgListenerApp(${app})`;
}

/** The options of an app, before they are resolved. @internal */
export function optionsToken(app: string): string {
  return `PgListenerOptions(${app})`;
}
