import type { DeliveryProgress } from '../delivery-progress.js';
import type { ReplicationServer } from '../replication.server.js';
import type { StreamPace } from './streamed-transactions.js';

/** Of the connection that `server` reads, which is made later than what is read. */
export function paceOf(server: () => ReplicationServer, progress: DeliveryProgress): StreamPace {
  return {
    hold: () => server().hold(),
    release: () => server().release(),
    fail: (error) => server().leave(error),
    wantWhole: (commitLsn) => progress.wantWhole(commitLsn),
  };
}
