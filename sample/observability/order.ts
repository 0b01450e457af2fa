import { table } from 'nestjs-pg-listener';

export interface Order {
  readonly id: number;
  readonly item: string;
}

export const orders = table<Order>('orders');
