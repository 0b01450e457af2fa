import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { RowChange } from '../changes/change.js';
import type { TableDescription } from '../changes/schema-change.js';
import type { CommittedTransaction } from '../changes/transaction.js';
import type { CaptureImage } from '../changes/wire-image.js';
import type { StreamStart } from './effects-store.interface.js';
import type { WalPosition } from './wal-position.interface.js';

/** A table as the server describes it at a point of the stream. */
export interface RoutedTable {
  readonly schema: string;
  readonly table: string;
  /** Columns whose values tell the rows apart; null: they cannot be told apart by what the server sends. */
  readonly keyColumns: readonly string[] | null;
  /** Changes when the table is described differently. */
  readonly signature: string;
}

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

/** Has a change that lies where it was read. */
export interface Borrower {
  /** The next change is about to be read: what may still be needed of this one has to be captured now. */
  leaveBuffer(): void;
}

/**
 * The port between replication and events: takes transactions in pieces, in commit order, so that none needs to be in
 * memory as a whole. Nothing here returns a promise: what cannot be handled at once is queued, and `isFull` says when
 * the caller should stop reading.
 */
export interface TransactionSink {
  /**
   * Asked at each Relation message; and anew for each description of a transaction that came in parts or was prepared, when
   * that has committed. One object for a table, until it is described differently.
   */
  route(table: RoutedTable): TableRoute;
  /** True where every transaction must be told by `commit`, even one whose rows nobody wants. */
  readonly watchesTransactions: boolean;
  wantsMessage(prefix: string): boolean;
  /** Whether it wants `commit` for a transaction that was handed over on an earlier connection and is not settled yet. */
  holdsTransaction(commitLsn: bigint): boolean;
  /**
   * One more change of the open transaction.
   *
   * @param bytes its size on the wire
   * @param capture copies the change as it came. Null: it came over no wire
   * @returns who may still call `capture`; null: nobody will
   */
  change(change: RowChange, route: TableRoute, bytes: number, capture: CaptureImage | null): Borrower | null;
  message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void;
  /** Whether it wants to be told how tables are described. Does not change. */
  readonly watchesSchemas: boolean;
  /** The changes behind it, of its table, are described so. It comes again on each connection. */
  description(description: TableDescription): void;
  commit(transaction: CommittedTransaction, unit: DeliveryUnit): void;
  /** What comes now would have to wait for something that is not finished. */
  readonly isBusy: boolean;
  /** Called when something has ended and `isBusy` is false; not each time that it turns false. */
  onFree: () => void;
  /** A stream is about to begin: until `open`, what comes is queued. */
  hold(): void;
  /** The stream runs: loads what is parked, and then begins with what has come. */
  open(stream: StreamStart): Promise<void>;
  /** Everything before was handled, by this process or by another one. */
  confirmedUpTo(lsn: bigint): void;
  /** The connection is gone: forget what was not handed to handlers yet; it comes again. What runs, runs on. */
  abort(): void;
  /**
   * The slot is another's for now. What waits for its next try is given up: the other process has it too, and may be
   * past it by the time of the try. It comes again where it has not been confirmed.
   */
  standBy(): void;
  /** Positions known so far mean nothing any more: another cluster, or a promotion. */
  forget(): void;
  /** The last thing that was handed to handlers; it must not be handed over again on the next connection. */
  readonly handedOver: WalPosition | null;
  /**
   * What is settled now may be confirmed when the stream has passed this position: what its handlers have written lies
   * before it. 0: at once.
   */
  readonly writtenUpTo: bigint;
  /** Unfinished work has reached the limits. */
  readonly isFull: boolean;
  /** Called when `isFull` has turned false again. */
  onRoom: () => void;
  /** A new read begins: the sink may use it to bound how long it keeps the event loop. */
  turn(): void;
}
