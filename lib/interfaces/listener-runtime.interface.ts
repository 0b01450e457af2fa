import type { ParkedChanges } from './parked.interface.js';
import type { GapFilter, PgListenerGap } from './gap.interface.js';
import type { PgListenerState, PgListenerStats } from './status.interface.js';

/** The gaps of an app. */
export interface GapDesk {
  /** Those that no stream has begun behind, as far as the process knows. */
  readonly current: readonly PgListenerGap[];
  list(filter: GapFilter): Promise<PgListenerGap[]>;
  /** Lets the app go on. @returns those that were acknowledged just now */
  acknowledge(ids: readonly string[] | undefined): Promise<PgListenerGap[]>;
}

/** All but what the listener itself counts. */
export type RuntimeStats = Omit<PgListenerStats, 'gaps'>;

/** What a `PgListener` drives once the application has initialised. */
export interface ListenerRuntime {
  start(): Promise<void>;
  stop(): Promise<void>;
  stats(state: PgListenerState): RuntimeStats;
  /** Asks the server about the slot. Never rejects. */
  measure(maxAgeMs: number | undefined): Promise<void>;
  /** From now on, calls of handlers are timed. @param bounds in seconds, growing */
  timeHandlers(bounds: readonly number[]): void;
  readonly parked: ParkedChanges;
  /** Which handler holds the position, and why; null: none does. */
  readonly blocked: string | null;
  /** Undefined: nothing comes from a server. */
  readonly gaps?: GapDesk;
}
