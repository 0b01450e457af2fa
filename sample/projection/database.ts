import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import type pg from 'pg';
import { cannotStartOn } from '../boot/database-errors.js';
import { openPool } from '../boot/open-pool.js';
import { ownServer } from '../boot/own-server.js';
import { psqlLine } from '../boot/psql-line.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const PORT = 54_333;

/**
 * The write model, whose foreign key keeps the customer of a line that of its order, and the read model. FULL: an update and
 * a delete bring the whole row as it was, which is what has to be taken off the totals.
 */
const SCHEMA = [
  `DO $$ BEGIN
     IF to_regclass('orders') IS NULL THEN
       CREATE TABLE orders (
         id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         customer text NOT NULL,
         UNIQUE (id, customer)
       );
       CREATE TABLE order_lines (
         order_id int,
         line int,
         customer text NOT NULL,
         quantity int NOT NULL,
         price numeric(10, 2) NOT NULL,
         PRIMARY KEY (order_id, line),
         FOREIGN KEY (order_id, customer) REFERENCES orders (id, customer) ON UPDATE CASCADE ON DELETE CASCADE
       );
       ALTER TABLE orders REPLICA IDENTITY FULL;
       ALTER TABLE order_lines REPLICA IDENTITY FULL;
     END IF;
   END $$`,
  `CREATE TABLE IF NOT EXISTS customer_totals (
     customer text PRIMARY KEY,
     orders int NOT NULL,
     lines int NOT NULL,
     amount numeric(14, 2) NOT NULL
   )`,
  // Fails where tables of another shape are in the way.
  'SELECT order_id, line, orders.customer, quantity, price FROM orders JOIN order_lines ON order_id = id LIMIT 0',
];

/** @returns undefined where the environment names a database */
export async function provideServer(): Promise<PostgresServer | undefined> {
  return process.env.DATABASE_URL ? undefined : ownServer(['DATABASE_URL'], PORT);
}

/** Plain SQL. Knows nothing of replication. */
export class Database implements OnModuleInit, OnApplicationShutdown {
  /** The line that opens the same database from outside. */
  readonly psql: string;
  private readonly pool: pg.Pool;

  constructor(readonly url: string) {
    this.psql = psqlLine(url, 'DATABASE_URL');
    this.pool = openPool(url, Database.name);
  }

  /** Listeners start in onApplicationBootstrap, which comes after this: they find their tables. */
  async onModuleInit(): Promise<void> {
    try {
      for (const statement of SCHEMA) await this.pool.query(statement);
    } catch (error) {
      throw cannotStartOn('DATABASE_URL', this.psql, error);
    }
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(sql, values)).rows;
  }

  /** Not in onModuleDestroy: there the listener lets its handlers finish. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
