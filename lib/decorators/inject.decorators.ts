import { Inject } from '@nestjs/common';
import type { TableSource } from '../interfaces/orm-table.interface.js';
import type { AppName, TableRef } from '../interfaces/table.interface.js';
import { getChangesToken, getPgListenerConfigToken, getPgListenerToken } from '../pg-listener.tokens.js';

type InjectDecorator = PropertyDecorator & ParameterDecorator;

/** The running replication of an app. For the default app the class is enough: `constructor(listener: PgListener)`. @publicApi */
export const InjectPgListener = (app?: AppName): InjectDecorator => Inject(getPgListenerToken(app));

/** The resolved configuration of an app. @publicApi */
export const InjectPgListenerConfig = (app?: AppName): InjectDecorator => Inject(getPgListenerConfigToken(app));

/**
 * An `Observable` of a table's changes, for looking on: hot, without replay. The module needs
 * `PgListenerModule.forFeature([table], app)` among its imports.
 *
 * @example
 * constructor(@InjectChanges('orders') private readonly orders$: Observable<Change<Order>>) {}
 * @publicApi
 */
export const InjectChanges = (
  table: string | TableRef<any> | TableSource,
  options?: { app?: AppName },
): InjectDecorator => Inject(getChangesToken(table, options));
