// Not the global ones: a test that has put fake timers in must not hold the listener up.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { BehaviorSubject } from 'rxjs';
import { TransactionInfo } from '../changes/transaction.js';
import { LifecycleError } from '../errors/app.error.js';
import { ConnectionError } from '../errors/replication.error.js';
import { createDispatcher } from '../events/create-dispatcher.js';
import { handlerStats, timeHandlers } from '../events/handler-stats.js';
import { ParkedRedriver } from '../events/parked/parked-redriver.js';
import { EmittedTransaction } from './emitted-transaction.js';
import { MemoryEffectsStore } from './memory-effects.store.js';
import { MemoryParkedStore } from './memory-parked.store.js';
import { ReplayedStream } from './replayed-stream.js';
import type { PgListenerConfig } from '../configs/pg-listener-config.js';
import type { EventsDispatcher } from '../events/events.dispatcher.js';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { ListenerRuntime, RuntimeStats } from '../interfaces/listener-runtime.interface.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { PgListenerState, PgListenerStatus } from '../interfaces/status.interface.js';
import { formatLsn } from '../protocol/lsn.js';
import type { RuntimeParts } from '../pg-listener.runtime.js';
import type { Emission } from './emissions.js';
import type { StreamRecording } from './stream-recording.js';

/** Any position will do; one that looks like those of a server is easier to read. */
const FIRST_LSN = 0x1000028n;
const LSN_STEP = 0x100n;
const FIRST_XID = 701;

/** The handlers and observables of one app, with nothing before the dispatcher: transactions come from `emit`. */
export class TestRuntime implements ListenerRuntime {
  private readonly dispatcher: EventsDispatcher;
  readonly parked: ParkedRedriver;
  readonly effects: MemoryEffectsStore;
  private readonly app: string;
  private readonly config: PgListenerConfig;
  private readonly status: BehaviorSubject<PgListenerStatus>;
  private readonly shutdownTimeoutMs: number;
  private called: string[] = [];
  private fail: (error: unknown) => void = () => undefined;
  private transactions = 0;
  private readonly counters = { changesReceived: 0, transactionsReceived: 0 };
  private reconnects = 0;
  /** Hands over, once more on the next connection, what is in hand. */
  private handOver: (() => void) | null = null;
  private reconnecting: Promise<void> | null = null;
  /** As a server would be known: what is held back until it is known belongs to it. */
  private history: StreamHistory = { systemIdentifier: '0', timeline: '1' };
  private tail: Promise<unknown> = Promise.resolve();
  private unsettled = 0;
  private isStopping = false;

  constructor({ config, definitions, streams, status, logger, watch }: RuntimeParts) {
    this.app = config.name;
    this.config = config;
    this.status = status;
    this.shutdownTimeoutMs = config.shutdownTimeoutMs;
    const told = definitions.map((each) => this.withoutDelays(this.withRecord(each)));
    const store = new MemoryParkedStore();
    this.effects = new MemoryEffectsStore(this.app);
    this.dispatcher = createDispatcher(
      config,
      told,
      streams,
      logger,
      { parked: store, effects: this.effects },
      {
        onFault: (error) => this.giveUp(error),
        onExhausted: (error) => this.giveUp(error),
        watch,
      },
    );
    const { dispatcher } = this;
    this.parked = new ParkedRedriver({
      store,
      parking: dispatcher.parking,
      redrive: (parked) => dispatcher.redrive(parked),
      isStreaming: () => this.status.value.state === 'streaming',
      retryEveryMs: undefined,
      logger,
    });
  }

  get blocked(): null {
    return null;
  }

  async start(): Promise<void> {
    this.isStopping = false;
    this.dispatcher.begin();
    this.enter('streaming');
  }

  async stop(): Promise<void> {
    if (['idle', 'stopped'].includes(this.status.value.state)) return;
    this.isStopping = true;
    await this.reconnecting;
    const impatient = setTimeout(() => this.dispatcher.abandon(), this.shutdownTimeoutMs);
    await this.dispatcher.drain();
    clearTimeout(impatient);
    await this.dispatcher.effects.close();
    // Without effect where its handlers have finished.
    this.fail(this.stopped('its handlers had finished', 'raise shutdownTimeoutMs, or mend the handler that runs on.'));
    this.enter('stopped');
  }

  /**
   * One transaction, when those before it have settled; at once where there are none.
   *
   * @returns ids of the handlers that were called, in order
   * @throws what a handler has thrown at its last attempt; LifecycleError where the listener stops before it is done
   */
  emit(emissions: readonly Emission[]): Promise<string[]> {
    return this.inTurn(() => this.deliver(emissions));
  }

  /** What was recorded, as `emit` does with a transaction: @throws as `emit`, and DecodeError */
  replay(recording: StreamRecording): Promise<string[]> {
    return this.inTurn(() => this.play(recording));
  }

  /**
   * What a connection that breaks does: what was not handed to handlers is forgotten, what runs runs on, and the next
   * connection brings the transaction in hand again. That it is gone is heard of in the next turn of the event loop.
   *
   * @returns whether there was one
   */
  dropConnection(): boolean {
    if (this.reconnecting !== null || this.status.value.state !== 'streaming') return false;
    this.reconnecting = this.reconnect().finally(() => (this.reconnecting = null));
    // What is emitted meanwhile waits.
    void this.inTurn(async () => this.reconnecting);
    return true;
  }

  /** There is no server to ask. */
  measure(): Promise<void> {
    return Promise.resolve();
  }

