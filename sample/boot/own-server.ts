import { startPostgres, type PostgresServer, type StartPostgresOptions } from 'nestjs-pg-listener/testing';
import { noServer } from './database-errors.js';
import { preferred } from './port.js';

/**
 * A PostgreSQL for a sample whose environment names none.
 *
 * @param variables that would name one
 * @param port where it is free
 */
export async function ownServer(
  variables: readonly string[],
  port: number,
  settings?: StartPostgresOptions['settings'],
): Promise<PostgresServer> {
  const options = { port: await preferred(port), ...(settings && { settings }) };
  return startPostgres(options).catch((error: unknown) => Promise.reject(noServer(variables, error)));
}
