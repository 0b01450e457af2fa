import { setTimeout as sleep } from 'node:timers/promises';
import { Subscription, type BehaviorSubject, type Subject } from 'rxjs';
import { LifecycleError } from './errors/app.error.js';
import { GapError, StartupTimeoutError } from './errors/replication.error.js';
import { createDispatcher } from './events/create-dispatcher.js';
import { handlerStats, timeHandlers } from './events/handler-stats.js';
import { ToastFiller } from './events/toast-filler.js';
import type { EventsDispatcher } from './events/events.dispatcher.js';
import { ParkedRedriver } from './events/parked/parked-redriver.js';
import type { ChangeStreams } from './events/change-streams.js';
import type { PgListenerGap } from './interfaces/gap.interface.js';
import type { GapDesk, ListenerRuntime, RuntimeStats } from './interfaces/listener-runtime.interface.js';
import type { DeliveryWatch } from './interfaces/delivery-watch.interface.js';
import type { HandlerDefinition } from './interfaces/handler-definition.interface.js';
import type { ListenerLogger } from './interfaces/listener-logger.interface.js';
import type { PgListenerState, PgListenerStatus } from './interfaces/status.interface.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import type { ParkedStore } from './interfaces/parked-store.interface.js';
import type { CustomTypes } from './types/type-parsers.js';
import { DatabaseTypes } from './connection/database-types.js';
import { serviceName } from './configs/service-name.js';
import { formatLsn, type Lsn } from './protocol/lsn.js';
import { DeliveryProgress } from './replication/delivery-progress.js';
import { PublicationManager } from './publications/publication-manager.js';
import { FormatChoice } from './replication/format-choice.js';
import { StreamLag } from './replication/stream-lag.js';
import { ReplicationSupervisor, type StateDetails } from './replication/replication.supervisor.js';
import { PgEffectsStore } from './store/effects/effects.store.js';
import { PgSchemaStore } from './store/schemas.store.js';
import { PgParkedStore } from './store/parked.store.js';
import { SlotLife } from './slots/slot-life.js';
import { SlotMonitor } from './slots/slot-monitor.js';
import { StreamLease } from './store/stream-lease.js';
import { ToastReader } from './store/toast.reader.js';
import { subscriptionsOf, type FeatureTable } from './pg-listener.subscriptions.js';

/** How long a stop waits for the table of parked changes, where the server does not answer. */
const STORE_GRACE_MS = 1_000;

/** What an app is wired of. */
export interface RuntimeParts {
  readonly config: PgListenerConfig;
  /** In discovery order. */
  readonly definitions: readonly HandlerDefinition[];
  readonly features: readonly FeatureTable[];
  readonly streams: ChangeStreams;
  readonly status: BehaviorSubject<PgListenerStatus>;
  /** Told of each gap when it is found. */
  readonly gaps: Subject<PgListenerGap>;
  readonly logger: ListenerLogger;
  /** Undefined: nobody looks on. */
  readonly watch?: DeliveryWatch;
}

/**
 * One app, wired: handlers and observables on one side, the supervised stream on the other, the transaction sink
 * between them. Made when the application initialises; opens nothing before `start()`.
 */
export class AppRuntime implements ListenerRuntime {
  private readonly dispatcher: EventsDispatcher;
  private readonly supervisor: ReplicationSupervisor;
  private readonly store: ParkedStore;
  private readonly toast: ToastReader;
  readonly parked: ParkedRedriver;
  private readonly life: SlotLife;
  private readonly monitor: SlotMonitor;
  private readonly counters = { changesReceived: 0, transactionsReceived: 0 };
  private stopping: Promise<void> | undefined;
  /** Calls of `stop()`: a start that waits for its turn is over with the next one. */
  private stops = 0;

  private readonly config: PgListenerConfig;
  private readonly status: BehaviorSubject<PgListenerStatus>;
  private readonly logger: ListenerLogger;

