import type { PrimaryKeys } from '../connection/primary-keys.js';
import type { StreamTypes } from '../decoder/stream-types.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { Lsn } from '../protocol/lsn.js';
import type { DeliveryProgress } from './delivery-progress.js';
import type { StreamPace } from './in-progress/streamed-transactions.js';
import type { TypeLearner } from './type-learner.js';

/** Counts of one app, across its connections. */
export interface PublisherCounters {
  changesReceived: number;
  transactionsReceived: number;
}

export interface PublisherOptions {
  readonly app: string;
  readonly types: StreamTypes;
  readonly progress: DeliveryProgress;
  readonly counters: PublisherCounters;
  readonly primaryKeys: PrimaryKeys;
  /** What positions of this connection mean something in. */
  readonly history: StreamHistory;
  /** Told of every position that the stream has brought to its end. */
  readonly received: (lsn: Lsn) => void;
  /** Bytes of transactions in progress that stay in memory; what goes beyond is kept on disk. */
  readonly mostStreamedBytes: number;
  /** Whether transactions come when they are prepared. */
  readonly twoPhase: boolean;
  /** Where the slot stood when the stream began. */
  readonly beganAt: Lsn;
  readonly pace: StreamPace;
  /** Whether what is not sent of a row is read from its table. @default false */
  readonly rereadsToast?: boolean;
  /** Absent: all types are known. */
  readonly learner?: TypeLearner;
}
