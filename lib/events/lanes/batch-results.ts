import { types } from 'node:util';

/**
 * What a handler says of the items of its array: it may return an array of the same length, in which an `Error`, or
 * `{ status: 'rejected', reason }` as of `Promise.allSettled`, stands for an item that failed, and anything else for one
 * that is done. Everything else that it returns means that all are done.
 *
 * @returns the failed items with their reasons; null: none
 */
export function failedItems<T>(value: unknown, items: readonly T[]): Map<T, unknown> | null {
  if (!Array.isArray(value) || value.length !== items.length) return null;
  let failures: Map<T, unknown> | null = null;
  value.forEach((result: unknown, index) => {
    const isRejection = isRejected(result);
    if (!isRejection && !types.isNativeError(result) && !(result instanceof DOMException)) return;
    failures ??= new Map();
    failures.set(items[index]!, isRejection ? result.reason : result);
  });
  return failures;
}

function isRejected(result: unknown): result is PromiseRejectedResult {
  if (typeof result !== 'object' || result === null) return false;
  // The rows of a table may have a status, too.
  return (result as { status?: unknown }).status === 'rejected' && Object.hasOwn(result, 'reason');
}
