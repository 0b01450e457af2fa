import type { PoolClient } from 'pg';

const ADD = `
  INSERT INTO customer_totals AS totals (customer, orders, lines, amount)
  SELECT customer, sum(orders), sum(lines), sum(pieces * price)
  FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::numeric[]) AS each (customer, orders, lines, pieces, price)
  GROUP BY customer
  ORDER BY customer
  ON CONFLICT (customer) DO UPDATE SET
    orders = totals.orders + excluded.orders,
    lines = totals.lines + excluded.lines,
    amount = totals.amount + excluded.amount`;

/**
 * What an array of changes adds to the totals, and takes off them. Sums, which come out wrong where a change counts twice:
 * nothing here would be safe to repeat.
 */
export class Differences {
  private readonly customers: string[] = [];
  private readonly orders: number[] = [];
  private readonly lines: number[] = [];
  private readonly pieces: number[] = [];
  private readonly prices: string[] = [];

  /** @param sign 1: it is there now; -1: it is not there any more */
  order(sign: 1 | -1, customer: string): void {
    this.add(customer, sign, 0, 0, '0');
  }

  line(sign: 1 | -1, customer: string, quantity: number, price: string): void {
    this.add(customer, 0, sign, sign * quantity, price);
  }

  /**
   * One statement for the whole array, and the database does the sums, as it has exact numbers. It takes its rows by the
   * customers' names: calls that run side by side wait for each other, and never in a circle.
   */
  async write(client: PoolClient): Promise<void> {
    await client.query(ADD, [this.customers, this.orders, this.lines, this.pieces, this.prices]);
  }

  private add(customer: string, orders: number, lines: number, pieces: number, price: string): void {
    this.customers.push(customer);
    this.orders.push(orders);
    this.lines.push(lines);
    this.pieces.push(pieces);
    this.prices.push(price);
  }
}
