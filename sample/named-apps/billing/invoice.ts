import { table } from 'nestjs-pg-listener';

/** A row of `invoices`. */
export interface Invoice {
  number: number;
  order_id: number;
  customer: string;
  amount: string;
}

/** The table with its row type, for every decorator that names it. */
export const Invoices = table<Invoice>('invoices');
