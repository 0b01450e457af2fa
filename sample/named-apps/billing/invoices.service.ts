import { Injectable } from '@nestjs/common';
import type { Order } from '../shop/order.js';
import { BillingDatabase } from './billing.database.js';

@Injectable()
export class InvoicesService {
  constructor(private readonly database: BillingDatabase) {}

  /** May run twice: the second time the key is there already. @returns whether this call wrote it */
  async writeOnce({ id, customer, amount }: Order): Promise<boolean> {
    const written = await this.database.query(
      `INSERT INTO invoices (order_id, customer, amount) VALUES ($1, $2, $3)
       ON CONFLICT (order_id) DO NOTHING RETURNING number`,
      [id, customer, amount],
    );
    return written.length > 0;
  }
}
