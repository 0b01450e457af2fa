import { Injectable } from '@nestjs/common';
import { OnTableChange, type ChangeOf, type TransactionalContext, type TruncateChange } from 'nestjs-pg-listener';
import { OrderLines, Orders, type Order, type OrderLine } from '../shop/order.js';
import { Differences } from './differences.js';

type Written<Row> = ChangeOf<Row, 'insert' | 'update' | 'delete'>;

/**
 * From the write model to the read model. `transactional`: the totals and the record that these changes are in them are
 * committed together, through `client`, so that a change counts once, however often it is delivered.
 */
@Injectable()
export class TotalsHandler {
  @OnTableChange(Orders, ['insert', 'update', 'delete'], {
    id: 'orders',
    oldRecord: 'full',
    transactional: true,
    batch: { size: 200, maxWaitMs: 20 },
    concurrency: 2,
  })
  async onOrders(changes: readonly Written<Order>[], { client }: TransactionalContext): Promise<void> {
    const differences = new Differences();
    for (const change of changes) {
      const { before, after } = rowsOf(change);
      if (before) differences.order(-1, before.customer);
      if (after) differences.order(1, after.customer);
    }
    await differences.write(client);
  }

  @OnTableChange(OrderLines, ['insert', 'update', 'delete'], {
    id: 'lines',
    oldRecord: 'full',
    transactional: true,
    batch: { size: 200, maxWaitMs: 20 },
    concurrency: 4,
  })
  async onLines(changes: readonly Written<OrderLine>[], { client }: TransactionalContext): Promise<void> {
    const differences = new Differences();
    for (const change of changes) {
      const { before, after } = rowsOf(change);
      if (before) differences.line(-1, before.customer, before.quantity, before.price);
      if (after) differences.line(1, after.customer, after.quantity, after.price);
    }
    await differences.write(client);
  }

  /** Brings no rows. All that came before it is in the totals by then: it waits for the calls of the other handlers. */
  @OnTableChange([Orders, OrderLines], 'truncate', { id: 'truncate', transactional: true })
  async onTruncate({ table }: TruncateChange, { client }: TransactionalContext): Promise<void> {
    const nothing = table === 'orders' ? 'orders = 0' : 'lines = 0, amount = 0';
    await client.query(`UPDATE customer_totals SET ${nothing}`);
  }
}

/** The row as it was, and as it is. Whole under REPLICA IDENTITY FULL, which the boot has looked at (`oldRecord`). */
function rowsOf<Row>(change: Written<Row>): { before: Row | null; after: Row | null } {
  return {
    before: change.operation === 'insert' ? null : (change.oldRecord as Row),
    after: change.operation === 'delete' ? null : (change.record as Row),
  };
}
