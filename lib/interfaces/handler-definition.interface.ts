import type { Operation } from './change.interface.js';
import type { BatchOptions } from './handler.interface.js';
import type { MappedOptions, TableSource } from './orm-table.interface.js';
import type { OnExhausted, RetryOptions } from './pg-listener-options.interface.js';
import type { StandardSchemaV1 } from './standard-schema.interface.js';
import type { TransactionAdapter } from './transaction-adapter.interface.js';

export type HandlerMethod = (this: object, payload: unknown, context: unknown) => unknown;
/** Puts something around a method; what it makes is called as the method is. */
export type Around = (method: HandlerMethod) => HandlerMethod;

/** What a decorator stores on the method, one entry for each decorator. */
export type HandlerMetadata =
  | {
      readonly kind: 'table';
      readonly tables: readonly string[];
      readonly sources: readonly TableSource[];
      readonly operations: readonly Operation[];
      readonly options: StoredHandlerOptions;
    }
  | {
      readonly kind: 'schema';
      readonly tables: readonly string[];
      readonly sources: readonly TableSource[];
      readonly options: StoredHandlerOptions;
    }
  | { readonly kind: 'transaction'; readonly options: StoredHandlerOptions }
  | { readonly kind: 'message'; readonly prefix: string | null; readonly options: StoredHandlerOptions };

export interface StoredHandlerOptions {
  readonly id?: string;
  readonly app?: string;
  readonly retry?: RetryOptions;
  readonly onExhausted?: OnExhausted;
  readonly enabled?: boolean;
  readonly whenChanged?: readonly string[];
  readonly oldRecord?: 'full' | readonly string[];
  readonly concurrency?: number;
  readonly batch?: BatchOptions;
  readonly transactional?: boolean | TransactionAdapter;
  readonly mapped?: boolean | MappedOptions;
  readonly schema?: StandardSchemaV1;
}

/** A decorated method that was found in the application, with everything resolved. */
export interface HandlerDefinition {
  readonly id: string;
  readonly app: string;
  readonly kind: HandlerMetadata['kind'];
  /** Table patterns, of a handler of tables or of their schema. */
  readonly tables: readonly string[];
  readonly operations: readonly Operation[];
  /** Prefix, of a handler of messages; null: all. */
  readonly prefix: string | null;
  /** Columns of which one has to change for an update to be handled; empty: every update is. */
  readonly whenChanged: readonly string[];
  /** What the handler reads of rows as they were. */
  readonly oldRecord: 'full' | readonly string[];
  /** Calls in flight at most; undefined: called in turn with the others. */
  readonly concurrency: number | undefined;
  /** The handler takes arrays. */
  readonly batch: BatchOptions | undefined;
  /** Its effects and the record that they have happened are one transaction. */
  readonly transactional: boolean;
  readonly retry: RetryOptions | undefined;
  readonly onExhausted: OnExhausted | undefined;
  readonly instance: object;
  readonly methodName: string;
  /** What is called, with `instance` for `this`: the method itself, or what `around` makes of it. */
  readonly callback: HandlerMethod;
  /**
   * Puts around a method what was asked for, from without to within: the transaction of an ORM, rows as the ORM has them, a
   * schema, scope, guards, interceptors, pipes, filters. Undefined: nothing was.
   */
  readonly around?: Around | undefined;
}
