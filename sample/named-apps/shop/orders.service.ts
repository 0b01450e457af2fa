import { Injectable } from '@nestjs/common';
import type { Order } from './order.js';
import { ShopDatabase } from './shop.database.js';

@Injectable()
export class OrdersService {
  constructor(private readonly database: ShopDatabase) {}

  list(): Promise<Order[]> {
    return this.database.query<Order & Record<string, unknown>>('SELECT * FROM orders ORDER BY id');
  }

  /** One row in the shop's database. Nothing here tells billing of it: the server's log does. */
  pay(id: number): Promise<boolean> {
    return this.touches("UPDATE orders SET status = 'paid' WHERE id = $1 RETURNING id", [id]);
  }

  /** May run twice: it sets one column, always to the same value. */
  setInvoice(id: number, number: number): Promise<boolean> {
    return this.touches('UPDATE orders SET invoice = $2 WHERE id = $1 RETURNING id', [id, number]);
  }

  private async touches(sql: string, values: unknown[]): Promise<boolean> {
    return (await this.database.query(sql, values)).length > 0;
  }
}
