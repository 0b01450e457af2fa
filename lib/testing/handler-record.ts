import type { Change } from '../interfaces/change.interface.js';
import type { SchemaChange } from '../interfaces/schema-change.interface.js';
import type { LogicalMessage, Transaction } from '../interfaces/transaction.interface.js';

/**
 * What has become of one thing that a handler was called with.
 *
 * | outcome | meaning |
 * |---|---|
 * | running | the call has not ended |
 * | handled | the method has returned, and what it returned has resolved |
 * | failed | it has thrown, and nobody has decided yet, or the test was told (`emit` rejects) |
 * | retried | it has thrown, and is or will be tried again: a later record tells of that try |
 * | parked | it is kept for later; attempt 0: it was not tried, for it waits behind another one |
 * | skipped, halted | it has thrown, and its policy or its verdict was that |
 */
export type HandlerOutcome = 'running' | 'handled' | 'failed' | 'retried' | 'parked' | 'skipped' | 'halted';

/** One try of one handler with one change; of a call with an array, one for each item. */
export interface HandlerRecord<Row = any> {
  /** The handler's id, such as `OrdersHandler.onCreated`. */
  readonly handler: string;
  readonly subject: Change<Row> | LogicalMessage | Transaction | SchemaChange;
  /** From 1; 0: the handler was not called. */
  readonly attempt: number;
  readonly outcome: HandlerOutcome;
  /** What was thrown; undefined: nothing. */
  readonly error: unknown;
}
