import { EventEmitter } from 'node:events';
import { ChangeStreams } from '../../dist/events/change-streams.js';
import { createDispatcher } from '../../dist/events/create-dispatcher.js';
import { OidDatabase } from '../../dist/decoder/oid-database.js';
import { DeliveryProgress } from '../../dist/replication/delivery-progress.js';
import { ReplicationPublisher } from '../../dist/replication/replication.publisher.js';
import { ReplicationServer } from '../../dist/replication/replication.server.js';
import { MemoryEffectsStore } from '../../dist/testing/memory-effects.store.js';
import { MemoryParkedStore } from '../../dist/testing/memory-parked.store.js';

/** What a read brings while the stream is behind. */
const READ = 64 * 1024;
/** CopyBothResponse: text, no columns. */
const COPY_BOTH = Buffer.from([0x57, 0, 0, 0, 7, 0, 0, 0]);
const QUIET = { log: () => undefined, warn: () => undefined, error: console.error };
const CONFIG = {
  name: 'default',
  limits: { changes: 10_000, bytes: 16 * 1024 * 1024 },
  retry: { attempts: 1, minDelayMs: 1, maxDelayMs: 1, factor: 1, jitter: 0 },
  onExhausted: 'block',
  slot: { name: null },
};
const HANDLER = {
  id: 'Orders.onChange',
  app: 'default',
  kind: 'table',
  tables: ['orders'],
  operations: [],
  prefix: null,
  whenChanged: [],
  batch: undefined,
  retry: undefined,
  onExhausted: undefined,
  instance: {},
  methodName: 'onChange',
};

/**
 * The whole way of our changes, but for the sockets: from the bytes of the replication connection to a handler and the
 * position that may be confirmed. Resolves when all of it is settled.
 */
export async function deliver(recording, callback, { concurrency } = {}) {
  const definition = {
    ...HANDLER,
    concurrency,
    callback,
  };
  const streams = new ChangeStreams();
  let failed;
  const fault = new Promise((_, reject) => (failed = reject));
  const dispatcher = createDispatcher(
    CONFIG,
    [definition],
    streams,
    QUIET,
    { parked: new MemoryParkedStore(), effects: new MemoryEffectsStore('default') },
    {
      onFault: failed,
    },
  );
  dispatcher.begin();
  const stream = new Stream(dispatcher);
  await Promise.race([stream.run(recording), fault]);
  stream.server.destroy();
  dispatcher.abandon();
}

/** One connection: what the session joins together, without its connections for SQL. */
class Stream {
  constructor(sink) {
    this.sink = sink;
    this.socket = new RecordedSocket();
    this.publisher = new ReplicationPublisher(sink, {
      app: 'default',
      types: { oids: new OidDatabase() },
      progress: new DeliveryProgress(),
      counters: { changesReceived: 0, transactionsReceived: 0 },
      primaryKeys: new Map([['public\0orders', { columns: ['id'], isExact: true }]]),
      received: (lsn) => this.server.noteReceived(lsn),
      mostStreamedBytes: 0,
      twoPhase: false,
      beganAt: 0n,
      pace: null,
    });
    this.server = new ReplicationServer(this.socket, this, { walSenderTimeoutMs: 60_000 });
    sink.onRoom = () => this.server.resume();
    sink.onFree = () => this.server.goOn();
  }

  async run(recording) {
    const started = this.server.start('START_REPLICATION');
    this.socket.emit('data', COPY_BOTH);
    await started;
    for (let at = 0; at < recording.length; at += READ) {
      this.socket.emit('data', recording.subarray(at, at + READ));
      // As in a process that has a socket: what is due comes between two reads.
      do await new Promise((resolve) => setImmediate(resolve));
      while (this.socket.isPaused);
    }
    while (this.publisher.tracker.unsettled > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  data(buffer, start, end, high, low) {
    this.publisher.data(buffer, start, end, high, low);
    return this.sink.isBusy;
  }
  keepalive(walEnd) {
    this.publisher.tracker.keepalive(walEnd);
  }
  readStarts() {
    this.sink.turn();
  }
  readEnded() {
    if (this.sink.isFull) this.server.pause();
    // Never behind: a recording is not waited for.
    return 0;
  }
  confirmable() {
    return this.publisher.tracker.confirmable;
  }
  confirmLast() {
    return Promise.resolve();
  }
  notice() {}
  shutdownSuspected() {}
}

class RecordedSocket extends EventEmitter {
  writable = true;
  isPaused = false;
  write() {}
  end() {}
  pause() {
    this.isPaused = true;
  }
  resume() {
    this.isPaused = false;
  }
  destroy() {}
}
