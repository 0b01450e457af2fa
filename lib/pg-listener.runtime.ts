import { Subscription, type BehaviorSubject } from 'rxjs';
import { LifecycleError } from './errors/app.error.js';
import { StartupTimeoutError } from './errors/replication.error.js';
import { createDispatcher } from './events/create-dispatcher.js';
import type { EventsDispatcher } from './events/events.dispatcher.js';
import { ALL_OPERATIONS, operationMask, type ChangeStreams } from './events/change-streams.js';
import { TablePattern } from './changes/table-pattern.js';
import type { ListenerRuntime } from './interfaces/listener-runtime.interface.js';
import type { HandlerDefinition } from './interfaces/handler-definition.interface.js';
import type { ListenerLogger } from './interfaces/listener-logger.interface.js';
import type { PgListenerState, PgListenerStats, PgListenerStatus } from './interfaces/status.interface.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { formatLsn, type Lsn } from './protocol/lsn.js';
import { DeliveryProgress } from './replication/delivery-progress.js';
import { PublicationManager } from './replication/publication-manager.js';
import type { TableSubscription } from './replication/publication-plan.js';
import { ReplicationSupervisor, type StateDetails } from './replication/replication.supervisor.js';
import { SlotManager } from './replication/slot-manager.js';
import { SlotMemory } from './replication/slot-memory.js';

/** Tables that an app hears, with who asked for them. */
export interface FeatureTable {
  readonly name: string;
  readonly source: string;
}

/** What an app is wired of. */
export interface RuntimeParts {
  readonly config: PgListenerConfig;
  /** In discovery order. */
  readonly definitions: readonly HandlerDefinition[];
  readonly features: readonly FeatureTable[];
  readonly streams: ChangeStreams;
  readonly status: BehaviorSubject<PgListenerStatus>;
  readonly logger: ListenerLogger;
}

/**
 * One app, wired: handlers and observables on one side, the supervised stream on the other, the transaction sink
 * between them. Made when the application initialises; opens nothing before `start()`.
 */
export class AppRuntime implements ListenerRuntime {
  private readonly dispatcher: EventsDispatcher;
  private readonly supervisor: ReplicationSupervisor;
  private readonly counters = { changesReceived: 0, transactionsReceived: 0 };
  private stopping: Promise<void> | undefined;

  private readonly config: PgListenerConfig;
  private readonly status: BehaviorSubject<PgListenerStatus>;
  private readonly logger: ListenerLogger;

  constructor({ config, definitions, features, streams, status, logger }: RuntimeParts) {
    this.config = config;
    this.status = status;
    this.logger = logger;
    const { name, connection, slot, publications, managedPublication } = config;
    this.dispatcher = createDispatcher(config, definitions, streams, logger, {
      onFault: (error) => this.supervisor.halt(error),
    });
    const target = { app: name, connection };
    const subscriptions = subscriptionsOf(definitions, features);
    this.supervisor = new ReplicationSupervisor(
      {
        target,
        slots: new SlotManager(target, slot.name),
        publications: new PublicationManager(
          target,
          { publications, managedName: managedPublication, subscriptions },
          logger,
        ),
        wantsMessages: definitions.some(({ kind }) => kind === 'message'),
        sink: this.dispatcher,
        progress: new DeliveryProgress(),
        memory: new SlotMemory(slot.name),
        counters: this.counters,
        logger,
      },
      (state, details) => this.onState(state, details),
    );
  }

  /** Resolves when the stream runs or the app stands by. @throws PgListenerError */
  async start(): Promise<void> {
    if (!this.config.enabled) return;
    await this.stopping;
    this.dispatcher.begin();
    this.supervisor.start();
    await this.running();
  }

  /** Drains, confirms, closes. */
  stop(): Promise<void> {
    this.stopping ??= this.drain().finally(() => (this.stopping = undefined));
    return this.stopping;
  }

  get blockedHandler(): string | null {
    return this.dispatcher.blocked;
  }

  stats(state: PgListenerState): PgListenerStats {
    const { dispatcher, supervisor, counters } = this;
    return {
      app: this.config.name,
      state,
      changesReceived: counters.changesReceived,
      changesHandled: dispatcher.changesHandled,
      transactionsReceived: counters.transactionsReceived,
      failures: dispatcher.failures,
      reconnects: supervisor.reconnects,
      pendingChanges: dispatcher.queue.pendingChanges,
      pendingBytes: dispatcher.queue.pendingBytes,
      unsettledTransactions: supervisor.unsettled,
      confirmedLsn: lsnText(supervisor.confirmedLsn),
      receivedLsn: lsnText(supervisor.receivedLsn),
    };
  }

  private async drain(): Promise<void> {
    if (['idle', 'stopped'].includes(this.status.value.state)) return;
    const { shutdownTimeoutMs } = this.config;
    const deadline = setTimeout(() => {
      this.logger.warn(`Handlers have not finished within ${shutdownTimeoutMs} ms; what they had in hand comes again`);
      this.dispatcher.abandon();
    }, shutdownTimeoutMs);
    // Without a stream, the rest of a half-delivered transaction cannot come.
    if (this.status.value.state === 'streaming') await this.dispatcher.drain();
    else this.dispatcher.abandon();
    clearTimeout(deadline);
    await this.supervisor.stop();
  }

  /** Settles with the first state that tells how the start has gone. */
  private running(): Promise<void> {
    const { name, startup } = this.config;
    return new Promise<void>((resolve, reject) => {
      let lastError: Error | undefined;
      const watch = new Subscription();
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        watch.unsubscribe();
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => {
        watch.unsubscribe();
        void this.stop().finally(() => settle(startupTimeout(name, startup.timeoutMs, lastError)));
      }, startup.timeoutMs);
      watch.add(
        this.status.subscribe(({ state, error }) => {
          lastError = error ?? lastError;
          if (state === 'streaming' || state === 'standby') settle();
          else if (state === 'halted') settle(error);
          else if (state === 'stopped') settle(new LifecycleError('Stopped while it started', { app: name }));
        }),
      );
    });
  }

  private onState(state: PgListenerState, details: StateDetails): void {
    this.status.next({ app: this.config.name, state, since: new Date(), ...details });
  }
}

function startupTimeout(app: string, timeoutMs: number, cause: Error | undefined): StartupTimeoutError {
  const reason = cause === undefined ? '' : `: ${cause.message}`;
  const hint = cause === undefined ? 'look at the log; or set startup.wait to false.' : undefined;
  return new StartupTimeoutError(`No stream within ${timeoutMs} ms${reason}`, { app, cause, hint });
}

function lsnText(lsn: Lsn): string | null {
  return lsn === 0n ? null : formatLsn(lsn);
}

function subscriptionsOf(
  definitions: readonly HandlerDefinition[],
  features: readonly FeatureTable[],
): TableSubscription[] {
  const ofHandlers = definitions
    .filter(({ kind }) => kind === 'table')
    .map(({ id, tables, operations }) => ({
      pattern: new TablePattern(tables),
      mask: operationMask(operations),
      source: id,
    }));
  const ofFeatures = features.map(({ name, source }) => ({
    pattern: new TablePattern([name]),
    mask: ALL_OPERATIONS,
    source,
  }));
  return [...ofHandlers, ...ofFeatures];
}