  constructor({ config, definitions, features, streams, status, gaps, logger, watch }: RuntimeParts) {
    this.config = config;
    this.status = status;
    this.logger = logger;
    const { name, connection, slot, service, onGap, publications, managedPublication } = config;
    const target = { app: name, connection };
    const lease = new StreamLease(slot.name);
    const customTypes = connection.types as CustomTypes | undefined;
    const types = new DatabaseTypes({ ...config.types, customTypes }, logger);
    this.store = new PgParkedStore(target, {
      // A temporary slot has another name each time; what is parked stays.
      slotName: slot.name ?? temporaryName(name),
      app: name,
      types,
      lease,
      isFailover: slot.failover,
      logger,
    });
    this.toast = new ToastReader(target, types);
    const effects = this.effectsStore(definitions, lease);
    const hooks = {
      onFault: (error: Error) => this.supervisor.halt(error),
      onSuperseded: (error: Error) => this.supervisor.leave(error),
      watch,
    };
    const stores = {
      parked: this.store,
      effects,
      // A temporary slot begins anew each time, and so does what is known.
      schemas: slot.name === null ? null : new PgSchemaStore(target, { app: name, slotName: slot.name, lease, logger }),
      toast: config.toast === 'reread' ? new ToastFiller(this.toast, logger) : null,
    };
    this.dispatcher = createDispatcher(config, definitions, streams, logger, stores, hooks);
    this.parked = this.redriver();
    const subscriptions = subscriptionsOf(definitions, features);
    this.life = new SlotLife({
      target,
      slot,
      twoPhase: config.twoPhase,
      service: () => service ?? serviceName(),
      handlerIds: definitions.map(({ id }) => id),
      onGap,
      lease,
      logger,
      onGapFound: (gap) => gaps.next(gap),
    });
    this.monitor = new SlotMonitor(target, () => this.life.slots.name);
    this.supervisor = new ReplicationSupervisor(
      {
        target,
        life: this.life,
        publications: new PublicationManager(
          target,
          { publications, managedName: managedPublication, subscriptions },
          logger,
        ),
        wantsMessages: definitions.some(({ kind }) => kind === 'message'),
        origin: config.origin,
        streaming: config.streaming,
        mostStreamedBytes: config.limits.bytes,
        twoPhase: config.twoPhase,
        types,
        format: new FormatChoice(config.binary, logger),
        rereadsToast: config.toast === 'reread',
        sink: this.dispatcher,
        progress: new DeliveryProgress(),
        counters: this.counters,
        lag: new StreamLag(),
        logger,
      },
      (state, details) => this.onState(state, details),
    );
  }

  /** Resolves when the stream runs or the app stands by. @throws PgListenerError */
  async start(): Promise<void> {
    if (!this.config.enabled) return;
    const { stops } = this;
    // No turn is given away where nothing stops: a stop() that follows must find it started.
    while (this.stopping !== undefined) await this.stopping;
    if (stops !== this.stops) throw stoppedMeanwhile(this.config.name);
    this.dispatcher.begin();
    this.supervisor.start();
    this.parked.start();
    await this.running();
  }

  /** Drains, confirms, closes. */
  stop(): Promise<void> {
    this.stops++;
    this.stopping ??= this.drain().finally(() => (this.stopping = undefined));
    return this.stopping;
  }

  /** Breaks the connection of the stream as a network does: for tests. @returns whether there was one */
  dropConnection(): boolean {
    if (this.status.value.state !== 'streaming') return false;
    this.supervisor.dropConnection();
    return true;
  }

  get gaps(): GapDesk {
    const { gaps } = this.life;
    return {
      current: gaps.current,
      list: ({ all = false }) => gaps.list(all),
      acknowledge: (ids) => this.acknowledge(ids),
    };
  }

  get blocked(): string | null {
    const { blockedHandler, interruption } = this.dispatcher.desk;
    if (blockedHandler === null) return null;
    if (interruption === null) return `handler ${blockedHandler} keeps failing and holds the position`;
    return `handler ${blockedHandler} cannot be run and holds the position: ${interruption}`;
  }

