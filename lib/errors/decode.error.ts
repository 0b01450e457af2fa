import { PgListenerError } from './pg-listener.error.js';

/** Place of the fault in a server message. */
export interface DecodeErrorPlace {
  /** The message's name in the manual, such as `Insert`, or `'0x7f'` for an unknown type byte. */
  readonly messageType: string;
  /** Byte offset from the start of the message. */
  readonly offset: number;
  readonly cause?: unknown;
  /** What to do about it, where that is known. @default to report it */
  readonly hint?: string;
}

/**
 * A message of the server is malformed, truncated or unknown. The stream halts; nothing is confirmed or skipped.
 *
 * @publicApi
 */
export class DecodeError extends PgListenerError {
  readonly code = 'PG_LISTENER_DECODE';
  readonly messageType: string;
  readonly offset: number;

  constructor(what: string, place: DecodeErrorPlace) {
    super(`Cannot decode ${place.messageType} message at byte ${place.offset}: ${what}`, {
      cause: place.cause,
      hint:
        'nothing was confirmed past the last handled transaction. ' +
        (place.hint ?? 'If this is not a user-set type parser that threw, please report it with the server version.'),
    });
    this.messageType = place.messageType;
    this.offset = place.offset;
  }
}
