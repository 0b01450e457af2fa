import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { makeClient, type ConnectionTarget } from './connection-target.js';
import { translateServerError, type ConnectionPurpose } from './server-errors.js';

/** A client for SQL, told apart on the server by its application_name. @throws PgListenerError */
export async function connectPlain(target: ConnectionTarget, signal?: AbortSignal): Promise<Client> {
  const client = await connect(target, 'queries', signal);
  try {
    // Nobody's function in another schema may stand in for a built-in one; and nobody's patience may end a session
    // that waits for the server's last word.
    await client.query('SET search_path = pg_catalog; SET idle_session_timeout = 0');
  } catch (error) {
    socketOf(client).destroy();
    throw translateServerError(error, target);
  }
  return client;
}

/** A client that speaks the replication protocol (manual, section 54.4): simple queries and replication commands. */
export async function connectReplication(target: ConnectionTarget, signal?: AbortSignal): Promise<Client> {
  return connect(target, 'replication', signal);
}

/** The socket below a client: TCP, TLS or Unix. */
export function socketOf(client: Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Closes a client, whatever state it is in. */
export async function closeClient(client: Client | undefined): Promise<void> {
  if (client === undefined) return;
  const impatient = setTimeout(() => socketOf(client).destroy(), 1_000);
  await client.end().catch(() => undefined);
  clearTimeout(impatient);
}

async function connect(
  target: ConnectionTarget,
  purpose: ConnectionPurpose,
  signal: AbortSignal | undefined,
): Promise<Client> {
  const client = makeClient(target, purpose === 'replication' ? { replication: 'database' } : {});
  const giveUp = (): void => void socketOf(client).destroy();
  signal?.addEventListener('abort', giveUp);
  try {
    signal?.throwIfAborted();
    await client.connect();
  } catch (error) {
    giveUp();
    throw translateServerError(error, target, purpose);
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
  return client;
}
