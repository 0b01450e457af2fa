import { PgListenerError } from '../errors/pg-listener.error.js';

/** The command line says nothing that can be done. */
export class UsageError extends PgListenerError {
  readonly code = 'PG_LISTENER_USAGE';
}

/** What was asked for cannot be put where it was asked for. */
export class OutputError extends PgListenerError {
  readonly code = 'PG_LISTENER_OUTPUT';
}
