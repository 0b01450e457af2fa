import { Injectable, Logger } from '@nestjs/common';
import {
  OnTableChange,
  type DeleteChange,
  type InsertChange,
  type PgListenerContext,
  type UpdateChange,
} from 'nestjs-pg-listener';
import type { Order } from './order.js';

/**
 * Where the work belongs that a change must set off: an e-mail, an index, a cache. Called for every commit, in order, at
 * least once; a method that throws is called again, and the position waits for it.
 */
@Injectable()
export class OrdersHandler {
  private readonly logger = new Logger(OrdersHandler.name);

  @OnTableChange<Order>('orders', 'insert')
  onCreated({ record }: InsertChange<Order>): void {
    const { id, customer, quantity, item, amount } = record;
    this.logger.log(`#${id} created: ${customer}, ${quantity} x ${item}, ${amount}`);
  }

  @OnTableChange<Order>('orders', 'update')
  onChanged({ record, oldRecord, changedColumns }: UpdateChange<Order>): void {
    const changes = (changedColumns ?? [])
      .filter((column) => column !== 'updated_at')
      .map((column) => `${column} ${oldRecord?.[column]} -> ${record[column]}`);
    this.logger.log(`#${record.id} changed: ${changes.join(', ') || 'nothing that shows'}`);
  }

  /** A handler may be asynchronous: the next change waits for it. The context tells of the transaction around it. */
  @OnTableChange<Order>('orders', 'delete')
  async onDeleted({ oldRecord }: DeleteChange<Order>, { transaction }: PgListenerContext): Promise<void> {
    this.logger.log(`#${oldRecord?.id} deleted by transaction ${transaction.xid}`);
  }
}
