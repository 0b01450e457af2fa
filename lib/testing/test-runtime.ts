// Not the global ones: a test that has put fake timers in must not hold the listener up.
import { clearTimeout, setTimeout } from 'node:timers';
import type { BehaviorSubject } from 'rxjs';
import type { ChangePlace } from '../changes/change.js';
import { CommittedTransaction, TransactionInfo, TransactionTally } from '../changes/transaction.js';
import { LifecycleError } from '../errors/app.error.js';
import { createDispatcher } from '../events/create-dispatcher.js';
import { ParkedRedriver } from '../events/parked/parked-redriver.js';
import { MemoryEffectsStore } from './memory-effects.store.js';
import { MemoryParkedStore } from './memory-parked.store.js';
import type { EventsDispatcher } from '../events/events.dispatcher.js';
import type { HandlerDefinition, HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { ListenerRuntime } from '../interfaces/listener-runtime.interface.js';
import type { PgListenerState, PgListenerStats, PgListenerStatus } from '../interfaces/status.interface.js';
import { formatLsn } from '../protocol/lsn.js';
import type { RuntimeParts } from '../pg-listener.runtime.js';
import type { Emission } from './emissions.js';

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
  private readonly status: BehaviorSubject<PgListenerStatus>;
  private readonly shutdownTimeoutMs: number;
  private called: string[] = [];
  private fail: (error: unknown) => void = () => undefined;
  private transactions = 0;
  private changes = 0;
  private tail: Promise<unknown> = Promise.resolve();
  private unsettled = 0;
  private isStopping = false;

  constructor({ config, definitions, streams, status, logger }: RuntimeParts) {
    this.app = config.name;
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
    if (this.status.value.state !== 'streaming') return;
    this.isStopping = true;
    const impatient = setTimeout(() => this.dispatcher.abandon(), this.shutdownTimeoutMs);
    await this.dispatcher.drain();
    clearTimeout(impatient);
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
    const emitted = this.unsettled++ === 0 ? this.deliver(emissions) : this.tail.then(() => this.deliver(emissions));
    const settled = (): void => void this.unsettled--;
    this.tail = emitted.then(settled, settled);
    return emitted;
  }

  stats(state: PgListenerState): PgListenerStats {
    const { app, dispatcher, changes, transactions } = this;
    const { changesHandled, desk, parking, queue } = dispatcher;
    const lsn = transactions === 0 ? null : formatLsn(this.commitLsn);
    return {
      app,
      state,
      changesReceived: changes,
      changesHandled,
      transactionsReceived: transactions,
      failures: desk.failures,
      skipped: desk.skipped,
      parked: parking.size,
      repeats: 0,
      reconnects: 0,
      pendingChanges: queue.pendingChanges,
      pendingBytes: queue.pendingBytes,
      unsettledTransactions: queue.pendingChanges === 0 ? 0 : 1,
      inProgress: { transactions: 0, memoryBytes: 0, diskBytes: 0 },
      confirmedLsn: lsn,
      receivedLsn: lsn,
    };
  }

  private get commitLsn(): bigint {
    return FIRST_LSN + BigInt(this.transactions) * LSN_STEP;
  }

  private deliver(emissions: readonly Emission[]): Promise<string[]> {
    if (this.isStopping) return Promise.reject(this.stopped('it was begun', 'await emit() before stop() or close().'));
    this.called = [];
    this.transactions++;
    const { dispatcher, called, commitLsn } = this;
    const transaction = new TransactionInfo(this.app, commitLsn, FIRST_XID + this.transactions, new Date());
    const tally = new TransactionTally();
    return new Promise((resolve, reject) => {
      let isGivenUp = false;
      this.fail = (error) => {
        isGivenUp = true;
        reject(error as Error);
      };
      try {
        for (const [index, each] of emissions.entries()) {
          if (isGivenUp) return;
          const walLow = Number(commitLsn) - emissions.length + index;
          this.hand(each, transaction, tally, { walHigh: 0, walLow, ordinal: 0, index });
        }
      } catch (error) {
        // None of ours was handed in: what came before it must not wait for a commit.
        this.giveUp(error);
      }
      if (isGivenUp) return;
      dispatcher.commit(new CommittedTransaction(transaction, tally), { settle: () => resolve(called) });
    });
  }

  private stopped(before: string, hint: string): LifecycleError {
    return new LifecycleError(`The listener was stopped before ${before}: the emission is given up`, {
      app: this.app,
      hint,
    });
  }

  private hand(emission: Emission, transaction: TransactionInfo, tally: TransactionTally, place: ChangePlace): void {
    const { dispatcher } = this;
    if (emission.kind === 'message') return dispatcher.message(emission.make(transaction, place), 0, null);
    if (emission.kind === 'schema') return dispatcher.description(emission.make(transaction, place));
    const { table } = emission;
    const change = emission.make(transaction, table, place);
    this.changes++;
    tally.add(table, change.operation);
    dispatcher.change(change, dispatcher.route({ ...table, keyColumns: null, signature: '' }), 0, null);
  }

  /** The test has to hear of it; what is left of the transaction is dropped, and the next one starts afresh. */
  private giveUp(error: unknown): true {
    this.dispatcher.abandon();
    this.dispatcher.begin();
    this.fail(error);
    return true;
  }

  private withRecord(definition: HandlerDefinition): HandlerDefinition {
    const { id, methodName, enhance } = definition;
    const record = (attempt: number): void => void (attempt === 1 && this.called.push(id));
    // By its name: the test may have put a spy there.
    const byName: HandlerMethod = function (this: object, ...parameters: unknown[]) {
      return (this as Record<string, (...given: unknown[]) => unknown>)[methodName]!(...parameters);
    };
    Object.defineProperty(byName, 'name', { value: methodName });
    const method = enhance?.(byName) ?? byName;
    return {
      ...definition,
      callback(payload, context) {
        record((context as { attempt: number }).attempt);
        return method.call(this, payload, context);
      },
    };
  }

  /** As many attempts as in earnest, one right after the other. */
  private withoutDelays(definition: HandlerDefinition): HandlerDefinition {
    return { ...definition, retry: { ...definition.retry, minDelayMs: 0 } };
  }

  private enter(state: PgListenerState): void {
    this.status.next({ app: this.app, state, since: new Date() });
  }
}
