import { Insert, type ChangePlace, type RowChange } from '#lib/changes/change.js';
import { TableDescription } from '#lib/changes/schema-change.js';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { CommittedTransaction, TransactionInfo, TransactionTally, type TableName } from '#lib/changes/transaction.js';
import { ChangeStreams } from '#lib/events/change-streams.js';
import { EventsDispatcher } from '#lib/events/events.dispatcher.js';
import { HandlerRegistry } from '#lib/events/handler-registry.js';
import { HandlerRunner } from '#lib/events/handler-runner.js';
import { SchemaBook } from '#lib/events/schemas/schema-book.js';
import { SchemaCalls } from '#lib/events/schemas/schema-calls.js';
import type { HandlerDefinition } from '#lib/interfaces/handler-definition.interface.js';
import type { SchemaStore } from '#lib/interfaces/schema-store.interface.js';
import type { TableShape } from '#lib/interfaces/schema-change.interface.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { MemoryEffectsStore } from '#lib/testing/memory-effects.store.js';
import { MemoryParkedStore } from '#lib/testing/memory-parked.store.js';
import { SOME_TIME } from '../../support/pgoutput-encoder.js';
import { HISTORY } from '../../support/history.js';

/** A handler: by default of every operation on `orders`. */
export interface HandlerSpec extends Partial<Omit<HandlerDefinition, 'callback'>> {
  readonly run: (payload: never, context: PgListenerContext) => unknown;
}

export const RETRY = { attempts: 3, minDelayMs: 1, maxDelayMs: 2, factor: 2, jitter: 0 };
const BYTES = 100;

export function definitionOf({ run, ...more }: HandlerSpec): HandlerDefinition {
  return {
    id: 'Orders.onChange',
    app: 'default',
    kind: 'table',
    tables: ['orders'],
    operations: [],
    prefix: null,
    whenChanged: [],
    oldRecord: [],
    concurrency: undefined,
    batch: undefined,
    transactional: false,
    retry: undefined,
    onExhausted: undefined,
    instance: {},
    methodName: 'onChange',
    callback: run as HandlerDefinition['callback'],
    ...more,
  };
}

export function runnerOf(spec: HandlerSpec, retry = RETRY): HandlerRunner {
  return new HandlerRunner(definitionOf(spec), { app: 'default', retry, onExhausted: 'block', toast: null });
}

export interface BenchOptions {
  readonly limits?: { changes: number; bytes: number };
  readonly store?: MemoryParkedStore;
  readonly schemaStore?: SchemaStore;
}

/** A dispatcher with real handlers, and what it says. */
export class DispatcherUnderTest {
  readonly streams = new ChangeStreams();
  readonly errors: string[] = [];
  readonly stacks: (string | undefined)[] = [];
  readonly faults: Error[] = [];
  readonly store: MemoryParkedStore;
  readonly dispatcher: EventsDispatcher;
  rooms = 0;

  constructor(handlers: readonly HandlerSpec[], { limits, store, schemaStore }: BenchOptions = {}) {
    this.store = store ?? new MemoryParkedStore();
    const logger = {
      log: () => undefined,
      warn: () => undefined,
      error: (text: string, stack?: string) => {
        this.errors.push(text);
        this.stacks.push(stack);
      },
    };
    const runners = handlers.map((spec) => runnerOf(spec));
    const handling = { app: 'default', retry: RETRY, onExhausted: 'block', toast: null } as const;
    const book = new SchemaBook(runners, schemaStore ?? null, () => undefined);
    this.dispatcher = new EventsDispatcher({
      app: 'default',
      limits: limits ?? { changes: 1_000, bytes: 1_000_000 },
      registry: new HandlerRegistry(runners, this.streams),
      streams: this.streams,
      parked: this.store,
      effects: new MemoryEffectsStore('default'),
      schemas: new SchemaCalls(book, handling),
      loadsParked: true,
      logger,
      onFault: (error) => this.faults.push(error),
    });
    this.dispatcher.onRoom = () => this.rooms++;
    this.dispatcher.begin();
  }
}

