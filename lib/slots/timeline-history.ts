import type { Client } from 'pg';
import { sqlState } from '../errors/sql-state.js';
import { parseLsn, type Lsn } from '../protocol/lsn.js';

/** No such file, as for the first timeline; no right to ask; a server, or what stands before it, without the command. */
const NOT_TOLD = new Set(['58P01', '42501', '0A000', '42601']);

/**
 * Where a history of the log was left for the one that is in force now; null where that cannot be told, which is so
 * where the one does not descend from the other.
 *
 * @param from timeline that was left
 * @param now the present one
 * @throws the driver's error where the server did not tell, as when the connection is lost
 */
export async function forkOf(replication: Client, from: string, now: string): Promise<Lsn | null> {
  try {
    const { rows } = await replication.query<{ content: string }>(`TIMELINE_HISTORY ${Number(now)}`);
    return forkIn(rows[0]?.content ?? '', from);
  } catch (error) {
    if (NOT_TOLD.has(sqlState(error))) return null;
    throw error;
  }
}

/** A line of a history file: the timeline that was left, where, and why (manual, section 25.3). */
export function forkIn(history: string, from: string): Lsn | null {
  const text = history.startsWith('\\x') ? Buffer.from(history.slice(2), 'hex').toString('latin1') : history;
  for (const line of text.split('\n')) {
    const [, timeline, position] = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line) ?? [];
    if (timeline === from) return parseLsn(position!);
  }
  return null;
}
