import { isObservable, lastValueFrom } from 'rxjs';

/** What a method returned, as a value or a promise of this realm: an Observable when it completes, with its last value. */
export function settledResult(result: unknown): unknown {
  if (result === undefined || result === null || typeof result !== 'object') return result;
  if (Object.getPrototypeOf(result) === Promise.prototype) return result;
  // Other thenables, such as query builders and promises of a class of their own, may settle twice or at once; a promise of them does not.
  if (typeof (result as PromiseLike<unknown>).then === 'function') return new Promise((settle) => settle(result));
  if (isObservable(result)) return lastValueFrom(result, { defaultValue: undefined });
  return result;
}

export function isPromise(result: unknown): result is Promise<unknown> {
  return typeof result === 'object' && result !== null && Object.getPrototypeOf(result) === Promise.prototype;
}
