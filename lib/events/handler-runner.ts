import { isObservable, lastValueFrom } from 'rxjs';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { PgListenerContext } from '../interfaces/handler.interface.js';
import type { OnExhausted } from '../interfaces/pg-listener-options.interface.js';
import type { TransactionContext } from '../interfaces/transaction.interface.js';
import type { RetryPolicy } from './failure-policy.js';

/** What all handlers of an app share. */
export interface AppHandling {
  readonly app: string;
  readonly retry: RetryPolicy;
  readonly onExhausted: OnExhausted;
}

/** Calls one handler; the only place that touches a user's method. */
export class HandlerRunner {
  readonly id: string;
  readonly retry: RetryPolicy;
  readonly onExhausted: OnExhausted;
  private lastTransaction: TransactionContext | undefined;
  private lastContext!: PgListenerContext;

  constructor(
    readonly definition: HandlerDefinition,
    private readonly handling: AppHandling,
  ) {
    this.id = definition.id;
    this.retry = { ...handling.retry, ...definition.retry };
    this.onExhausted = definition.onExhausted ?? handling.onExhausted;
  }

  /**
   * @returns undefined where the handler is done, else a promise of that: a synchronous handler costs none
   * @throws what a synchronous handler throws
   */
  run(
    payload: unknown,
    transaction: TransactionContext,
    attempt: number,
    signal: AbortSignal,
  ): PromiseLike<unknown> | undefined {
    const { callback, instance } = this.definition;
    const result = callback.call(instance, payload, this.context(transaction, attempt, signal));
    if (result === undefined || result === null || typeof result !== 'object') return undefined;
    if (Object.getPrototypeOf(result) === Promise.prototype) return result as Promise<unknown>;
    // Other thenables, such as query builders and promises of a class of their own, may settle twice or at once; a promise of them does not.
    if (typeof (result as PromiseLike<unknown>).then === 'function') return new Promise((settle) => settle(result));
    if (isObservable(result)) return lastValueFrom(result, { defaultValue: undefined });
    return undefined;
  }

  /** One object serves all first attempts in a transaction. */
  private context(transaction: TransactionContext, attempt: number, signal: AbortSignal): PgListenerContext {
    if (attempt > 1) return { app: this.handling.app, handler: this.id, attempt, transaction, signal };
    if (this.lastTransaction !== transaction || this.lastContext.signal !== signal) {
      this.lastTransaction = transaction;
      this.lastContext = { app: this.handling.app, handler: this.id, attempt, transaction, signal };
    }
    return this.lastContext;
  }
}
