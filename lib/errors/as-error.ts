import { types } from 'node:util';

/**
 * Whatever was thrown, as an Error. Not by `instanceof`: under a test runner with a context of its own (Jest), Node's
 * own errors are instances of another `Error`.
 */
export function asError(thrown: unknown): Error {
  try {
    if (types.isNativeError(thrown) && typeof thrown.message === 'string') return thrown;
    return new Error(String(thrown));
  } catch {
    return new Error('something that cannot be told as text was thrown');
  }
}