/** With transactions made by hand on its other side. */
export class DispatcherBench extends DispatcherUnderTest {
  transaction(commitLsn: bigint): TransactionUnderTest {
    return new TransactionUnderTest(this.dispatcher, commitLsn);
  }

  /** A transaction of its own for each row. */
  deliver(...ids: number[]): TransactionUnderTest[] {
    return ids.map((id) =>
      this.transaction(BigInt(id) * 0x100n)
        .change(id)
        .commit(),
    );
  }

  /** A logical message outside of any transaction. @returns whether it has been settled */
  message(lsn: bigint, prefix = 'outbox'): () => boolean {
    let isSettled = false;
    const event = LogicalMessageEvent.alone('default', contentOf(prefix, lsn, false), HISTORY);
    this.dispatcher.message(event, BYTES, { settle: () => void (isSettled = true) });
    return () => isSettled;
  }
}

/** The `id` of the row that a change is about. */
export function idOf(change: unknown): number {
  return (change as { record: { id: number } }).record.id;
}

export class TransactionUnderTest {
  readonly info: TransactionInfo;
  readonly changes: RowChange[] = [];
  settled = 0;
  private readonly tally = new TransactionTally();
  private index = 0;

  constructor(
    private readonly dispatcher: EventsDispatcher,
    readonly commitLsn: bigint,
  ) {
    this.info = new TransactionInfo('default', commitLsn, 700, SOME_TIME, HISTORY);
  }

  /** Inserts a row with this id. */
  change(id: number, table = 'orders', bytes = BYTES): this {
    return this.hand((relation, place) => new Insert(this.info, relation, place, { id }), table, bytes);
  }

  hand(make: (relation: TableName, place: ChangePlace) => RowChange, table = 'orders', bytes = BYTES): this {
    const place = placeAt(this.commitLsn - 0x80n + BigInt(this.index), this.index++);
    const change = make({ schema: 'public', table }, place);
    this.tally.add(change.relation, change.operation);
    this.changes.push(change);
    this.dispatcher.change(change, this.dispatcher.route(described(table)), bytes, null);
    return this;
  }

  /** The rows behind it come in this shape. */
  describe(shape: TableShape): this {
    const place = placeAt(this.commitLsn - 0x80n + BigInt(this.index), this.index);
    this.dispatcher.description(new TableDescription(this.info, place, shape));
    return this;
  }

  message(prefix = 'outbox'): this {
    const end = this.commitLsn - 0x80n + BigInt(this.index++) + 1n;
    this.dispatcher.message(new LogicalMessageEvent(this.info, contentOf(prefix, end, true)), BYTES, null);
    return this;
  }

  commit(): this {
    this.dispatcher.commit(new CommittedTransaction(this.info, this.tally), { settle: () => this.settled++ });
    return this;
  }
}

/** A table whose rows are told apart by `id`. */
export function described(table: string, schema = 'public') {
  return { schema, table, keyColumns: ['id'], signature: '' };
}

function placeAt(wal: bigint, index: number) {
  return { walHigh: 0, walLow: Number(wal), ordinal: 0, index };
}

function contentOf(prefix: string, lsn: bigint, transactional: boolean) {
  return { transactional, lsn, prefix, content: Buffer.from('hello') };
}

/** A promise and the means to settle it. */
export class Deferred<T = void> {
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A handler that notes ids and waits where it is told to. */
export class WaitingHandler {
  readonly seen: number[] = [];
  readonly signals: AbortSignal[] = [];
  readonly waits = new Map<number, Deferred>();

  readonly spec: HandlerSpec = {
    id: 'Orders.onChange',
    run: (change: RowChange, { signal }: PgListenerContext) => {
      this.seen.push(idOf(change));
      this.signals.push(signal);
      return this.waits.get(idOf(change))?.promise;
    },
  };

  waitAt(id: number): Deferred {
    const wait = new Deferred();
    this.waits.set(id, wait);
    return wait;
  }
}
