import type { PoolClient } from 'pg';
import {
  createTableRelationsHelpers,
  extractTablesRelationalConfig,
  type ExtractTablesWithRelations,
  type Logger,
} from 'drizzle-orm';
import { NodePgSession, NodePgTransaction, type NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import { PgDialect, type PgTransaction } from 'drizzle-orm/pg-core';
import type { TransactionalContext } from '../interfaces/handler.interface.js';
import type { TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';

/** As of Drizzle's own `drizzle(client, options)`. */
export interface DrizzleOptions<Schema extends Record<string, unknown> = Record<string, never>> {
  /** For `db.query`. */
  readonly schema?: Schema;
  readonly casing?: 'snake_case' | 'camelCase';
  readonly logger?: Logger;
}

/** What `db.transaction(async (tx) => …)` hands out. */
export type DrizzleDatabase<Schema extends Record<string, unknown> = Record<string, never>> = PgTransaction<
  NodePgQueryResultHKT,
  Schema,
  ExtractTablesWithRelations<Schema>
>;

/** What a handler with `transactional: drizzle()` learns besides its change. */
export interface DrizzleContext<
  Schema extends Record<string, unknown> = Record<string, never>,
> extends TransactionalContext {
  /** Over `client`, in its transaction: what it writes is committed with the claim of the change, or not at all. */
  readonly db: DrizzleDatabase<Schema>;
}

/**
 * A Drizzle database in the transaction of a handler's call. `db.transaction()` is a savepoint.
 *
 * @example
 * \@OnTableChange(orders, 'insert', { transactional: drizzle({ schema }), mapped: true })
 * async onCreated({ record }: InsertChange<typeof orders.$inferSelect>, { db }: DrizzleContext<typeof schema>) {
 *   await db.update(stock).set({ reserved: sql`reserved + 1` }).where(eq(stock.sku, record.sku));
 * }
 * @publicApi
 */
export function drizzle<Schema extends Record<string, unknown> = Record<string, never>>(
  options: DrizzleOptions<Schema> = {},
): TransactionAdapter<{ readonly db: DrizzleDatabase<Schema> }> {
  const { casing, logger } = options;
  return {
    name: 'drizzle',
    bind() {
      const dialect = new PgDialect(casing === undefined ? {} : { casing });
      const relations = relationsOf(options.schema);
      return {
        enter: (client: PoolClient) => {
          const session = new NodePgSession<Schema, ExtractTablesWithRelations<Schema>>(
            client,
            dialect,
            relations,
            logger === undefined ? {} : { logger },
          );
          return { db: new NodePgTransaction(dialect, session, relations) };
        },
      };
    },
  };
}

function relationsOf<Schema extends Record<string, unknown>>(
  schema: Schema | undefined,
): ConstructorParameters<typeof NodePgTransaction<Schema, ExtractTablesWithRelations<Schema>>>[2] {
  if (schema === undefined) return undefined;
  const { tables, tableNamesMap } = extractTablesRelationalConfig<ExtractTablesWithRelations<Schema>>(
    schema,
    createTableRelationsHelpers,
  );
  return { fullSchema: schema, schema: tables, tableNamesMap };
}
