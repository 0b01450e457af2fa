import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import pg from 'pg';
import { cannotStartOn, noServer } from '../boot/database-errors.js';
import { preferred } from '../boot/port.js';
import { psqlLine } from '../boot/psql-line.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const PORT = 54_331;

/** A server that gives a slot up rather than fill its disk: so there is something to be warned of. */
const SETTINGS = { max_slot_wal_keep_size: '256MB' };

/** @returns undefined where the environment names a database */
export async function provideServer(): Promise<PostgresServer | undefined> {
  if (process.env.DATABASE_URL) return undefined;
  return startPostgres({ port: await preferred(PORT), settings: SETTINGS }).catch((error: unknown) =>
    Promise.reject(noServer(['DATABASE_URL'], error)),
  );
}

/** The table and new rows in it. Knows nothing of replication. */
export class Database implements OnModuleInit, OnApplicationShutdown {
  /** The line that opens the same database from outside. */
  readonly psql: string;
  private readonly pool: pg.Pool;

  constructor(readonly url: string) {
    this.psql = psqlLine(url, 'DATABASE_URL');
    this.pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 5_000 });
    // A server that restarts ends idle connections; unheard, that error would end the process.
    this.pool.on('error', () => undefined);
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
