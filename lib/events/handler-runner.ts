import type { RowChange } from '../changes/change.js';
import type { CommittedTransaction, TransactionInfo } from '../changes/transaction.js';
import { placeOfCommit } from '../changes/wal-position.js';
import type { RoutedTable } from '../interfaces/transaction-sink.interface.js';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { PgListenerContext, TransactionalContext } from '../interfaces/handler.interface.js';
import type { OnExhausted } from '../interfaces/pg-listener-options.interface.js';
import type { EffectPlace } from '../interfaces/effects-store.interface.js';
import { failedItems } from './lanes/batch-results.js';
import type { RetryPolicy } from './failure-policy.js';
import { isPromise, settledResult } from './settled-result.js';
import type { TransactionalCalls } from './effects/transactional-calls.js';
import type { Transaction } from '../interfaces/transaction.interface.js';
import { callChannel } from '../diagnostics/channels.js';
import { CallTimes, HandlerTally } from './handler-tally.js';
import { watchedCall } from './watched-call.js';
import type { ToastFiller } from './toast-filler.js';
import type { ParkedIndex } from './parked/parked-index.js';

const ONE_ITEM = [0] as const;

/** What all handlers of an app share. */
export interface AppHandling {
  readonly app: string;
  readonly retry: RetryPolicy;
  readonly onExhausted: OnExhausted;
  /** Null: what the server did not send is not asked for. */
  readonly toast: ToastFiller | null;
}

/** A change, its table as it is described, and whose row it is of. */
export interface KeyedChange {
  readonly change: RowChange;
  readonly route: { readonly table: RoutedTable };
  readonly keys: readonly string[];
}

/** Takes the changes of a handler that gave up the order of calls, or wants them by the array. */
export interface ChangeLanes {
  submit(work: KeyedChange): void;
  /** Calls that run now. */
  readonly running: number;
}

/** Calls one handler; the only place that touches a user's method. */
export class HandlerRunner {
  readonly id: string;
  readonly retry: RetryPolicy;
  readonly onExhausted: OnExhausted;
  /** Null: it is called in turn with the others. */
  lanes: ChangeLanes | null = null;
  /** Null: nothing is parked for it. */
  parked: ParkedIndex | null = null;
  /** Null: its calls are in no transaction of ours. */
  effects: TransactionalCalls | null = null;
  /** Null: nobody wants to know how long its calls take. */
  times: CallTimes | null = null;
  readonly tally = new HandlerTally();
  private lastTransaction: TransactionInfo | undefined;
  private lastContext!: PgListenerContext;

  constructor(
    readonly definition: HandlerDefinition,
    private readonly handling: AppHandling,
  ) {
    this.id = definition.id;
    this.retry = { ...handling.retry, ...definition.retry };
    this.onExhausted = definition.onExhausted ?? handling.onExhausted;
  }

  /** Whether the change has to wait behind one that is parked. */
  mustWait(work: KeyedChange): boolean {
    return this.parked !== null && this.parked.holds(work.route.table, work.keys);
  }

  /**
   * One call for one thing; where the handler takes arrays, for an array of one.
   *
   * @param parkedId of a parked change that is tried again; null: it comes from the stream
   * @returns undefined where the handler is done, else a promise of that: a synchronous handler costs none
   * @throws what a synchronous handler throws
   */
  run(
    payload: unknown,
    transaction: TransactionInfo,
    attempt: number,
    signal: AbortSignal,
    parkedId: string | null = null,
  ): PromiseLike<unknown> | undefined {
    const result = this.call(payload, transaction, attempt, signal, parkedId);
    if (this.definition.batch === undefined) return isPromise(result) ? result : undefined;
    return isPromise(result) ? result.then(refuseFailed) : refuseFailed(result);
  }

  /** The same, where what the handler returns says something. @returns it, or a promise of it */
  call(
    payload: unknown,
    transaction: TransactionInfo,
    attempt: number,
    signal: AbortSignal,
    parkedId: string | null = null,
  ): unknown {
    if (this.times === null && !callChannel.hasSubscribers) {
      return this.callUnwatched(payload, transaction, attempt, signal, parkedId);
    }
    const message = { app: this.handling.app, handler: this.id, kind: this.definition.kind, attempt, payload };
    const call = (): unknown => this.callUnwatched(payload, transaction, attempt, signal, parkedId);
    return watchedCall(this.times, message, call);
  }

  /** From now on, calls are timed. @param bounds as `HandlerDurations` has them */
  time(bounds: readonly number[]): void {
    this.times ??= new CallTimes(bounds);
  }

  private callUnwatched(
    payload: unknown,
    transaction: TransactionInfo,
    attempt: number,
    signal: AbortSignal,
    parkedId: string | null,
  ): unknown {
    const { toast } = this.handling;
    if (toast === null) return this.callWith(payload, transaction, attempt, signal, parkedId);
    const filled =
      this.definition.kind === 'transaction' ? fillWhole(toast, payload, signal) : toast.complete(payload, signal);
    if (!isPromise(filled)) return this.callWith(filled, transaction, attempt, signal, parkedId);
    return filled.then((whole) => this.callWith(whole, transaction, attempt, signal, parkedId));
  }

  private callWith(
    payload: unknown,
    transaction: TransactionInfo,
    attempt: number,
    signal: AbortSignal,
    parkedId: string | null,
  ): unknown {
    if (this.effects !== null)
      return this.callInTransaction(this.effects, payload, transaction, attempt, signal, parkedId);
    return this.invoke(payload, this.context(transaction, attempt, signal));
  }

  private callInTransaction(
    effects: TransactionalCalls,
    payload: unknown,
    transaction: TransactionInfo,
    attempt: number,
    signal: AbortSignal,
    parkedId: string | null,
  ): Promise<unknown> {
    const { batch, kind } = this.definition;
    const context = { app: this.handling.app, handler: this.id, attempt, transaction, signal };
    const one = kind === 'transaction' ? placeOfCommit(transaction) : (payload as EffectPlace);
    return effects.run({
      items: batch === undefined ? [one] : (payload as readonly EffectPlace[]),
      xid: transaction.xid,
      parkedId,
      signal,
      invoke: (client, items) => {
        const given = batch === undefined ? payload : items;
        return this.invoke(given, { ...context, client });
      },
    });
  }

  private invoke(payload: unknown, context: PgListenerContext | TransactionalContext): unknown {
    const { callback, instance } = this.definition;
    return settledResult(callback.call(instance, payload, context));
  }

  /** One object serves all first attempts in a transaction. */
  private context(transaction: TransactionInfo, attempt: number, signal: AbortSignal): PgListenerContext {
    if (attempt > 1) return { app: this.handling.app, handler: this.id, attempt, transaction, signal };
    if (this.lastTransaction !== transaction || this.lastContext.signal !== signal) {
      this.lastTransaction = transaction;
      this.lastContext = { app: this.handling.app, handler: this.id, attempt, transaction, signal };
    }
    return this.lastContext;
  }
}

function fillWhole(toast: ToastFiller, payload: unknown, signal: AbortSignal): unknown {
  return (payload as CommittedTransaction).withChanges(toast.changesOf(payload as Transaction, signal));
}

/** What a handler of arrays returns may say that the only item has failed. */
function refuseFailed(result: unknown): undefined {
  const failures = failedItems(result, ONE_ITEM);
  if (failures !== null) throw failures.get(ONE_ITEM[0]);
}
