import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Database } from '../database.js';

/** Transactions, one statement each. `random()` is asked anew for each row of a series. */
const PLACE = `
  WITH placed AS (
    INSERT INTO orders (customer) VALUES ('Customer ' || (1 + floor(random() * 20))) RETURNING id, customer
  )
  INSERT INTO order_lines (order_id, line, customer, quantity, price)
  SELECT id, line, customer, 1 + floor(random() * 9), round((random() * 100)::numeric, 2)
  FROM placed, generate_series(1, 3) AS line`;
const CHANGE = `
  UPDATE order_lines SET quantity = quantity + 1, price = price * 0.9
  WHERE order_id = (SELECT id FROM orders ORDER BY random() LIMIT 1)`;
const HAND_OVER = `
  UPDATE orders SET customer = 'Customer ' || (1 + floor(random() * 20))
  WHERE id = (SELECT id FROM orders ORDER BY random() LIMIT 1)`;
const CANCEL = `DELETE FROM orders WHERE id = (SELECT id FROM orders ORDER BY random() LIMIT 1)`;

/** Two orders come for one that goes, so that there is always something to change. */
const DAY = [PLACE, CHANGE, PLACE, HAND_OVER, CANCEL];

/** Customers in a hurry: orders that come, change, go over to another customer, and go. */
@Injectable()
export class RushService implements OnModuleDestroy {
  private isClosing = false;

  constructor(private readonly database: Database) {}

  /** @returns how many transactions there were */
  async rush(transactions: number): Promise<number> {
    let done = 0;
    while (done < transactions && !this.isClosing) await this.database.query(DAY[done++ % DAY.length]!);
    return done;
  }

  onModuleDestroy(): void {
    this.isClosing = true;
  }
}
