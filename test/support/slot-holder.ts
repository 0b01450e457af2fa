import { once } from 'node:events';
import { Client, type ClientConfig } from 'pg';
import { waitFor } from './wait.js';
import { withClient } from './database.js';

/** Streams from a slot and confirms nothing, so that nobody else can have it. */
export async function holdSlot(url: string, slot: string): Promise<{ release(): Promise<void> }> {
  const client = new Client({ connectionString: url, replication: 'database' } as ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  const { processID } = client as unknown as { processID: number };
  // The server's end of a process that was killed lives on for a moment, and would be taken for us.
  await waitFor(async () => (await holderOf(url, slot)) === null, `the slot ${slot} to be free`);
  const publication = `publication_names 'pg_listener_${slot}'`;
  // Answered by the stream itself, and by an error when that ends.
  client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', ${publication})`).catch(() => undefined);
  await waitFor(async () => (await holderOf(url, slot)) === processID, `the slot ${slot} to be held`);
  return {
    release: async () => {
      const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection;
      const closed = once(stream, 'close');
      stream.destroy();
      await closed;
    },
  };
}

function holderOf(url: string, slot: string): Promise<number | null> {
  return withClient(url, async (client) => {
    const sql = 'SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1';
    return (await client.query(sql, [slot])).rows[0].active_pid;
  });
}
