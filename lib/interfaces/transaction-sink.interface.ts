import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { RowChange } from '../changes/change.js';
import type { CommittedTransaction } from '../changes/transaction.js';
import type { WalPosition } from './wal-position.interface.js';

/** What somebody wants of one table. The object lives on; `mask` follows handlers and subscribers. */
export interface TableRoute {
  /** Union of the operation bits. */
  readonly mask: number;
}

/** A stretch of the stream that is confirmed as a whole: a transaction, or a message outside of any. */
export interface DeliveryUnit {
  /** Every handler has succeeded. Called once. */
  settle(): void;
}

/**
 * The port between replication and events: takes transactions in pieces, in commit order, so that none needs to be in
 * memory as a whole. Nothing here returns a promise: what cannot be handled at once is queued, and `isFull` says when
 * the caller should stop reading.
 */
export interface TransactionSink {
  /** Asked at each Relation message. */
  route(schema: string, table: string): TableRoute;
  /** True where every transaction must be told by `commit`, even one whose rows nobody wants. */
  readonly watchesTransactions: boolean;
  wantsMessage(prefix: string): boolean;
  /** One more change of the open transaction. `bytes`: its size on the wire. */
  change(change: RowChange, route: TableRoute, bytes: number): void;
  message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void;
  commit(transaction: CommittedTransaction, unit: DeliveryUnit): void;
  /** The connection is gone: forget what was not handed to handlers yet; it comes again. What runs, runs on. */
  abort(): void;
  /** Positions known so far mean nothing any more: another cluster, or a promotion. */
  forget(): void;
  /** The last thing that was handed to handlers; it must not be handed over again on the next connection. */
  readonly handedOver: WalPosition | null;
  /** Unfinished work has reached the limits. */
  readonly isFull: boolean;
  /** Called when `isFull` has turned false again. */
  onRoom: () => void;
  /** A new read begins: the sink may use it to bound how long it keeps the event loop. */
  turn(): void;
}
