import type { SystemIdentity } from '#lib/connection/server-facts.js';
import type { StreamHistory, StreamStart } from '#lib/interfaces/effects-store.interface.js';

/** Of a stream that comes from no server. */
export const HISTORY: StreamHistory = { systemIdentifier: '7000000000000000001', timeline: '1' };

/** What a server says of itself. */
export function identity(systemIdentifier: string, timeline: string, walEnd: bigint): SystemIdentity {
  return { systemIdentifier, timeline, walEnd };
}

/** A stream of its own log that has just begun. */
export function streamOf(history: StreamHistory, from = 0n): StreamStart {
  return { history, slotName: 'shop', from, isContinued: true };
}
