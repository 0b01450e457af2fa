import type { StreamHistory } from '#lib/interfaces/effects-store.interface.js';

/** Of a stream that comes from no server. */
export const HISTORY: StreamHistory = { systemIdentifier: '7000000000000000001', timeline: '1' };
