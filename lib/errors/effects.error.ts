import { PgListenerError } from './pg-listener.error.js';

/**
 * The transaction of a `transactional` handler could not be begun, was broken off, or lost against another one: a
 * connection that is gone, a deadlock, a serialization failure. The handler is not to blame: nothing of the call has
 * happened, it is tried again, and that is none of its attempts.
 *
 * @publicApi
 */
export class EffectsInterruptedError extends PgListenerError {
  readonly code = 'PG_LISTENER_EFFECTS_INTERRUPTED';

  override get fatal(): boolean {
    return false;
  }
}

/**
 * A `transactional` handler has done with `context.client` what breaks its promise: ended the transaction, swallowed the
 * error of a statement, or used the client when the call was over.
 *
 * @publicApi
 */
export class TransactionMisuseError extends PgListenerError {
  readonly code = 'PG_LISTENER_TRANSACTION_MISUSE';

  override get fatal(): boolean {
    return false;
  }
}
