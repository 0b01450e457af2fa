import { Injectable } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { Database } from '../database.js';

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS orders (
     id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     customer text NOT NULL,
     amount numeric(10, 2) NOT NULL,
     status text NOT NULL DEFAULT 'new',
     invoice int
   )`,
  // Fails where a table of another shape is in the way, and touches no row of one that is in use.
  `INSERT INTO orders (customer, amount, status, invoice)
   SELECT customer, amount, 'new', NULL
   FROM (VALUES ('Ada Lovelace', 31.60), ('Alan Turing', 48.50), ('Grace Hopper', 64.00)) AS first (customer, amount)
   WHERE NOT EXISTS (SELECT FROM orders)`,
];

@Injectable()
export class ShopDatabase extends Database {
  constructor(config: ConfigService) {
    super('SHOP_URL', config.getOrThrow<string>('SHOP_URL'), SCHEMA);
  }
}
