import { BinaryFormatError, type ConnectionError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import { failedInParts } from './in-progress/faults.js';
import type { StartOptions } from './start-command.js';

/** The server's "should not happen" (manual, appendix A). */
const INTERNAL_ERROR = 'XX000';
const UNDEFINED_FUNCTION = '42883';

/**
 * What the server could not do of what it was asked for, and can where it is asked for less.
 *
 * @param asked what the stream that has failed was started with
 * @param wantWhole called where it is not to send parts on the next connection
 * @returns undefined: it has failed for another reason
 */
export function askedForLess(
  error: Error,
  app: string,
  asked: StartOptions | undefined,
  wantWhole: () => void,
): BinaryFormatError | ConnectionError | undefined {
  const code = sqlState(error);
  // A type without a send function, in an array or a row.
  if (code === UNDEFINED_FUNCTION && asked?.format === 'binary') {
    return new BinaryFormatError(`the server cannot write a value in it (${error.message})`, { cause: error });
  }
  // What is rolled back is decoded too, where parts are sent; the server stumbles over some of that, and would each time.
  if (code !== INTERNAL_ERROR || asked?.streaming !== true) return undefined;
  wantWhole();
  return failedInParts(app, error);
}
