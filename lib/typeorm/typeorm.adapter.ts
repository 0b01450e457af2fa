import type { PoolClient } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { TransactionalContext } from '../interfaces/handler.interface.js';
import type { AdapterProviders, TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';
import { isDataSource } from '../tables/typeorm-source.js';

export interface TypeormOptions {
  /**
   * Token of the data source whose entities the handler works with: `getDataSourceToken(name)`. Default: that of the class
   * `DataSource`, or the only one that there is.
   */
  readonly dataSource?: unknown;
}

/** What a handler with `transactional: typeorm()` learns besides its change. */
export interface TypeormContext extends TransactionalContext {
  /** Over `client`, in its transaction: what it saves is committed with the claim of the change, or not at all. */
  readonly manager: EntityManager;
}

/** How a query runner of TypeORM's for PostgreSQL keeps its connection and its place in a transaction. */
interface RunnerInside {
  databaseConnection: PoolClient;
  isTransactionActive: boolean;
  transactionDepth: number;
}

/**
 * An `EntityManager` in the transaction of a handler's call. The connection is the listener's; the data source gives
 * metadata, logging and subscribers. `manager.transaction()` is a savepoint.
 *
 * @example
 * \@OnTableChange(Order, 'insert', { transactional: typeorm() })
 * async onCreated({ record }: InsertChange<Order>, { manager }: TypeormContext) {
 *   await manager.increment(Stock, { sku: record.sku }, 'reserved', 1);
 * }
 * @publicApi
 */
export function typeorm(options: TypeormOptions = {}): TransactionAdapter<{ readonly manager: EntityManager }> {
  return {
    name: 'typeorm',
    bind(providers) {
      const dataSource = dataSourceOf(providers, options.dataSource);
      refuseOtherDatabase(dataSource);
      refuseUnknownRunner(dataSource);
      return { enter: (client) => ({ manager: runnerOver(dataSource, client).manager }) };
    },
  };
}

function dataSourceOf({ get, instances }: AdapterProviders, token: unknown): DataSource {
  if (token !== undefined) {
    const found = get(token);
    if (isDataSource(found)) return found as unknown as DataSource;
    throw new Error('names a token of no DataSource in `dataSource`: import the module that provides it');
  }
  const found = [...new Set(instances)].filter(isDataSource) as unknown as DataSource[];
  const isDefault = (each: DataSource): boolean => get(each.constructor) === each;
  const chosen = found.length === 1 ? found[0] : found.find(isDefault);
  if (chosen !== undefined) return chosen;
  throw new Error(
    found.length === 0
      ? 'finds no DataSource among the providers: import TypeOrmModule, or provide yours'
      : 'finds several DataSources, and none under its class: name one by its token in `dataSource`',
  );
}

function refuseOtherDatabase({ options }: DataSource): void {
  if (options.type === 'postgres') return;
  throw new Error(`finds a DataSource of ${options.type}, and the transaction is one of PostgreSQL`);
}

/** Where a runner's connection is kept is nowhere promised, so it is tried at boot. */
function refuseUnknownRunner(dataSource: DataSource): void {
  const runner = dataSource.createQueryRunner('master');
  const has = (name: keyof RunnerInside, type: string): boolean =>
    typeof (runner as unknown as Record<string, unknown>)[name] === type;
  if (has('isTransactionActive', 'boolean') && has('transactionDepth', 'number')) return;
  throw new Error('does not know this version of TypeORM: its query runners are made in another way');
}

/** Nothing to release: it has taken nothing out of the data source's pool. */
function runnerOver(dataSource: DataSource, client: PoolClient): QueryRunner {
  const runner = dataSource.createQueryRunner('master');
  // A transaction is open, so that none is begun: what wants one of its own gets a savepoint.
  Object.assign(runner as unknown as RunnerInside, {
    databaseConnection: client,
    isTransactionActive: true,
    transactionDepth: 1,
  });
  return runner;
}
