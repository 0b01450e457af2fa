import { PgListenerError, type PgListenerErrorDetails } from './pg-listener.error.js';

/** A handler, or its policy, halts the app: the position holds, and the change comes again after the next start. @publicApi */
export class HandlerHaltError extends PgListenerError {
  readonly code = 'PG_LISTENER_HANDLER_HALT';
}

/** A change cannot be parked: the table of parked changes is not there, or takes no writes. @publicApi */
export class ParkingError extends PgListenerError {
  readonly code = 'PG_LISTENER_PARKING';
  /** The table is not there, or this role may not use it: nothing can be parked, and no other try mends that. */
  declare readonly isTableMissing: boolean;

  constructor(message: string, details: PgListenerErrorDetails & { readonly isTableMissing?: boolean } = {}) {
    super(message, details);
    Object.defineProperty(this, 'isTableMissing', { value: details.isTableMissing === true });
  }

  override get fatal(): boolean {
    return false;
  }
}

/**
 * What is above `limits` cannot be kept on disk: a transaction for `@OnTransaction`, or those that are in progress, with
 * `streaming`.
 *
 * @publicApi
 */
export class SpillError extends PgListenerError {
  readonly code = 'PG_LISTENER_SPILL';
}

/** A filter of `listener.parked` that means nothing. @publicApi */
export class ParkedFilterError extends PgListenerError {
  readonly code = 'PG_LISTENER_PARKED_FILTER';
}
