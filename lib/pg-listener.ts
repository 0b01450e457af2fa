import { BehaviorSubject, Observable, skip, Subject } from 'rxjs';
import type { ChangeOf, Operation } from './interfaces/change.interface.js';
import type { TableSource } from './interfaces/orm-table.interface.js';
import type { RowOf, TableSelector } from './interfaces/table.interface.js';
import type { PgListenerHealth, PgListenerStats, PgListenerStatus } from './interfaces/status.interface.js';
import type { ParkedChanges } from './interfaces/parked.interface.js';
import type { GapFilter, PgListenerGap } from './interfaces/gap.interface.js';
import type { ListenerRuntime } from './interfaces/listener-runtime.interface.js';
import type { TransactionSummary } from './interfaces/transaction.interface.js';
import type { PgListenerConfig } from './configs/pg-listener-config.js';
import { TablePattern } from './changes/table-pattern.js';
import type { RuntimeParts } from './pg-listener.runtime.js';
import { gapChannel, statusChannel, type GapMessage, type StatusMessage } from './diagnostics/channels.js';
import { GapTally } from './diagnostics/gap-tally.js';
import { LifecycleError } from './errors/app.error.js';
import { durationBounds } from './configs/duration-bounds.js';
import type { MeasureOptions } from './interfaces/slot-stats.interface.js';
import { isTableSource } from './tables/drizzle-table.js';
import { ChangeStreams, operationMask } from './events/change-streams.js';
import type { TableResolver } from './tables/table-resolver.js';

/**
 * The running replication of one app: starts and stops it, looks on, tells how it is.
 *
 * For the default app the class is the injection token; for others `@InjectPgListener(name)`.
 *
 * @publicApi
 */
export class PgListener {
  /** Name of the app. */
  readonly name: string;
  /** The status from now on, the present one first. Completes when the application closes. */
  readonly status$: Observable<PgListenerStatus>;
  /**
   * Each gap when it is found; to a new subscriber first those that are not resolved. Completes when the application
   * closes.
   */
  readonly gaps$: Observable<PgListenerGap>;
  /** @internal */
  readonly gapSubject = new Subject<PgListenerGap>();
  /** @internal */
  readonly streams = new ChangeStreams();
  /** @internal */
  readonly statusSubject: BehaviorSubject<PgListenerStatus>;
  private driven: ListenerRuntime | undefined;
  private readonly gapTally = new GapTally();
  private timeBounds: readonly number[] | undefined;
  /** @internal The application closes, or has not come up: nobody would close what is opened from here on. */
  isClosing = false;
  /** @internal Set when the application initialises. */
  tables: TableResolver | undefined;

  constructor(private readonly config: Pick<PgListenerConfig, 'name' | 'enabled'>) {
    this.name = config.name;
    this.statusSubject = new BehaviorSubject<PgListenerStatus>({ app: config.name, state: 'idle', since: new Date() });
    this.status$ = this.statusSubject.asObservable();
    // The first one, that it is idle, is no news.
    this.status$.pipe(skip(1)).subscribe((status) => statusChannel.publish(status satisfies StatusMessage));
    this.gapSubject.subscribe((gap) => {
      this.gapTally.add(gap.kind);
      gapChannel.publish(gap satisfies GapMessage);
    });
    this.gaps$ = new Observable((subscriber) => {
      for (const gap of this.driven?.gaps?.current ?? []) subscriber.next(gap);
      return this.gapSubject.subscribe(subscriber);
    });
  }

  /** @internal What to drive instead of a stream from a server: the testing kit's. */
  createRuntime?(parts: RuntimeParts): ListenerRuntime;

  /** @internal Set when the application initialises. */
  get runtime(): ListenerRuntime | undefined {
    return this.driven;
  }
  set runtime(runtime: ListenerRuntime | undefined) {
    this.driven = runtime;
    if (this.timeBounds !== undefined) runtime?.timeHandlers(this.timeBounds);
  }

  get status(): PgListenerStatus {
    return this.statusSubject.value;
  }

  /**
   * Starts the stream and waits until it runs or the app stands by. Without effect where it runs, or where the app is
   * not `enabled`. Needed after `autoStart: false`, `stop()`, or a halt.
   *
   * @throws PgListenerError what holds the app, where it is fatal or `startup.timeoutMs` has passed
   */
  async start(): Promise<void> {
    await this.ready().start();
  }

  /**
   * Finishes what handlers have in hand, confirms it, and closes every connection. Observables stay.
   *
   * Do not await it in a handler: it waits for the handler.
   */
  async stop(): Promise<void> {
    await this.driven?.stop();
  }