  timeHandlers(bounds: readonly number[]): void {
    timeHandlers(this.dispatcher, bounds);
  }

  stats(state: PgListenerState): RuntimeStats {
    const { app, dispatcher, counters, transactions } = this;
    const { changesHandled, desk, parking, queue } = dispatcher;
    const lsn = transactions === 0 ? null : formatLsn(this.commitLsn);
    return {
      app,
      state,
      changesHandled,
      ...counters,
      failures: desk.failures,
      skipped: desk.skipped,
      parked: parking.size,
      repeats: 0,
      reconnects: this.reconnects,
      pendingChanges: queue.pendingChanges,
      pendingBytes: queue.pendingBytes,
      unsettledTransactions: queue.pendingChanges === 0 ? 0 : 1,
      inProgress: { transactions: 0, memoryBytes: 0, diskBytes: 0 },
      lagSeconds: state === 'streaming' ? 0 : null,
      handlers: handlerStats(dispatcher),
      slot: null,
      slotProblem: null,
      confirmedLsn: lsn,
      receivedLsn: lsn,
    };
  }

  private get commitLsn(): bigint {
    return FIRST_LSN + BigInt(this.transactions) * LSN_STEP;
  }

  private inTurn<T>(begin: () => Promise<T>): Promise<T> {
    const begun = this.unsettled++ === 0 ? begin() : this.tail.then(begin);
    const settled = (): void => void this.unsettled--;
    this.tail = begun.then(settled, settled);
    return begun;
  }

  private deliver(emissions: readonly Emission[]): Promise<string[]> {
    if (this.isStopping) return Promise.reject(this.stopped('it was begun', 'await emit() before stop() or close().'));
    this.called = [];
    this.transactions++;
    const { dispatcher, called, commitLsn } = this;
    const info = new TransactionInfo(this.app, commitLsn, FIRST_XID + this.transactions, new Date());
    const transaction = new EmittedTransaction(emissions, info);
    this.counters.transactionsReceived++;
    this.counters.changesReceived += transaction.size;
    return this.settled((resolve, isGivenUp) => {
      this.handOver = () => {
        try {
          transaction.deliver(dispatcher, isGivenUp, () => resolve(called));
        } catch (error) {
          // None of ours was handed in: what came before it must not wait for a commit.
          this.giveUp(error);
        }
      };
      this.handOver();
    });
  }

  private async play(recording: StreamRecording): Promise<string[]> {
    if (this.isStopping) throw this.stopped('it was begun', 'await replay() before stop() or close().');
    const called: string[] = (this.called = []);
    const { dispatcher, config, counters } = this;
    const { history } = this;
    // Positions of another log: they would be taken for those of what was emitted.
    dispatcher.forget();
    let stream!: ReplayedStream;
    try {
      return await this.settled((resolve) => {
        const done = (): void => resolve(called);
        const failed = (error: unknown): void => void this.giveUp(error);
        stream = new ReplayedStream(recording, { config, sink: dispatcher, counters, done, failed });
        this.history = stream.history;
        this.handOver = () => stream.connect();
        dispatcher.hold();
        this.handOver();
        void this.open();
      });
    } finally {
      stream.close();
      this.history = history;
      dispatcher.forget();
    }
  }

  /** Until what is handed over has settled, or is given up. */
  private settled(
    handOver: (resolve: (called: string[]) => void, isGivenUp: () => boolean) => void,
  ): Promise<string[]> {
    return new Promise<string[]>((resolve, reject) => {
      let isGivenUp = false;
      this.fail = (error) => {
        isGivenUp = true;
        reject(error as Error);
      };
      handOver(resolve, () => isGivenUp);
    }).finally(() => (this.handOver = null));
  }

  private open(): Promise<void> {
    return this.dispatcher.open({ history: this.history, slotName: null, from: 0n, isContinued: true });
  }

  private async reconnect(): Promise<void> {
    await new Promise((done) => setImmediate(done));
    const { dispatcher } = this;
    const error = new ConnectionError('The connection to the server was closed: the test has dropped it', {
      app: this.app,
    });
    this.enter('backing-off', { error, retryInMs: 0 });
    dispatcher.abort();
    this.enter('connecting');
    dispatcher.hold();
    this.handOver?.();
    await this.open();
    this.reconnects++;
    this.enter('streaming');
  }

  private stopped(before: string, hint: string): LifecycleError {
    return new LifecycleError(`The listener was stopped before ${before}: the emission is given up`, {
      app: this.app,
      hint,
    });
  }

  /** The test has to hear of it; what is left of the transaction is dropped, and the next one starts afresh. */
  private giveUp(error: unknown): true {
    this.dispatcher.abandon();
    this.dispatcher.begin();
    this.fail(error);
    return true;
  }

  private withRecord(definition: HandlerDefinition): HandlerDefinition {
    const { id, callback } = definition;
    const record = (attempt: number): void => void (attempt === 1 && this.called.push(id));
    return {
      ...definition,
      callback(payload, context) {
        record((context as { attempt: number }).attempt);
        return callback.call(this, payload, context);
      },
    };
  }

  /** As many attempts as in earnest, one right after the other. */
  private withoutDelays(definition: HandlerDefinition): HandlerDefinition {
    return { ...definition, retry: { ...definition.retry, minDelayMs: 0 } };
  }

  private enter(state: PgListenerState, details: Partial<PgListenerStatus> = {}): void {
    this.status.next({ app: this.app, state, since: new Date(), ...details });
  }
}
