import { PgListenerError } from '../errors/pg-listener.error.js';

/** The command line says nothing that can be done. */
export class UsageError extends PgListenerError {
  readonly code = 'PG_LISTENER_USAGE';
}
