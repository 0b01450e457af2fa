import { Injectable } from '@nestjs/common';
import { Database } from './database.js';
import type { Order } from './order.js';

/** What the page shows at most; it starts from here and goes on by the changes alone. */
const SHOWN = 200;

const INSERT = 'INSERT INTO orders (customer, item, quantity, amount) VALUES ($1, $2, $3, $4)';

/** One step on: new, paid, packed, shipped, delivered. */
const ADVANCE = `UPDATE orders SET updated_at = now(), status = CASE status
  WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'packed' WHEN 'packed' THEN 'shipped' ELSE 'delivered' END`;

const CUSTOMERS = [
  'Ada Lovelace',
  'Alan Turing',
  'Barbara Liskov',
  'Edsger Dijkstra',
  'Grace Hopper',
  'Katherine Johnson',
];
const PRICES = {
  'Chess set': 48.5,
  'Desk lamp': 64,
  'Espresso cups': 9,
  'Fountain pen': 59,
  Notebook: 7.9,
  Teapot: 32,
};

/** Plain SQL. Nothing here tells anybody of a change: the server's log does. */
@Injectable()
export class OrdersService {
  constructor(private readonly database: Database) {}

  list(): Promise<Order[]> {
    return this.database.query<Order & Record<string, unknown>>('SELECT * FROM orders ORDER BY id DESC LIMIT $1', [
      SHOWN,
    ]);
  }

  async create(): Promise<void> {
    await this.database.query(INSERT, someOrder());
  }

  advance(id: number): Promise<boolean> {
    return this.touches(`${ADVANCE} WHERE id = $1 RETURNING id`, id);
  }

  addOne(id: number): Promise<boolean> {
    return this.touches(
      `UPDATE orders SET quantity = quantity + 1, amount = amount + amount / greatest(quantity, 1), updated_at = now()
       WHERE id = $1 RETURNING id`,
      id,
    );
  }

  remove(id: number): Promise<boolean> {
    return this.touches('DELETE FROM orders WHERE id = $1 RETURNING id', id);
  }

  /** Four changes that arrive together, in this order, with one commit LSN; or not at all. */
  async severalInOneTransaction(): Promise<void> {
    await this.database.transaction(async (query) => {
      await query(INSERT, someOrder());
      await query(INSERT, someOrder());
      await query(`${ADVANCE} WHERE id = (SELECT max(id) FROM orders)`);
      await query('DELETE FROM orders WHERE id = (SELECT min(id) FROM orders)');
    });
  }

  private async touches(sql: string, id: number): Promise<boolean> {
    return (await this.database.query(sql, [id])).length > 0;
  }
}

function someOrder(): unknown[] {
  const [item, price] = oneOf(Object.entries(PRICES));
  const quantity = 1 + Math.floor(Math.random() * 5);
  return [oneOf(CUSTOMERS), item, quantity, (price * quantity).toFixed(2)];
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)]!;
}
