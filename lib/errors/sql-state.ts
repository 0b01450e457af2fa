import { asError } from './as-error.js';
import { PgListenerError } from './pg-listener.error.js';

/** The server's code of an error, or ''. */
export function sqlState(error: unknown): string {
  const { code } = asError(error) as { code?: unknown };
  // The system's codes (EPIPE) have no digit.
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : '';
}

/** Whether the connection is of no use any more: it broke, or does not answer. What the server refuses leaves it as it is. */
export function isBroken(error: unknown): boolean {
  if (error instanceof PgListenerError) return false;
  const state = sqlState(error);
  return state === '' || state.startsWith('08') || state.startsWith('57P');
}

/** The connection, not the question: worth asking again. 53: the server has no room for it now. */
export function isPassing(error: unknown): boolean {
  return error instanceof PgListenerError || isBroken(error) || sqlState(error).startsWith('53');
}
