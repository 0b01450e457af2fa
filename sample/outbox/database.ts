import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import type pg from 'pg';
import { cannotStartOn } from '../boot/database-errors.js';
import { openPool } from '../boot/open-pool.js';
import { ownServer } from '../boot/own-server.js';
import { psqlLine } from '../boot/psql-line.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const PORT = 54_332;

/** Orders, and what there is to order. No table for the outbox. */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS stock (
     item text PRIMARY KEY,
     available int NOT NULL CONSTRAINT enough_in_stock CHECK (available >= 0)
   )`,
  `CREATE TABLE IF NOT EXISTS orders (
     id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     item text NOT NULL REFERENCES stock,
     quantity int NOT NULL CHECK (quantity > 0),
     status text NOT NULL DEFAULT 'placed'
   )`,
  `INSERT INTO stock VALUES ('book', 1000000), ('lamp', 3) ON CONFLICT DO NOTHING`,
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

  async onModuleInit(): Promise<void> {
    try {
      for (const statement of SCHEMA) await this.pool.query(statement);
    } catch (error) {
      throw cannotStartOn('DATABASE_URL', this.psql, error);
    }
  }

  /** Commits when `work` returns, rolls back when it throws. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let isSound = false;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      isSound = true;
      return result;
    } catch (error) {
      isSound = await client.query('ROLLBACK').then(
        () => true,
        () => false,
      );
      throw error;
    } finally {
      client.release(!isSound);
    }
  }

  /** Not in onModuleDestroy: there the listener lets its handlers finish. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
