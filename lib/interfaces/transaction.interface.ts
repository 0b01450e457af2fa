import type { Change, Operation } from './change.interface.js';

/** Identity of a transaction, as handlers see it in their context. */
export interface TransactionContext {
  /** LSN of the commit, text `X/Y`. */
  readonly lsn: string;
  readonly xid: number;
  readonly commitTimestamp: Date;
  /** Name of the replication origin that the transaction came from; null for one made here. */
  readonly origin: string | null;
}

/** A committed transaction without its rows: what `transactions()` emits. */
export interface TransactionSummary extends TransactionContext {
  readonly app: string;
  /** Changes that the app's publications carried. */
  readonly size: number;
  /** How many of them, of one table or operation where named. Table as in `@OnTableChange`, without patterns. */
  count(table?: string, operation?: Operation): number;
}

/** A whole commit: what `@OnTransaction` handlers take. Valid until the handler settles. */
export interface Transaction extends TransactionSummary {
  /** The changes of subscribed tables, in the order in which they were made. Can be iterated more than once. */
  readonly changes: AsyncIterable<Change>;
}

/** From `pg_logical_emit_message(transactional, prefix, content)`. */
export interface LogicalMessage {
  readonly app: string;
  readonly prefix: string;
  readonly content: Buffer;
  /** `content` as UTF-8 text. */
  readonly text: string;
  /** True: it came with its transaction's commit. False: at once, whatever became of the transaction. */
  readonly transactional: boolean;
  /** LSN of the commit where transactional, else the message's own. Text `X/Y`. */
  readonly lsn: string;
  readonly xid: number | null;
  readonly commitTimestamp: Date | null;
}
