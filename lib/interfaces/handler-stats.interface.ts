import type { HandlerMetadata } from './handler-definition.interface.js';

/** Counts of one handler since the process started. What it gets are changes, messages, transactions or changes of a schema. */
export interface HandlerStats {
  /** Its id. */
  readonly handler: string;
  readonly kind: HandlerMetadata['kind'];
  /** What it is done with and returned for, parked ones that were tried again among them. */
  readonly handled: number;
  /** Calls that failed, those that left items of an array undone among them: once for each attempt. */
  readonly failures: number;
  /** Passed over by policy, or because the handler said so. */
  readonly skipped: number;
  /** Parked since the process started. */
  readonly parkings: number;
  /** Parked now; known to the process that streams, and 0 where the app stands by. */
  readonly parked: number;
  /** Calls that run now. */
  readonly inFlight: number;
  /** How long calls took. Null: nobody has asked for it (`timeHandlers`). */
  readonly durations: HandlerDurations | null;
}

/** How long calls took, those that failed included. */
export interface HandlerDurations {
  /** Upper bounds in seconds, inclusive, growing. */
  readonly bounds: readonly number[];
  /** Calls up to each bound and above the one before it; one more for those above the last. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}
