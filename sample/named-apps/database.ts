import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type pg from 'pg';
import { cannotStartOn } from '../boot/database-errors.js';
import { openPool } from '../boot/open-pool.js';
import { psqlLine } from '../boot/psql-line.js';

/** Plain SQL on one database. Knows nothing of replication. */
export abstract class Database implements OnModuleInit, OnApplicationShutdown {
  /** The line that opens the same database from outside. */
  readonly psql: string;
  private readonly pool: pg.Pool;

  /**
   * @param variable that holds the URL
   * @param schema statements that are run one by one at every start
   */
  protected constructor(
    private readonly variable: string,
    url: string,
    private readonly schema: readonly string[],
  ) {
    this.psql = psqlLine(url, variable);
    this.pool = openPool(url, new.target.name);
  }

  /** Listeners start in onApplicationBootstrap, which comes after this: they find their tables. */
  async onModuleInit(): Promise<void> {
    try {
      for (const statement of this.schema) await this.pool.query(statement);
    } catch (error) {
      throw cannotStartOn(this.variable, this.psql, error);
    }
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(sql, values)).rows;
  }

  /** Not in onModuleDestroy: there the listeners let their handlers finish, and handlers need this pool. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
