import type pg from 'pg';
import type { Random } from '../faults/random.js';
import { withClient } from './database.js';
import { sleep } from './wait.js';

const CUSTOMERS = 12;
/** An UPDATE of one order and a DELETE of another may meet in a circle through the foreign key. */
const DEADLOCK = '40P01';

/** Writers of `orders` and `order_lines`, as the sample projection has them, beside the application. */
export class OrderLoad {
  committed = 0;
  rolledBack = 0;
  private isOpen = true;
  private newest = 0;

  constructor(
    private readonly url: string,
    private readonly random: Random,
  ) {}

  /** Resolves when all have stopped after `stop()`. */
  async run(writers: number): Promise<void> {
    await Promise.all(Array.from({ length: writers }, () => withClient(this.url, (client) => this.write(client))));
  }

  stop(): void {
    this.isOpen = false;
  }

  async truncate(): Promise<void> {
    await withClient(this.url, (client) => client.query('TRUNCATE orders, order_lines'));
  }

  private async write(client: pg.Client): Promise<void> {
    const { random } = this;
    while (this.isOpen) {
      // Not more than is handled meanwhile: else everything would be far behind all the time.
      await sleep(4);
      await client.query('BEGIN');
      try {
        const steps = random.between(1, 4);
        for (let step = 0; step < steps; step++) await this.step(client);
        const isKept = random.chance(0.85);
        await client.query(isKept ? 'COMMIT' : 'ROLLBACK');
        if (isKept) this.committed++;
        else this.rolledBack++;
      } catch (error) {
        await client.query('ROLLBACK');
        if ((error as { code?: string }).code !== DEADLOCK) throw error;
        this.rolledBack++;
      }
    }
  }

  private async step(client: pg.Client): Promise<void> {
    const { random } = this;
    const customer = `Customer ${random.below(CUSTOMERS)}`;
    const some = random.between(Math.max(1, this.newest - 60), Math.max(1, this.newest));
    const what = random.next();
    if (what < 0.45) {
      const { rows } = await client.query('INSERT INTO orders (customer) VALUES ($1) RETURNING id', [customer]);
      const [{ id }] = rows;
      await client.query(
        `INSERT INTO order_lines SELECT $1::int, line, $2, 1 + $1::int % 7, ($1::int * line % 999) / 100.0
         FROM generate_series(1, $3::int) AS line`,
        [id, customer, random.below(6)],
      );
      this.newest = Math.max(this.newest, id);
    } else if (what < 0.65) {
      await client.query('UPDATE order_lines SET quantity = quantity + 1, price = price + 0.01 WHERE order_id = $1', [
        some,
      ]);
    } else if (what < 0.8) {
      await client.query('UPDATE orders SET customer = $2 WHERE id = $1', [some, customer]);
    } else if (what < 0.9) {
      await client.query('DELETE FROM order_lines WHERE order_id = $1 AND line > 2', [some]);
    } else {
      await client.query('DELETE FROM orders WHERE id = $1', [some]);
    }
  }
}
