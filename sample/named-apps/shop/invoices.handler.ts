import { Injectable, Logger } from '@nestjs/common';
import { OnTableChange, type InsertChange, type PgListenerContext } from 'nestjs-pg-listener';
import { Invoices, type Invoice } from '../billing/invoice.js';
import { OrdersService } from './orders.service.js';

/** From billing to shop: an order learns the number of its invoice. */
@Injectable()
export class InvoicesHandler {
  private readonly logger = new Logger(InvoicesHandler.name);

  constructor(private readonly orders: OrdersService) {}

  @OnTableChange(Invoices, 'insert', { app: 'billing' })
  async onWritten({ record: invoice }: InsertChange<Invoice>, { attempt }: PgListenerContext): Promise<void> {
    const isFound = await this.orders.setInvoice(invoice.order_id, invoice.number);
    if (isFound) return this.logger.log(`Order ${invoice.order_id} has invoice ${invoice.number}`);
    // A stream can run ahead of what a query sees, so "not there" may be "not yet": what throws is called again.
    if (attempt < 3) throw new Error(`order ${invoice.order_id} is not there`);
    this.logger.warn(`Order ${invoice.order_id} is gone, invoice ${invoice.number} stays without it`);
  }
}
