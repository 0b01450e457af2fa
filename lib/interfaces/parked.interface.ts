import type { Change, Operation } from './change.interface.js';
import type { LogicalMessage } from './transaction.interface.js';

/** Which parked changes are meant: all conditions that are given hold together; none means all. */
export interface ParkedFilter {
  /** `ParkedChange.id`. */
  readonly ids?: readonly string[];
  /** A handler's id. */
  readonly handler?: string;
  /** `orders` (= `public.orders`) or `schema.table`. */
  readonly table?: string;
  /** Of `list`: at most so many, the oldest. @default 1000 */
  readonly limit?: number;
}

/** One change that is parked for one handler. */
export interface ParkedChange {
  /** A number as text; grows in the order of parking. */
  readonly id: string;
  readonly app: string;
  readonly handler: string;
  /** The change as the handler would get it, or the logical message. */
  readonly change: Change | LogicalMessage;
  /** Null: a message. */
  readonly table: string | null;
  readonly operation: Operation | null;
  /** What it holds up: values of the primary key as text, both where the key changed; `*`: the whole table. */
  readonly keys: readonly string[];
  /** Of the last try; null where it waits behind an earlier change of its key. */
  readonly error: string | null;
  readonly attempts: number;
  readonly parkedAt: Date;
  readonly lastAttemptAt: Date | null;
}

/** What became of a retry. */
export interface ParkedOutcome {
  /** Handled now, and parked no more. */
  readonly handled: number;
  /** Tried once more in vain. */
  readonly failed: number;
  /** Left to the process that streams, which does it within about a second. */
  readonly requested: number;
}

/** The parked changes of an app: `listener.parked`. */
export interface ParkedChanges {
  /** Oldest first. */
  list(filter?: ParkedFilter): Promise<ParkedChange[]>;
  count(filter?: ParkedFilter): Promise<number>;
  /**
   * Hands them to their handlers again, once each, in order: what waits behind a key follows where the one before it
   * succeeds. Where another process streams, it is asked to do so.
   *
   * Do not await it in a handler: it waits for the handler.
   *
   * @throws LifecycleError where the app stops, or loses its stream, in the middle: what was not handled stays parked
   */
  retry(filter?: ParkedFilter): Promise<ParkedOutcome>;
  /** Takes them out, unhandled, for good. What waited behind them is no longer held by them. @returns how many */
  discard(filter: ParkedFilter): Promise<number>;
}
