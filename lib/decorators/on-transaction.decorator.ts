import type { ContextOf, HandlerDecorator, PlainHandlerOptions } from '../interfaces/handler.interface.js';
import type { Transaction } from '../interfaces/transaction.interface.js';
import type { TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';
import { addHandlerMetadata, storedOptions } from './handler-metadata.js';

/**
 * Calls the method for every committed transaction, in order, after the row handlers of its changes. The transaction
 * is valid until the method settles. One that exceeds `limits` cannot be held whole: the app halts and says so.
 *
 * @example
 * \@OnTransaction()
 * async onCommit(transaction: Transaction) {
 *   for await (const change of transaction.changes) {}
 * }
 * @publicApi
 */
export function OnTransaction<const Tx extends boolean | TransactionAdapter = false>(
  options?: PlainHandlerOptions<Tx>,
): HandlerDecorator<Transaction, ContextOf<Tx>> {
  return (target, key, descriptor) =>
    addHandlerMetadata(target, key, descriptor, { kind: 'transaction', options: storedOptions(options) });
}