  stats(state: PgListenerState): RuntimeStats {
    const { dispatcher, supervisor, counters, monitor } = this;
    // What this one knew of the table of parked changes is as old as its stream.
    const isElsewhere = state === 'standby';
    return {
      app: this.config.name,
      state,
      changesReceived: counters.changesReceived,
      changesHandled: dispatcher.changesHandled,
      transactionsReceived: counters.transactionsReceived,
      failures: dispatcher.desk.failures,
      skipped: dispatcher.desk.skipped,
      parked: isElsewhere ? 0 : dispatcher.parking.size,
      repeats: dispatcher.effects.repeats,
      reconnects: supervisor.reconnects,
      pendingChanges: dispatcher.queue.pendingChanges,
      pendingBytes: dispatcher.queue.pendingBytes,
      unsettledTransactions: supervisor.unsettled,
      inProgress: supervisor.inProgress,
      lagSeconds: supervisor.lagSeconds(state === 'streaming'),
      handlers: handlerStats(dispatcher, isElsewhere),
      slot: monitor.stats,
      slotProblem: monitor.problem,
      confirmedLsn: lsnText(supervisor.confirmedLsn),
      receivedLsn: lsnText(supervisor.receivedLsn),
    };
  }

  async measure(maxAgeMs: number | undefined): Promise<void> {
    if (this.config.enabled && this.stopping === undefined) await this.monitor.measure(maxAgeMs);
  }

  timeHandlers(bounds: readonly number[]): void {
    timeHandlers(this.dispatcher, bounds);
  }

  private effectsStore(definitions: readonly HandlerDefinition[], lease: StreamLease): PgEffectsStore {
    const { name: app, connection, slot, service, origin } = this.config;
    const handlers = definitions.filter(({ transactional }) => transactional);
    return new PgEffectsStore(
      { app, connection },
      {
        app,
        service: () => service ?? serviceName(),
        handlers: handlers.map(({ id }) => id),
        storeSlot: slot.name ?? temporaryName(app),
        lease,
        // Serial calls come one at a time, whoever's they are.
        concurrency: 1 + sumOf(handlers.map(({ concurrency, batch }) => concurrency ?? (batch === undefined ? 0 : 1))),
        isFailover: slot.failover,
        isMarked: origin === 'none',
        logger: this.logger,
      },
    );
  }

  private redriver(): ParkedRedriver {
    const { store, dispatcher, logger } = this;
    return new ParkedRedriver({
      store,
      parking: dispatcher.parking,
      redrive: (parked) => dispatcher.redrive(parked),
      isStreaming: () => this.status.value.state === 'streaming',
      retryEveryMs: this.config.parked.retryEveryMs,
      logger,
    });
  }

  private async acknowledge(ids: readonly string[] | undefined): Promise<PgListenerGap[]> {
    const { gaps, isWaiting } = await this.life.gaps.acknowledge(ids);
    const { state, error } = this.status.value;
    if (!isWaiting && state === 'halted' && error instanceof GapError) await this.start();
    return gaps;
  }

  private async drain(): Promise<void> {
    this.parked.stop();
    await this.close();
    // What was handled once more has to leave the table, else it is handled again after the next start.
    const { effects, schemas } = this.dispatcher;
    const last = Promise.all([this.parked.settled(), effects.fold()]);
    await Promise.race([last, sleep(STORE_GRACE_MS, undefined, { ref: false })]);
    await Promise.all([this.store.close(), effects.close(), schemas.close(), this.toast.close(), this.monitor.close()]);
  }

  private async close(): Promise<void> {
    if (['idle', 'stopped'].includes(this.status.value.state)) return;
    const { shutdownTimeoutMs } = this.config;
    const deadline = setTimeout(() => {
      this.logger.warn(`Handlers have not finished within ${shutdownTimeoutMs} ms; what they had in hand comes again`);
      this.dispatcher.abandon();
    }, shutdownTimeoutMs);
    // Also without a stream: handlers may be at work on what the last one has brought.
    await this.dispatcher.drain();
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
          else if (state === 'stopped') settle(stoppedMeanwhile(name));
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

function stoppedMeanwhile(app: string): LifecycleError {
  return new LifecycleError('Stopped while it started', { app });
}

/** What is parked and has no slot of a lasting name is kept under this one. */
function temporaryName(app: string): string {
  return `temporary slot of ${app}`;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

function lsnText(lsn: Lsn): string | null {
  return lsn === 0n ? null : formatLsn(lsn);
}
