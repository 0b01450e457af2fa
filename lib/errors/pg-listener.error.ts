/** Where an error happened and how to mend it. Never holds a secret or a row value. */
export interface PgListenerErrorDetails {
  /** Name of the app (the named listener) that the error belongs to. */
  readonly app?: string;
  /** What to do about it: a sentence or the SQL that mends it. */
  readonly hint?: string;
  /** The error underneath: node-postgres', the system's, or the user's own. */
  readonly cause?: unknown;
}

const MENDING = '\n  How to mend it: ';

/** Puts what follows from an error behind what happened, before how to mend it. */
export function withConsequence({ message }: Error, consequence: string): string {
  const at = message.indexOf(MENDING);
  return at < 0 ? `${message}; ${consequence}` : `${message.slice(0, at)}; ${consequence}${message.slice(at)}`;
}

/**
 * Base of every error that this package throws.
 *
 * `code` is stable and meant for programs; the message says what happened, where, and how to mend it.
 *
 * @publicApi
 */
export abstract class PgListenerError extends Error {
  /** Stable identifier of the kind of error, such as `PG_LISTENER_DECODE`. */
  abstract readonly code: string;
  declare readonly app: string | undefined;
  declare readonly hint: string | undefined;

  constructor(message: string, details: PgListenerErrorDetails = {}) {
    // With one app, which has no name of its own, there is no question which.
    const where = details.app === undefined || details.app === 'default' ? '' : ` [app "${details.app}"]`;
    const mend = details.hint === undefined ? '' : `${MENDING}${details.hint}`;
    super(`${message}${where}${mend}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    // Not enumerable: the message says both already, and Node would print them again below the stack.
    Object.defineProperties(this, { app: { value: details.app }, hint: { value: details.hint } });
  }

  /** True where trying again cannot help: the app halts and waits for a person. */
  get fatal(): boolean {
    return true;
  }
}
