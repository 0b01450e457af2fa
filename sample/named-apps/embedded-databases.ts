import type { PostgresServer } from 'nestjs-pg-listener/testing';
import pg from 'pg';
import { ownServer } from '../boot/own-server.js';

/** Not PostgreSQL's usual one, which may be in use on a developer's machine. */
const PORT = 54_330;

const DATABASES = { SHOP_URL: 'shop', BILLING_URL: 'billing' };

/** Starts a PostgreSQL for the databases that the environment does not name, and names them there. */
export async function provideDatabases(): Promise<PostgresServer | undefined> {
  const missing = Object.entries(DATABASES).filter(([variable]) => !process.env[variable]);
  if (missing.length === 0) return undefined;
  const server = await ownServer(Object.keys(DATABASES), PORT);
  const client = new pg.Client(server.url);
  await client.connect();
  for (const [variable, database] of missing) {
    await client.query(`CREATE DATABASE ${database}`);
    process.env[variable] = server.urlOf(database);
  }
  await client.end();
  return server;
}
