import pg from 'pg';
import { pgOptions } from '../support/client-options.mjs';

/** What a trigger announces on commit: at most once, and only while somebody listens. For latency alone. */
export async function consume({ target }, tally) {
  const client = new pg.Client(pgOptions(target));
  await client.connect();
  client.on('notification', ({ payload }) => tally.row(JSON.parse(payload)));
  await client.query('LISTEN orders');
  return { stop: () => client.end() };
}
