import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { PostgresServer } from 'nestjs-pg-listener/testing';
import type pg from 'pg';
import { cannotStartOn } from '../boot/database-errors.js';
import { openPool } from '../boot/open-pool.js';
import { ownServer } from '../boot/own-server.js';
import { psqlLine } from '../boot/psql-line.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const PORT = 54_331;

/** A server that gives a slot up rather than fill its disk: so there is something to be warned of. */
const SETTINGS = { max_slot_wal_keep_size: '256MB' };

/** @returns undefined where the environment names a database */
export async function provideServer(): Promise<PostgresServer | undefined> {
  return process.env.DATABASE_URL ? undefined : ownServer(['DATABASE_URL'], PORT, SETTINGS);
}

/** The table and new rows in it. Knows nothing of replication. */
export class Database implements OnModuleInit, OnApplicationShutdown {
  /** The line that opens the same database from outside. */
  readonly psql: string;
  private readonly pool: pg.Pool;

  constructor(readonly url: string) {
    this.psql = psqlLine(url, 'DATABASE_URL');
    this.pool = openPool(url, Database.name);
  }

  /** Listeners start in onApplicationBootstrap, which comes after this: they find their table. */
  async onModuleInit(): Promise<void> {
    try {
      await this.pool.query(
        'CREATE TABLE IF NOT EXISTS orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)',
      );
    } catch (error) {
      throw cannotStartOn('DATABASE_URL', this.psql, error);
    }
  }

  async addOrder(item: string): Promise<number> {
    const { rows } = await this.pool.query<{ id: number }>('INSERT INTO orders (item) VALUES ($1) RETURNING id', [
      item,
    ]);
    return rows[0]!.id;
  }

  /** Not in onModuleDestroy: there the listener lets its handlers finish. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
