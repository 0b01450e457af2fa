import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { EffectsInterruptedError, TransactionMisuseError } from '../../errors/effects.error.js';
import { PgListenerError } from '../../errors/pg-listener.error.js';
import { sqlState } from '../../errors/sql-state.js';
import { NOT_OURS, NOT_PREPARED } from './call.sql.js';

/** Why calls of an app's handlers come to nothing. */
export class CallErrors {
  constructor(private readonly app: string) {}

  /** The handler is not to blame. */
  interrupted(handler: string, cause: Error): EffectsInterruptedError {
    if (cause instanceof EffectsInterruptedError) return cause;
    const reason = cause instanceof PgListenerError ? cause.message.split('\n', 1)[0]! : cause.message;
    return new EffectsInterruptedError(`The transaction of ${handler} was broken off: ${reason}`, {
      app: this.app,
      cause,
      ...(sqlState(cause) === '42501' ? { hint: `the role needs its rights on the schema ${OWN_SCHEMA} back.` } : {}),
    });
  }

  lostProgress(handler: string): EffectsInterruptedError {
    return new EffectsInterruptedError(`The row of ${handler} is gone from ${OWN_SCHEMA}.progress`, {
      app: this.app,
      hint:
        'restart the app, which makes it anew: what has been done is not known any more, and may be done once more where it ' +
        'comes again.',
    });
  }

  /** What the handler has done to its transaction; anything else is an error of its own, such as a deferred constraint. */
  misuse(handler: string, error: unknown): unknown {
    const { app } = this;
    if (sqlState(error) === '25P02') {
      return new TransactionMisuseError(`Handler ${handler} returned although a statement of it had failed`, {
        app,
        cause: error,
        hint: 'the server has given its transaction up: let the error through, or put a SAVEPOINT before such a statement.',
      });
    }
    if (sqlState(error) === NOT_PREPARED) {
      return new TransactionMisuseError(
        `Handler ${handler} has deallocated what is prepared in the session of its call`,
        {
          app,
          cause: error,
          hint: 'the package has statements of its own there: DEALLOCATE yours by their names.',
        },
      );
    }
    if (sqlState(error) !== NOT_OURS) return error;
    return new TransactionMisuseError(`Handler ${handler} has ended the transaction of its call itself`, {
      app,
      cause: error,
      hint: 'the package commits when the handler returns, and rolls back when it throws; within, use SAVEPOINT.',
    });
  }

  leftOpen(handler: string): TransactionMisuseError {
    return new TransactionMisuseError(`Handler ${handler} returned before a query of it was over`, {
      app: this.app,
      hint: 'wait for every query of `context.client`, and close every cursor.',
    });
  }
}
