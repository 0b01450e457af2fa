import type { PoolClient } from 'pg';
import type { MappedOptions } from './orm-table.interface.js';
import type { RetryOptions, OnExhausted } from './pg-listener-options.interface.js';
import type { StandardSchemaV1 } from './standard-schema.interface.js';
import type { TransactionAdapter } from './transaction-adapter.interface.js';
import type { TransactionContext } from './transaction.interface.js';

export interface BatchOptions {
  readonly size: number;
  readonly maxWaitMs?: number;
}

/** What a handler learns besides its change: the second argument. */
export interface PgListenerContext {
  readonly app: string;
  /** The handler's id. */
  readonly handler: string;
  /** 1 at the first try. */
  readonly attempt: number;
  /** The transaction that the change belongs to. */
  readonly transaction: TransactionContext;
  /** Aborted when the application closes and `shutdownTimeoutMs` has passed: give up, the change comes again. */
  readonly signal: AbortSignal;
}

/** What a `transactional` handler learns besides its change. */
export interface TransactionalContext extends PgListenerContext {
  /**
   * In a transaction of the source database, which also records that the change is done: committed when the handler
   * returns, rolled back when it throws. Read committed. Of no use when the call is over.
   */
  readonly client: PoolClient;
}

export interface HandlerOptions<
  Row = any,
  App = string,
  Batch = BatchOptions | undefined,
  Tx = boolean | TransactionAdapter,
  Mapped = boolean | MappedOptions,
  Schema = StandardSchemaV1<any, any> | undefined,
> {
  /** Unique in an app. Kept with progress and parked work: rename with care. Default: `Class.method`. */
  readonly id?: string;
  /** Default: `'default'`. */
  readonly app?: App;
  /**
   * Updates are handled only where one of these columns changed; other operations are not concerned. Needs REPLICA IDENTITY
   * FULL: without it boot fails for a table that is named, with the SQL that mends it.
   */
  readonly whenChanged?: readonly (keyof Row & string)[];
  /**
   * What the handler reads of `oldRecord`: `'full'`, or columns. Changes nothing in what comes; boot fails where the table's
   * replica identity does not tell it, with the SQL that mends it.
   */
  readonly oldRecord?: 'full' | readonly (keyof Row & string)[];
  readonly concurrency?: number;
  readonly batch?: Batch;
  /**
   * Effects exactly once: the handler gets `context.client`, in a transaction of the source database that also records
   * that the change is done; what comes again is not handled again. An adapter (`nestjs-pg-listener/typeorm`,
   * `nestjs-pg-listener/drizzle`) puts more than the client into the context. @default false
   */
  readonly transactional?: Tx;
  /**
   * Rows as the ORM of the entity class or Drizzle table has them: by property, with its values. `changedColumns`,
   * `unchangedToast`, `whenChanged` and the rest name properties then. @default false: as node-postgres has them
   */
  readonly mapped?: Mapped;
  /**
   * A Standard Schema (zod, valibot, arktype) that the row of an insert or update has to fit: the mapped one where `mapped` is
   * given. What it makes of the row is the `record` that the handler gets; a row that does not fit goes to `onExhausted` at
   * once.
   */
  readonly schema?: Schema;
  /** Overrides the app's `retry`, option by option. */
  readonly retry?: RetryOptions;
  /** Overrides the app's `onExhausted`. */
  readonly onExhausted?: OnExhausted;
  /** False: the handler is mapped but never called. Default: true. */
  readonly enabled?: boolean;
}

/** Options of `@OnTransaction` and `@OnLogicalMessage`. */
export type PlainHandlerOptions<Tx = boolean | TransactionAdapter> = Pick<
  HandlerOptions<any, string, undefined, Tx>,
  'id' | 'app' | 'transactional' | 'retry' | 'onExhausted' | 'enabled'
>;

/** Options of `@OnSchemaChange`. */
export type SchemaHandlerOptions<App = string> = Pick<
  HandlerOptions<any, App, undefined, false>,
  'id' | 'app' | 'retry' | 'enabled'
> & {
  /** Overrides the app's `onExhausted`, but for `'park'`, which is `'block'` here. */
  readonly onExhausted?: Exclude<OnExhausted, 'park'>;
};

/** By the key, not by `extends BatchOptions`: without `strictNullChecks`, `undefined` extends everything. */
export type Delivered<C, Batch> = 'size' extends keyof Batch ? readonly C[] : C;
export type ContextOf<Tx> = [Tx] extends [true]
  ? TransactionalContext
  : [Tx] extends [TransactionAdapter<infer Extra>]
    ? TransactionalContext & Extra
    : PgListenerContext;

/** A legacy method decorator that only fits a method able to take `C`. */
export type HandlerDecorator<C, X = PgListenerContext> = <
  Method extends (change: C, context: X, ...injected: any[]) => unknown,
>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void;
