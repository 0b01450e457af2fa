import type { GapKind } from './gap.interface.js';
import type { HandlerStats } from './handler-stats.interface.js';
import type { SlotStats } from './slot-stats.interface.js';

/**
 * idle: not started. connecting: checks, publications, slot. streaming. standby: another process holds the slot.
 * backing-off: waits before the next try. halted: a fault that trying again cannot mend. stopped: by `stop()` or close.
 */
export type PgListenerState = 'idle' | 'connecting' | 'streaming' | 'standby' | 'backing-off' | 'halted' | 'stopped';

export interface PgListenerStatus {
  readonly app: string;
  readonly state: PgListenerState;
  readonly since: Date;
  /** Why, where the state is `backing-off` or `halted`. */
  readonly error?: Error;
  /** Who holds the slot, where the state is `standby`. */
  readonly heldBy?: string;
  /** Milliseconds until the next try, where the state is `backing-off`. */
  readonly retryInMs?: number;
}

export interface PgListenerHealth {
  readonly app: string;
  /** up: streaming, standing by, or switched off. down: everything else. */
  readonly status: 'up' | 'down';
  readonly state: PgListenerState;
  /** The message of the error that holds the app, or of the handler that fails just now. */
  readonly reason?: string;
}

/** Counts since the process started; positions as `X/Y`, null before the first. */
export interface PgListenerStats {
  readonly app: string;
  readonly state: PgListenerState;
  /** Row changes that the publications brought, handled or not; what came again on a later connection counts again. */
  readonly changesReceived: number;
  /** Row changes that every handler of theirs has finished. */
  readonly changesHandled: number;
  readonly transactionsReceived: number;
  /** Handler calls that failed. */
  readonly failures: number;
  /** Changes that were passed over by policy, or because the handler said so: once for each handler. */
  readonly skipped: number;
  /** Changes that are parked for a handler now; known to the process that streams, and 0 where the app stands by. */
  readonly parked: number;
  /** Changes that came again to `transactional` handlers, which had done them already, and were not called. */
  readonly repeats: number;
  readonly reconnects: number;
  /** Changes received and unfinished. */
  readonly pendingChanges: number;
  readonly pendingBytes: number;
  /** Transactions received and not settled. */
  readonly unsettledTransactions: number;
  readonly inProgress: InProgressStats;
  /**
   * Seconds since the oldest change was committed that is not finished, by this process' clock and the server's; 0 where
   * none is known. While there is no stream: since the last one was up to date. Null: there has been no stream yet, another
   * process has it, or it was stopped.
   */
  readonly lagSeconds: number | null;
  readonly gaps: GapStats;
  /** By their order of discovery. */
  readonly handlers: readonly HandlerStats[];
  /** As `measure()` found it last. Null: nobody has asked, it could not be reached, or there is none. */
  readonly slot: SlotStats | null;
  /** Why it is null, where the server was asked. */
  readonly slotProblem: string | null;
  readonly confirmedLsn: string | null;
  readonly receivedLsn: string | null;
}

export interface GapStats {
  /** Told since the process started, those that were open before it among them. */
  readonly found: Readonly<Record<GapKind, number>>;
  /** Those that no stream has begun behind. */
  readonly open: number;
}

/** What is kept of transactions that have not ended, or that are being handed over (`streaming`, `twoPhase`). */
export interface InProgressStats {
  readonly transactions: number;
  readonly memoryBytes: number;
  /** In the folder for temporary files. */
  readonly diskBytes: number;
}
