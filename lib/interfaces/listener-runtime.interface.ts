import type { PgListenerState, PgListenerStats } from './status.interface.js';

/** What a `PgListener` drives once the application has initialised. */
export interface ListenerRuntime {
  start(): Promise<void>;
  stop(): Promise<void>;
  stats(state: PgListenerState): PgListenerStats;
  /** The handler that has used up its attempts and holds the position, where there is one. */
  readonly blockedHandler: string | null;
}
