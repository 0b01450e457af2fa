import type { Client } from 'pg';
import { closeClient, connectPlain } from '../connection/connection.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';

/** Lends a connection for queries, and closes it in every outcome. @throws PgListenerError */
export async function withClient<T>(target: ConnectionTarget, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectPlain(target);
  try {
    return await use(client);
  } catch (error) {
    throw translateServerError(error, target);
  } finally {
    await closeClient(client);
  }
}
