import type { ContextOf, HandlerDecorator, PlainHandlerOptions } from '../interfaces/handler.interface.js';
import type { LogicalMessage } from '../interfaces/transaction.interface.js';
import type { TransactionAdapter } from '../interfaces/transaction-adapter.interface.js';
import { addHandlerMetadata, storedOptions } from './handler-metadata.js';

/**
 * Calls the method for messages that `pg_logical_emit_message(transactional, prefix, content)` wrote into the log.
 *
 * @param prefix exactly; none for every message
 * @example
 * \@OnLogicalMessage('outbox')
 * async onMessage(message: LogicalMessage) {}
 * @publicApi
 */
export function OnLogicalMessage<const Tx extends boolean | TransactionAdapter = false>(
  prefix?: string,
  options?: PlainHandlerOptions<Tx>,
): HandlerDecorator<LogicalMessage, ContextOf<Tx>> {
  return (target, key, descriptor) =>
    addHandlerMetadata(target, key, descriptor, {
      kind: 'message',
      prefix: prefix ?? null,
      options: storedOptions(options),
    });
}
