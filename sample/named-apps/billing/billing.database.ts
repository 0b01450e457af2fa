import { Injectable } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { Database } from '../database.js';

/** The key on `order_id` is what makes writing an invoice twice harmless. */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS invoices (
     number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     order_id int NOT NULL UNIQUE,
     customer text NOT NULL,
     amount numeric(10, 2) NOT NULL
   )`,
  // Fails where a table of another shape is in the way.
  'SELECT number, order_id, customer, amount FROM invoices LIMIT 0',
];

@Injectable()
export class BillingDatabase extends Database {
  constructor(config: ConfigService) {
    super('BILLING_URL', config.getOrThrow<string>('BILLING_URL'), SCHEMA);
  }
}
