import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { waitFor } from './wait.js';

/** A database of one spec's own, with a client, and names that no other spec uses. */
export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  readonly client: pg.Client;
  /** A slot name of this database's own; `drop()` drops the slot too. */
  slot(name?: string): string;
  query<Row extends pg.QueryResultRow = any>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Ends all connections, drops its slots and the database. */
  drop(): Promise<void>;
}

/**
 * @param serverUrl default: the server of the run
 * @param clause of CREATE DATABASE, such as an encoding
 */
export async function createDatabase(
  serverUrl = process.env['PG_LISTENER_TEST_URL']!,
  clause = '',
): Promise<TestDatabase> {
  const suffix = randomBytes(4).toString('hex');
  const name = `test_${suffix}`;
  await withClient(serverUrl, (client) => client.query(`CREATE DATABASE ${name} ${clause}`));
  const address = new URL(serverUrl);
  address.pathname = `/${name}`;
  const url = address.toString();
  const client = await connect(url);
  return {
    url,
    name,
    client,
    slot: (base = 'slot') => `${base}_${suffix}`,
    query: async (sql, values) => (await client.query(sql, values)).rows,
    drop: async () => {
      await client.end();
      await withClient(serverUrl, async (admin) => {
        await dropSlots(admin, name);
        await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      });
    },
  };
}

/** Resolves when at least so many sessions in the database wait for a lock of another one. */
export function lockWaiters({ query }: Pick<TestDatabase, 'query'>, wanted = 1): Promise<unknown> {
  const sql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return waitFor(async () => (await query(sql)).length >= wanted, `${wanted} that wait for a lock`);
}

/**
 * Resolves when nobody holds the slot. Stopping waits two seconds for the server's last word: where that is late, whoever
 * starts next stands by, and the slot can be neither moved nor dropped.
 */
export function slotToBeFree({ query }: Pick<TestDatabase, 'query'>, name: string): Promise<unknown> {
  const sql = 'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active';
  return waitFor(async () => (await query(sql, [name])).length === 0, `the slot ${name} to be free`);
}

export async function connect(config: string | pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(url);
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Ends whoever holds the slots of a database, or of all, and drops them. */
export async function dropSlots(admin: pg.Client, database: string | null = null): Promise<void> {
  await waitFor(async () => {
    await admin.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND ($1::text IS NULL OR database = $1)`,
      [database],
    );
    const { rows } = await admin.query(
      `SELECT count(*) FILTER (WHERE active)::int AS active FROM pg_replication_slots WHERE $1::text IS NULL OR database = $1`,
      [database],
    );
    return rows[0].active === 0;
  }, 'the slots to be let go');
  await admin.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE $1::text IS NULL OR database = $1`,
    [database],
  );
}
