import type { PoolClient } from 'pg';
import type { WalPosition } from './wal-position.interface.js';

/**
 * Which log a position belongs to: it means something only within one cluster and one of its histories. Two are the same
 * where they are one object: a server that was put back to an earlier state writes another log under the same names.
 */
export interface StreamHistory {
  readonly systemIdentifier: string;
  readonly timeline: string;
}

/** A stream that has begun, and is ours. */
export interface StreamStart {
  readonly history: StreamHistory;
  /** Null: a slot of its own for each connection. */
  readonly slotName: string | null;
  /** Whatever is committed from here on, it brings. */
  readonly from: bigint;
  /** What its slot has brought before was confirmed up to `from`; false: it has brought nothing, or something was passed over. */
  readonly isContinued: boolean;
}

/** A place in the log, and which log. */
export interface EffectPlace extends WalPosition {
  /** Of the stream that brought it; null: it came from none. */
  readonly history: StreamHistory | null;
}

/** One call of a transactional handler. */
export interface EffectsTask<T> {
  readonly handler: string;
  /** What the call is for, in the order of the stream. */
  readonly places: readonly EffectPlace[];
  /** Of the transaction that brought it. */
  readonly xid: number;
  /** A parked change that is tried again: it is taken out, where others are claimed. */
  readonly parkedId: string | null;
  /** Aborted: whatever has not been committed is rolled back. */
  readonly signal: AbortSignal;
  /**
   * Runs in the transaction that claims. What it throws rolls everything back.
   *
   * @param open indexes of the places that nobody has claimed before; never empty
   */
  readonly body: (client: PoolClient, open: readonly number[]) => Promise<T>;
}

/**
 * The port between events and the source database: effects of handlers, and the record that they have happened, in one
 * transaction.
 */
export interface EffectsStore {
  /**
   * What was claimed of the stream's history is known from here on, and whoever streamed before writes no more.
   *
   * @throws ServerSetupError where the tables are not there, or the progress of a handler is another service's
   */
  open(stream: StreamStart): Promise<void>;
  /**
   * @returns what `body` returns; undefined where there was nothing left to do
   * @throws what `body` throws; EffectsInterruptedError where the handler is not to blame; SlotInUseError where another
   *   process has taken over
   */
  run<T>(task: EffectsTask<T>): Promise<T | undefined>;
  /**
   * Everything that the stream has brought a handler up to here is done: what is claimed one by one becomes a span. Nothing
   * happens where `history` is not that of the stream.
   */
  fold(handler: string, history: StreamHistory, upTo: WalPosition): Promise<void>;
  /** The history of the stream is over: nothing is done in it any more. */
  forget(): void;
  /** End of the log after the last commit of effects; 0 where it does not matter. */
  readonly writtenUpTo: bigint;
  /** What runs is rolled back. */
  close(): Promise<void>;
}
