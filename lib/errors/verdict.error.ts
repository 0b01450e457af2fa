import { PgListenerError } from './pg-listener.error.js';

export interface VerdictDetails {
  /** Why; goes to the log, and with a parked change into its table. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/**
 * What a handler may throw to decide itself what becomes of the change, whatever `retry` and `onExhausted` say. Told
 * apart by `code`, so that two installed copies of the package understand each other.
 */
abstract class Verdict extends PgListenerError {
  constructor(what: string, { reason, cause }: VerdictDetails) {
    super(reason === undefined ? what : `${what}: ${reason}`, { cause });
  }
}

/** Try again, without counting as an attempt: the handler is not to blame. @publicApi */
export class RetryChange extends Verdict {
  readonly code = 'PG_LISTENER_RETRY_CHANGE';
  /** Milliseconds, some 24 days at most; undefined: as `retry` says for the attempt. */
  readonly delayMs: number | undefined;

  constructor(details: VerdictDetails & { readonly delayMs?: number } = {}) {
    super('The handler asks for another try', details);
    this.delayMs = details.delayMs;
  }
}

/** Park it at once, without further attempts. @publicApi */
export class ParkChange extends Verdict {
  readonly code = 'PG_LISTENER_PARK_CHANGE';

  constructor(details: VerdictDetails = {}) {
    super('The handler parks the change', details);
  }
}

/** Pass it over at once: logged and counted. @publicApi */
export class SkipChange extends Verdict {
  readonly code = 'PG_LISTENER_SKIP_CHANGE';

  constructor(details: VerdictDetails = {}) {
    super('The handler skips the change', details);
  }
}

/** Stop the app at once: the position holds, health is down. @publicApi */
export class HaltApp extends Verdict {
  readonly code = 'PG_LISTENER_HALT_APP';

  constructor(details: VerdictDetails = {}) {
    super('The handler halts the app', details);
  }
}

const VERDICTS = new Set(
  ['RETRY_CHANGE', 'PARK_CHANGE', 'SKIP_CHANGE', 'HALT_APP'].map((each) => `PG_LISTENER_${each}`),
);

/** Whether a handler, or what stands around it, has decided itself what becomes of the change. */
export function isVerdict(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && VERDICTS.has(code);
}
