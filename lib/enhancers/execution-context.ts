import type { ArgumentsHost } from '@nestjs/common';

/** The type of our execution contexts, beside Nest's own `'http'`, `'rpc'` and `'ws'`. */
export const CONTEXT_TYPE = 'pg-listener';

/**
 * Whether a guard, interceptor, filter or parameter decorator has been called for a handler of this package. The
 * arguments are the change (the array, the transaction, the message, the change of schema) and the `PgListenerContext` then.
 *
 * @example
 * if (isPgListenerContext(context)) {
 *   const [change, { transaction }] = context.getArgs<[Change, PgListenerContext]>();
 * }
 * @publicApi
 */
export function isPgListenerContext(context: ArgumentsHost): boolean {
  return context.getType<string>() === CONTEXT_TYPE;
}
