import { isBroken, sqlState } from '../../errors/sql-state.js';

/** Lost against another transaction: a serialization failure, a deadlock. */
const LOST = new Set(['40001', '40P01']);
/** The server has no room for it now. */
const NO_ROOM = /^53/;
/** An ORM wraps the driver's error in one of its own, and that in another one. */
const DEEPEST = 5;

/** Whether another transaction was to blame, however deep an ORM has wrapped the driver's error. */
export function hasLost(error: unknown): boolean {
  let each: unknown = error;
  for (let depth = 0; depth < DEEPEST && typeof each === 'object' && each !== null; depth++) {
    const { code, cause, driverError } = each as { code?: unknown; cause?: unknown; driverError?: unknown };
    if (typeof code === 'string' && LOST.has(code)) return true;
    each = cause ?? driverError;
  }
  return false;
}

/** Whether a COMMIT that failed says nothing about the handler: a deferred constraint or trigger would. */
export function isCommitInterrupted(error: unknown): boolean {
  const state = sqlState(error);
  return isBroken(error) || LOST.has(state) || NO_ROOM.test(state) || state.startsWith('57');
}

/** Whether a statement of ours had no answer in its time. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}
