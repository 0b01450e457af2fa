import type pg from 'pg';
import { parseLsn } from '#lib/protocol/lsn.js';

/** One pgoutput message, and its place in the log. */
export interface StreamMessage {
  readonly lsn: bigint;
  readonly data: Buffer;
}

/** Options of the plugin, as START_REPLICATION and the functions over SQL both take them. */
export type PluginOptions = Readonly<Record<string, string>>;

/** What a slot would send, word for word, over SQL (manual, section 9.28.6). The slot must be nobody's, and stays where it is. */
export async function peek(client: pg.Client, slot: string, options: PluginOptions): Promise<StreamMessage[]> {
  const list = Object.entries(options).flat();
  const places = list.map((_, index) => `$${index + 2}`).join(', ');
  const { rows } = await client.query<{ lsn: string; data: Buffer }>(
    `SELECT lsn::text AS lsn, data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, ${places})`,
    [slot, ...list],
  );
  return rows.map(({ lsn, data }) => ({ lsn: parseLsn(lsn), data }));
}

/** The options of a START_REPLICATION. */
export function optionsOf(command: string): PluginOptions {
  const list = command.slice(command.indexOf('(') + 1, command.lastIndexOf(')'));
  return Object.fromEntries(
    [...list.matchAll(/(\w+) '((?:[^']|'')*)'/g)].map(([, name, value]) => [name!, value!.replaceAll("''", "'")]),
  );
}
