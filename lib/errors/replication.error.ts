import { PgListenerError } from './pg-listener.error.js';

/** The server cannot be reached, or the connection broke: worth trying again. @publicApi */
export class ConnectionError extends PgListenerError {
  readonly code = 'PG_LISTENER_CONNECTION';

  override get fatal(): boolean {
    return false;
  }
}

/** The server refuses this user, password, database or certificate. @publicApi */
export class AuthenticationError extends PgListenerError {
  readonly code = 'PG_LISTENER_AUTHENTICATION';
}

/** The server is not set up for logical replication, or the role lacks a right. @publicApi */
export class ServerSetupError extends PgListenerError {
  readonly code = 'PG_LISTENER_SERVER_SETUP';
}

/** A publication is missing, or does not fit what the handlers ask for. @publicApi */
export class PublicationError extends PgListenerError {
  readonly code = 'PG_LISTENER_PUBLICATION';
}

/** The replication slot cannot be used. @publicApi */
export class SlotError extends PgListenerError {
  readonly code = 'PG_LISTENER_SLOT';
}

/** The slot is busy: another process streams from it. Not a failure: this process stands by. @publicApi */
export class SlotInUseError extends PgListenerError {
  readonly code = 'PG_LISTENER_SLOT_IN_USE';

  override get fatal(): boolean {
    return false;
  }
}

/** A passing condition on the server, such as an old transaction that holds slot creation up. @publicApi */
export class ServerBusyError extends PgListenerError {
  readonly code = 'PG_LISTENER_SERVER_BUSY';

  override get fatal(): boolean {
    return false;
  }
}

/**
 * Changes may be missing: the slot or the publication is not what it was. Nothing is confirmed until a person has looked.
 *
 * @publicApi
 */
export class GapError extends PgListenerError {
  readonly code = 'PG_LISTENER_GAP';
}

/** The app did not reach the stream within `startup.timeoutMs`. @publicApi */
export class StartupTimeoutError extends PgListenerError {
  readonly code = 'PG_LISTENER_STARTUP_TIMEOUT';
}

/**
 * The binary format cannot give what the text format gives: the app goes on in text, and nobody hears of this but the
 * log. Nothing is lost: the stream begins again where the position is.
 */
export class BinaryFormatError extends PgListenerError {
  readonly code = 'PG_LISTENER_BINARY_FORMAT';

  override get fatal(): boolean {
    return false;
  }
}

/**
 * A value of a composite type has another number of attributes than is known of the type: it was altered. The catalogue is
 * read again, and the stream begins again where the position is; nobody hears of this but the log.
 */
export class OutdatedTypeError extends PgListenerError {
  readonly code = 'PG_LISTENER_OUTDATED_TYPE';

  override get fatal(): boolean {
    return false;
  }
}
