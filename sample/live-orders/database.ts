import type { PostgresServer } from 'nestjs-pg-listener/testing';
import type pg from 'pg';
import { cannotStartOn } from '../boot/database-errors.js';
import { openPool } from '../boot/open-pool.js';
import { ownServer } from '../boot/own-server.js';
import { psqlLine } from '../boot/psql-line.js';
import { unavailable } from './database-errors.js';
import { CREATE_TABLE, FIRST_ORDERS } from './schema.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const EMBEDDED_PORT = 54_329;

/** Names a database of one's own. */
const VARIABLE = 'DATABASE_URL';

/** Runs one statement of a transaction. */
export type Query = (sql: string, values?: unknown[]) => Promise<unknown>;

/** Plain SQL, and the server below it where the sample has started one. Knows nothing of replication. */
export class Database {
  private readonly pool: pg.Pool;

  private constructor(
    readonly url: string,
    private readonly server?: PostgresServer,
  ) {
    this.pool = openPool(url, 'Database');
  }

  /** Opens the database at `url`; without one, a PostgreSQL of our own that lives as long as this object. */
  static async open(url: string | undefined): Promise<Database> {
    const server = url ? undefined : await ownServer([VARIABLE], EMBEDDED_PORT);
    const database = new Database(url || server!.url, server);
    try {
      await database.prepare();
      return database;
    } catch (error) {
      await database.close();
      throw cannotStartOn(VARIABLE, database.psql, error);
    }
  }

  get isEmbedded(): boolean {
    return this.server !== undefined;
  }

  /** The line that opens the same database from outside. */
  get psql(): string {
    return psqlLine(this.url, VARIABLE);
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const result = await this.pool.query<Row>(sql, values).catch(unavailable);
    return result.rows;
  }

  /** Several statements, one commit. */
  async transaction(statements: (query: Query) => Promise<void>): Promise<void> {
    const client = await this.pool.connect().catch(unavailable);
    try {
      await client.query('BEGIN');
      await statements((sql, values) => client.query(sql, values));
      await client.query('COMMIT');
      client.release();
    } catch (error) {
      // Closing the connection rolls back, whatever state it is in.
      client.release(true);
      unavailable(error);
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
    await this.server?.stop();
  }

  private async prepare(): Promise<void> {
    for (const statement of CREATE_TABLE) await this.pool.query(statement);
    // Before there is a slot: these are rows that were there already. A database of yours is left as it is.
    if (this.isEmbedded) await this.pool.query(FIRST_ORDERS);
  }
}