  /**
   * Changes of some tables, for looking on: hot, without replay, in commit order. Says nothing about the position: use
   * a decorated handler for work that must be done.
   *
   * @param table as in `@OnTableChange`; none for every table that the app hears
   */
  changes<const S extends TableSelector, O extends Operation = Operation>(
    table?: S,
    operations?: O | readonly O[],
  ): Observable<ChangeOf<RowOf<S, 'default'>, O>> {
    const selected = table === undefined ? ['*'] : ((Array.isArray(table) ? table : [table]) as unknown[]);
    const sources = selected.filter(isTableSource);
    const named = selected.filter((each) => !isTableSource(each)) as (string | { name: string })[];
    const names = named.map((each) => (typeof each === 'string' ? each : each.name));
    const asked = operations === undefined ? [] : Array.isArray(operations) ? operations : [operations];
    const stream: unknown = this.streams.changes(this.patternOf(names, sources), operationMask(asked as readonly O[]));
    return stream as Observable<ChangeOf<RowOf<S, 'default'>, O>>;
  }

  /** A summary of each committed transaction, when its changes have been handed to the handlers. */
  transactions(): Observable<TransactionSummary> {
    return this.streams.transactions();
  }

  /**
   * The gaps that are not resolved, oldest first, as the database has them (or, without the right to our tables, as this
   * process has seen them).
   *
   * @throws PgListenerError where the server cannot be reached
   */
  async gaps(filter: GapFilter = {}): Promise<PgListenerGap[]> {
    return (await this.ready().gaps?.list(filter)) ?? [];
  }

  /**
   * Says that somebody has looked at these gaps, and lets the app go on. Where they had halted it, it starts again, and
   * this waits for the stream.
   *
   * @param ids of gaps; undefined: all that wait
   * @returns those that were acknowledged just now
   * @throws PgListenerError what holds the app then, or where the server cannot be reached
   */
  async acknowledgeGaps(ids?: readonly string[]): Promise<PgListenerGap[]> {
    return (await this.ready().gaps?.acknowledge(ids)) ?? [];
  }

  /** Plain data, fit for a health endpoint. */
  health(): PgListenerHealth {
    const { state, error } = this.status;
    const isUp = state === 'streaming' || state === 'standby' || !this.config.enabled;
    const blocked = this.driven?.blocked ?? null;
    const reason = blocked ?? error?.message;
    const health = { app: this.name, state, status: isUp && blocked === null ? ('up' as const) : ('down' as const) };
    return reason === undefined ? health : { ...health, reason };
  }

  /**
   * What is parked: to be looked at, tried again, or discarded.
   *
   * @throws LifecycleError before the application has initialised, or where the app is not enabled
   */
  get parked(): ParkedChanges {
    if (!this.config.enabled) {
      throw new LifecycleError('The app is not enabled, and has no database to look into', { app: this.name });
    }
    return this.ready().parked;
  }

  /** What this process has counted, and what `measure()` has found: no connection is used. */
  stats(): PgListenerStats {
    const runtime = this.ready();
    const gaps = { found: this.gapTally.found, open: runtime.gaps?.current.length ?? 0 };
    return { ...runtime.stats(this.status.state), gaps };
  }

  /**
   * The same, after the server was asked about the slot: on a connection of its own, which stays open for 20 seconds, for
   * three seconds at most. Where it does not answer, `slot` is null and `slotProblem` says why. An app that is not
   * `enabled` asks nothing.
   */
  async measure({ maxAgeMs }: MeasureOptions = {}): Promise<PgListenerStats> {
    const runtime = this.ready();
    if (!this.isClosing) await runtime.measure(maxAgeMs);
    return this.stats();
  }

  /**
   * From now on, `stats()` tells how long calls of handlers take. Costs some 0.4 µs for each call; what it was told first
   * holds.
   *
   * @param bounds upper bounds of the stretches, in seconds, growing. Default: from 1 ms to 60 s
   * @throws PgListenerConfigError where they are none
   */
  timeHandlers(bounds?: readonly number[]): void {
    this.timeBounds ??= durationBounds(this.name, bounds);
    this.driven?.timeHandlers(this.timeBounds);
  }

  /** `console.log(listener)` shows which it is and how it is, and nothing of its connection. */
  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return { name: this.name, status: this.status };
  }

  /** An ORM's tables have their names when the application has initialised: before any change comes. */
  private patternOf(names: readonly string[], sources: readonly TableSource[]): Pick<TablePattern, 'matches'> {
    const resolve = (tables: TableResolver): TablePattern =>
      new TablePattern([...names, ...sources.map((each) => tables.resolve(each).name)]);
    if (sources.length === 0) return new TablePattern(names);
    if (this.tables !== undefined) return resolve(this.tables);
    let pattern: TablePattern | undefined;
    return { matches: (...table) => (pattern ??= resolve(this.tables!)).matches(...table) };
  }

  private ready(): ListenerRuntime {
    if (this.driven !== undefined) return this.driven;
    throw new LifecycleError('The listener is not ready before the application has initialised', {
      app: this.name,
      hint: 'use it in onApplicationBootstrap, after app.init() or after app.listen().',
    });
  }
}
