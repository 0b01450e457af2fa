import type { PgListenerConfig } from '../configs/pg-listener-config.js';
import { tableKey } from '../changes/transaction.js';
import type { PrimaryKeys } from '../connection/primary-keys.js';
import { OidDatabase } from '../decoder/oid-database.js';
import type { StreamTypes } from '../decoder/stream-types.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { TransactionSink } from '../interfaces/transaction-sink.interface.js';
import type { Lsn } from '../protocol/lsn.js';
import { DeliveryProgress } from '../replication/delivery-progress.js';
import type { StreamPace } from '../replication/in-progress/streamed-transactions.js';
import type { PublisherCounters } from '../replication/publisher-options.js';
import { ReplicationPublisher } from '../replication/replication.publisher.js';
import type { CustomTypes } from '../types/type-parsers.js';
import type { StreamRecording } from './stream-recording.js';

const IS_OID = /^\d+$/;
/** Longer than any log: a recording is never a server that was put back. */
const END_OF_LOG: Lsn = 2n ** 64n - 1n;

export interface ReplayOptions {
  readonly config: PgListenerConfig;
  readonly sink: TransactionSink;
  readonly counters: PublisherCounters;
  /** Everything is settled. */
  readonly done: () => void;
  /** The stream cannot go on. */
  readonly failed: (error: unknown) => void;
}

/** Tells when something was settled. */
class ReplayProgress extends DeliveryProgress {
  constructor(private readonly settled: () => void) {
    super();
  }

  override delivered(endLsn: Lsn): void {
    super.delivered(endLsn);
    this.settled();
  }
}

/** A recording in the place of a connection: the same bytes, through the same decoder, publisher and sink. */
export class ReplayedStream {
  readonly history: StreamHistory;
  private readonly progress = new ReplayProgress(() => this.endWhereDone());
  private readonly types: StreamTypes;
  private readonly primaryKeys: PrimaryKeys;
  private publisher: ReplicationPublisher | null = null;
  private next = 0;
  private holds = 0;
  private isReading = false;
  private isOver = false;

  constructor(
    private readonly recording: StreamRecording,
    private readonly options: ReplayOptions,
  ) {
    const { header } = recording;
    this.progress.enter({ systemIdentifier: '0', timeline: '1', walEnd: END_OF_LOG });
    this.history = this.progress.history!;
    this.types = typesOf(recording, options.config);
    this.primaryKeys = new Map(
      header.primaryKeys.map(({ schema, table, columns, isExact }) => [
        tableKey({ schema, table }),
        { columns, isExact },
      ]),
    );
  }

  /** From the beginning, as a server that was told of nothing: what was handed over is known by its place. */
  connect(): void {
    const { options, progress } = this;
    const { config, sink, counters } = options;
    this.publisher?.streamed.close();
    this.next = 0;
    this.holds = 0;
    const publisher = (this.publisher = new ReplicationPublisher(sink, {
      app: config.name,
      types: this.types,
      progress,
      counters,
      primaryKeys: this.primaryKeys,
      history: this.history,
      received: () => undefined,
      mostStreamedBytes: config.limits.bytes,
      // Where none are prepared, none come.
      twoPhase: true,
      beganAt: 0n,
      pace: this.pace(),
    }));
    sink.onRoom = () => {
      publisher.streamed.goOn();
      this.read();
    };
    sink.onFree = () => publisher.streamed.freed();
    this.read();
  }

  /** Nothing more is read. */
  close(): void {
    this.isOver = true;
    this.publisher?.streamed.close();
    this.options.sink.onRoom = this.options.sink.onFree = () => undefined;
  }

  private read(): void {
    const { sink, failed } = this.options;
    const { messages } = this.recording;
    // A handler that returns at once makes room at once.
    if (this.isReading || this.isOver) return;
    this.isReading = true;
    try {
      sink.turn();
      while (this.next < messages.length && this.holds === 0 && !sink.isFull && !this.isOver) {
        const { lsn, bytes } = messages[this.next++]!;
        this.publisher!.data(bytes, 0, bytes.length, Number(lsn >> 32n), Number(lsn & 0xffffffffn));
      }
    } catch (error) {
      failed(error);
    } finally {
      this.isReading = false;
    }
    this.endWhereDone();
  }

  private endWhereDone(): void {
    const isRead = this.next === this.recording.messages.length && !this.isReading && this.holds === 0;
    if (this.isOver || !isRead || this.publisher!.tracker.unsettled > 0) return;
    this.close();
    this.options.done();
  }

  private pace(): StreamPace {
    return {
      hold: () => void this.holds++,
      release: () => {
        this.holds--;
        this.read();
      },
      fail: (error) => this.options.failed(error),
      wantWhole: () => undefined,
    };
  }
}

/** By what the app reads values, with what the catalogue said then. */
function typesOf({ header }: StreamRecording, { connection, types }: PgListenerConfig): StreamTypes {
  const parsers = Object.entries(types.parsers).flatMap(([name, parse]) => {
    const oid = IS_OID.test(name) ? Number(name) : header.typeNames[name];
    return oid === undefined ? [] : [[oid, parse] as const];
  });
  return {
    oids: new OidDatabase(undefined, new Map(header.types)),
    customTypes: connection.types as CustomTypes | undefined,
    format: header.values,
    rich: types.rich,
    parsers: new Map(parsers),
  };
}
