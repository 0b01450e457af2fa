import { table } from 'nestjs-pg-listener';

/** A row of `orders`, as node-postgres reads it: numeric is text, so that no digit is lost. */
export interface Order {
  id: number;
  customer: string;
  amount: string;
  status: string;
  /** Number of its invoice; null until billing has written one. */
  invoice: number | null;
}

/** The table with its row type, for every decorator that names it. */
export const Orders = table<Order>('orders');
