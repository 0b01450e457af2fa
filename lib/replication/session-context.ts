import type { ConnectionTarget } from '../connection/connection-target.js';
import type { DatabaseTypes } from '../connection/database-types.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { OriginFilter } from '../interfaces/pg-listener-options.interface.js';
import type { TransactionSink } from '../interfaces/transaction-sink.interface.js';
import type { PublicationManager } from '../publications/publication-manager.js';
import type { SlotLife } from '../slots/slot-life.js';
import type { DeliveryProgress } from './delivery-progress.js';
import type { FormatChoice } from './format-choice.js';
import type { PublisherCounters } from './publisher-options.js';
import type { StreamLag } from './stream-lag.js';

/** Everything that outlives a single connection. */
export interface SessionContext {
  readonly target: ConnectionTarget;
  readonly life: SlotLife;
  readonly publications: PublicationManager;
  readonly wantsMessages: boolean;
  readonly origin: OriginFilter;
  /** Whether the server sends transactions while they are in progress. */
  readonly streaming: boolean;
  /** Bytes of transactions in progress that stay in memory. */
  readonly mostStreamedBytes: number;
  /** Whether it sends them when they are prepared. */
  readonly twoPhase: boolean;
  readonly types: DatabaseTypes;
  readonly format: FormatChoice;
  readonly rereadsToast: boolean;
  readonly sink: TransactionSink;
  readonly progress: DeliveryProgress;
  readonly counters: PublisherCounters;
  readonly lag: StreamLag;
  readonly logger: ListenerLogger;
}
