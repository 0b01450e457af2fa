import { NO_PACE } from '../../support/no-pace.js';
import { HISTORY } from '../../support/history.js';
import { afterEach, beforeEach, jest } from '@jest/globals';
import { EventsDispatcher } from '#lib/events/events.dispatcher.js';
import type { RowChange } from '#lib/changes/change.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { DeliveryProgress } from '#lib/replication/delivery-progress.js';
import { ReplicationPublisher } from '#lib/replication/replication.publisher.js';
import {
  begin,
  commit,
  deletion,
  insert,
  logicalMessage,
  relation,
  truncation,
  update,
} from '../../support/pgoutput-encoder.js';
import { Deferred, DispatcherUnderTest, type BenchOptions, type HandlerSpec } from './dispatcher-bench.js';

const TEXT = 25;
/** Another type with the same texts. */
export const VARCHAR = 1043;
const TABLES = ['orders', 'items', 'notes'];

/** The whole way from messages to handlers: what the server sends on one side, real handlers on the other. */
export class StreamBench extends DispatcherUnderTest {
  readonly progress = new DeliveryProgress();
  connection: StreamConnection;

  constructor(handlers: readonly HandlerSpec[], options: BenchOptions = {}) {
    super(handlers, options);
    this.connection = this.newConnection();
  }

  /** The connection breaks, and the next one begins: the server sends what it was not told of. */
  reconnect(): StreamConnection {
    this.dispatcher.abort();
    this.connection = this.newConnection();
    return this.connection;
  }

  private newConnection(): StreamConnection {
    const publisher = new ReplicationPublisher(this.dispatcher, {
      app: 'default',
      types: { oids: new OidDatabase() },
      progress: this.progress,
      counters: { changesReceived: 0, transactionsReceived: 0 },
      primaryKeys: new Map(TABLES.map((table) => [`public\0${table}`, { columns: ['id'], isExact: true }])),
      history: HISTORY,
      received: () => undefined,
      mostStreamedBytes: 0,
      twoPhase: false,
      beganAt: 0n,
      pace: NO_PACE,
    });
    return new StreamConnection(publisher, this.dispatcher);
  }
}

/** One connection; messages stand at places of their own in the log. */
export class StreamConnection {
  private place = 0n;

  constructor(
    readonly publisher: ReplicationPublisher,
    private readonly sink: EventsDispatcher,
  ) {
    TABLES.forEach((table) => this.describe(table));
  }

  get confirmable(): bigint {
    return this.publisher.tracker.confirmable;
  }
  get unsettled(): number {
    return this.publisher.tracker.unsettled;
  }

  describe(table: string, tagType = TEXT): this {
    const columns = [
      { name: 'id', isKey: true },
      { name: 'tag', typeOid: tagType },
    ];
    return this.send(relation({ id: TABLES.indexOf(table) + 1, table, columns }));
  }
  /** As at the start of a read. */
  begin(commitLsn: bigint): this {
    this.sink.turn();
    this.place = commitLsn - 0x1000n;
    return this.send(begin(commitLsn));
  }
  /** @param tag what the row is told apart by */
  insert(id: number, tag: string, table = 'orders'): this {
    return this.send(insert(TABLES.indexOf(table) + 1, [String(id), tag]));
  }
  update(id: number, tag: string, from = id): this {
    const old = from === id ? undefined : ({ kind: 'K', cells: [String(from), null] } as const);
    return this.send(update(1, [String(id), tag], old));
  }
  delete(id: number): this {
    return this.send(deletion(1, 'K', [String(id), null]));
  }
  truncate(table = 'orders'): this {
    return this.send(truncation([TABLES.indexOf(table) + 1]));
  }
  message(prefix = 'outbox'): this {
    return this.send(logicalMessage(true, this.place, prefix, 'hello'));
  }
  /** Outside of a transaction. */
  lonelyMessage(lsn: bigint, prefix = 'outbox'): this {
    this.place = lsn;
    return this.send(logicalMessage(false, lsn, prefix, 'hello'));
  }
  /** @returns where its end stands */
  commit(commitLsn: bigint): this {
    return this.send(commit(commitLsn, endOf(commitLsn)));
  }
  /** A transaction of inserts; `3a` is of the row with id 3. */
  rows(commitLsn: bigint, ...tags: string[]): this {
    this.begin(commitLsn);
    for (const tag of tags) this.insert(Number.parseInt(tag, 10), tag);
    return this.commit(commitLsn);
  }

  private send(message: Buffer): this {
    this.place += 8n;
    this.publisher.data(
      message,
      0,
      message.length,
      Number(this.place >> 32n) | 0,
      Number(this.place & 0xffffffffn) | 0,
    );
    return this;
  }
}

/** The n-th transaction's Commit. */
export function at(transaction: number): bigint {
  return BigInt(transaction) * 0x10000n;
}

export function endOf(commitLsn: bigint): bigint {
  return commitLsn + 0x30n;
}

/** What a change is told apart by. */
export function tagOf(change: RowChange): string {
  switch (change.operation) {
    case 'truncate':
      return 'truncate';
    case 'delete':
      return `-${String((change.oldRecord as { id: number }).id)}`;
    default:
      return (change.record as { tag: string }).tag;
  }
}

/** A handler whose calls end when the test says so. Calls go by the tags of their changes, joined with a comma. */
export class LaneHandler {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  /** Signals and attempts of the calls, in order of beginning. */
  readonly contexts: PgListenerContext[] = [];
  private readonly open = new Map<string, Deferred<unknown>>();
  readonly spec: HandlerSpec;

  constructor(options: Partial<HandlerSpec> = {}) {
    this.spec = {
      concurrency: options.batch === undefined ? 3 : undefined,
      ...options,
      run: async (payload: RowChange | readonly RowChange[], context: PgListenerContext) => {
        const name = (Array.isArray(payload) ? payload : [payload]).map(tagOf).join();
        this.begun.push(name);
        this.contexts.push(context);
        const call = new Deferred<unknown>();
        this.open.set(name, call);
        try {
          return await call.promise;
        } finally {
          this.ended.push(name);
        }
      },
    };
  }

  /** Calls that run. */
  get running(): string[] {
    return [...this.open.keys()];
  }
  /** Ends calls, and lets follow what follows. */
  async finish(...names: string[]): Promise<void> {
    for (const name of names) this.take(name).resolve(undefined);
    await settle();
  }
  /** Ends what runs, and what follows, until nothing does. */
  async finishAll(): Promise<void> {
    while (this.open.size > 0) await this.finish(...this.running);
  }
  async finishWith(name: string, result: unknown): Promise<void> {
    this.take(name).resolve(result);
    await settle();
  }
  async fail(name: string, error: unknown = new Error(`${name} failed`)): Promise<void> {
    this.take(name).reject(error);
    await settle();
  }

  private take(name: string): Deferred<unknown> {
    const call = this.open.get(name);
    if (call === undefined) throw new Error(`${name} does not run; ${this.running.join(' and ')} do`);
    this.open.delete(name);
    return call;
  }
}

/**
 * Lets promises and what is due in the event loop happen. On a busy machine a slice may be over after any call, and what
 * follows takes a turn more.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Stops the clock by which the event loop gets its turns, for each test of the block or file: on a busy machine one of
 * them would come between two steps of a test that looks at what happens at once.
 */
export function stopClock(): void {
  let clock: jest.Spied<typeof performance.now>;
  beforeEach(() => {
    clock = jest.spyOn(performance, 'now').mockReturnValue(1_000);
  });
  afterEach(() => clock.mockRestore());
}
