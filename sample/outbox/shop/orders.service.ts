import { Injectable } from '@nestjs/common';
import { Database } from '../database.js';
import { OutboxService } from './outbox.service.js';

interface OrderRow {
  readonly id: number;
  readonly item: string;
  readonly quantity: number;
}

/** Each method is one transaction: rows, and the event that tells of them. */
@Injectable()
export class OrdersService {
  constructor(
    private readonly database: Database,
    private readonly outbox: OutboxService,
  ) {}

  /**
   * @returns the order's id
   * @throws DatabaseError of the constraint where there is not enough of it in stock, or no such item
   */
  place(item: string, quantity: number): Promise<number> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<OrderRow>(
        'INSERT INTO orders (item, quantity) VALUES ($1, $2) RETURNING id',
        [item, quantity],
      );
      const { id } = rows[0]!;
      await this.outbox.write(client, { type: 'order.placed', order: id, item, quantity });
      // Fails where there is not enough. The event is written by then, and is rolled back with the order.
      await client.query('UPDATE stock SET available = available - $2 WHERE item = $1', [item, quantity]);
      return id;
    });
  }

  /** @returns whether there was such an order, still to be shipped */
  ship(id: number): Promise<boolean> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<OrderRow>(
        `UPDATE orders SET status = 'shipped' WHERE id = $1 AND status = 'placed' RETURNING item, quantity`,
        [id],
      );
      for (const { item, quantity } of rows) {
        await this.outbox.write(client, { type: 'order.shipped', order: id, item, quantity });
      }
      return rows.length > 0;
    });
  }
}
