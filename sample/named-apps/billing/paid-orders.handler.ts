import { Injectable, Logger } from '@nestjs/common';
import { OnTableChange, type UpdateChange } from 'nestjs-pg-listener';
import { Orders, type Order } from '../shop/order.js';
import { InvoicesService } from './invoices.service.js';

/** From shop to billing: a paid order gets an invoice. */
@Injectable()
export class PaidOrdersHandler {
  private readonly logger = new Logger(PaidOrdersHandler.name);

  constructor(private readonly invoices: InvoicesService) {}

  /** At least once: after a crash the same change comes again, so the second time must find nothing to do. */
  @OnTableChange(Orders, 'update')
  async onUpdated({ record: order }: UpdateChange<Order>): Promise<void> {
    // Billing's answer is an update of the same row: the circle ends here.
    if (order.status !== 'paid' || order.invoice !== null) return;
    const isNew = await this.invoices.writeOnce(order);
    this.logger.log(`Order ${order.id} is paid: ${isNew ? 'wrote its invoice' : 'it has its invoice already'}`);
  }
}
