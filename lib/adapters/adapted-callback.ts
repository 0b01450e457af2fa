import type { HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { TransactionalContext } from '../interfaces/handler.interface.js';
import type { AdapterProviders, TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';

export function isTransactionAdapter(value: unknown): value is TransactionAdapter {
  if (typeof value !== 'object' || value === null) return false;
  const { name, bind } = value as { name?: unknown; bind?: unknown };
  return typeof name === 'string' && typeof bind === 'function';
}

/**
 * The handler's method, with what the adapter makes of the client in its context.
 *
 * @throws Error what the adapter misses in the application
 */
export function adaptWith(
  adapter: TransactionAdapter,
  providers: AdapterProviders,
): (method: HandlerMethod) => HandlerMethod {
  const bound = adapter.bind(providers);
  return (method) =>
    function (this: object, payload, context) {
      const { client } = context as TransactionalContext;
      return method.call(this, payload, { ...(context as TransactionalContext), ...bound.enter(client) });
    };
}
