import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { PgListener, type PgListenerHealth } from 'nestjs-pg-listener';
import { Database } from '../database.js';

interface CustomerTotals {
  readonly customer: string;
  readonly orders: number;
  readonly lines: number;
  readonly amount: string;
}

/** Customers whose totals are not what the write model has at the same moment. */
const WRONG = `
  WITH truth AS (
    SELECT customer, sum(orders)::int AS orders, sum(lines)::int AS lines, sum(amount) AS amount FROM (
      SELECT customer, 1 AS orders, 0 AS lines, 0 AS amount FROM orders
      UNION ALL
      SELECT customer, 0, 1, quantity * price FROM order_lines
    ) AS each
    GROUP BY customer
  )
  SELECT customer, to_json(truth) AS truth, to_json(totals) AS totals
  FROM truth FULL JOIN customer_totals AS totals USING (customer)
  WHERE (coalesce(truth.orders, 0), coalesce(truth.lines, 0), coalesce(truth.amount, 0))
    <> (coalesce(totals.orders, 0), coalesce(totals.lines, 0), coalesce(totals.amount, 0))
  ORDER BY customer`;

@Controller()
export class TotalsController {
  constructor(
    private readonly database: Database,
    private readonly listener: PgListener,
  ) {}

  /** The read model: what it is there for. */
  @Get('totals')
  totals(): Promise<CustomerTotals[]> {
    return this.database.query('SELECT * FROM customer_totals ORDER BY amount DESC');
  }

  /** What the read model saves: both models, held against each other. The projection may be a moment behind. */
  @Get('check')
  async check(): Promise<{ right: boolean; repeats: number; wrong: unknown[] }> {
    const wrong = await this.database.query(WRONG);
    // Changes that came again after a crash, and were in the totals already.
    const { repeats } = this.listener.stats();
    return { right: wrong.length === 0, repeats, wrong };
  }

  /** 503 where the projection does not go on, and why. */
  @Get('health')
  health(): PgListenerHealth {
    const health = this.listener.health();
    if (health.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }
}
