import type { Change, ChangeOf, Operation } from '../interfaces/change.interface.js';
import type { Transaction, TransactionSummary } from '../interfaces/transaction.interface.js';
import { TablePattern } from './table-pattern.js';

/** Whether the transaction inserted a row, into `table` where one is named. */
export function hasInsert(transaction: TransactionSummary, table?: string): boolean {
  return transaction.count(table, 'insert') > 0;
}

/** Whether the transaction updated a row, of `table` where one is named. */
export function hasUpdate(transaction: TransactionSummary, table?: string): boolean {
  return transaction.count(table, 'update') > 0;
}

/** Whether the transaction deleted a row, of `table` where one is named. */
export function hasDelete(transaction: TransactionSummary, table?: string): boolean {
  return transaction.count(table, 'delete') > 0;
}

/** Whether the transaction truncated a table, or the one that is named. */
export function hasTruncate(transaction: TransactionSummary, table?: string): boolean {
  return transaction.count(table, 'truncate') > 0;
}

/**
 * The changes of some tables and one operation, in order.
 *
 * @param tables as in `@OnTableChange`, patterns included
 * @example
 * for await (const change of changesOf<Order, 'insert'>(transaction, 'orders', 'insert')) total += change.record.amount;
 */
export async function* changesOf<Row = Record<string, unknown>, O extends Operation = Operation>(
  transaction: Transaction,
  tables: string | readonly string[],
  operation?: O,
): AsyncGenerator<ChangeOf<Row, O>, void, undefined> {
  const pattern = new TablePattern(typeof tables === 'string' ? [tables] : tables);
  for await (const change of transaction.changes) {
    if (operation !== undefined && change.operation !== operation) continue;
    if (pattern.matches(change.schema, change.table)) yield change as Change as ChangeOf<Row, O>;
  }
}
