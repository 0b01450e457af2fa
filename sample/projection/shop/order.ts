import { table } from 'nestjs-pg-listener';

/** A row of `orders`. */
export interface Order {
  readonly id: number;
  readonly customer: string;
}

/**
 * A row of `order_lines`. It says whose it is, as a change brings its own row and nothing else: a handler that asked `orders`
 * for the customer would get today's, or none where the order is gone.
 */
export interface OrderLine {
  readonly order_id: number;
  readonly line: number;
  readonly customer: string;
  readonly quantity: number;
  /** numeric: exact, so text. */
  readonly price: string;
}

export const Orders = table<Order>('orders');
export const OrderLines = table<OrderLine>('order_lines');
