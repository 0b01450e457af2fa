// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { asError } from '../errors/as-error.js';
import type { RowChange } from '../changes/change.js';
import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { CommittedTransaction, TransactionInfo } from '../changes/transaction.js';
import { TransactionTooLargeError } from '../errors/handler.error.js';
import type { DeliveryUnit, TransactionSink } from '../interfaces/transaction-sink.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import { isBeyond, laterOf } from '../changes/wal-position.js';
import type { DispatcherOptions } from './dispatcher-options.js';
import type { Route } from './handler-registry.js';
import { decideFailure, failureText } from './failure-policy.js';
import type { HandlerRunner } from './handler-runner.js';
import { TimeSlice } from './time-slice.js';
import { TransactionCollector } from './transaction-collector.js';
import { describeWork, transactionOf, WorkQueue, type Work } from './work-queue.js';

/**
 * Takes transactions in pieces and gives them to the handlers: in commit order, one change at a time, for one change
 * one handler after the other. Outlives connections: what a handler has in hand when a connection breaks runs on, and
 * what follows on the next connection waits behind it.
 *
 * | state | meaning | leaves by |
 * |---|---|---|
 * | idle | nothing in hand | change, message, commit |
 * | busy | a handler's promise, a retry's delay, or a turn for the event loop is awaited; what comes is queued | its end |
 * | draining | as before, but nothing after the transaction in hand is begun | its end, a failure, `abandon()` |
 * | stopped | everything that comes is dropped, unsettled: it comes again | `begin()` |
 *
 * A synchronous handler costs no promise and no closure; an asynchronous one costs its own promise and no closure.
 */
export class EventsDispatcher implements TransactionSink {
  onRoom: () => void = () => undefined;
  handedOver: WalPosition | null = null;
  changesHandled = 0;
  failures = 0;
  /** The handler that has used up its attempts and is tried on, where there is one. */
  blocked: string | null = null;
  readonly queue: WorkQueue;
  private readonly collector: TransactionCollector;

  private state: 'running' | 'draining' | 'stopped' = 'stopped';
  private isBusy = false;
  private work: Work | null = null;
  private runners: readonly HandlerRunner[] = [];
  private next = 0;
  private attempt = 1;
  private finishedUpTo: WalPosition | null = null;
  /** Observers have seen what lies up to here in an earlier run, and do not see it again. */
  private shownBefore: WalPosition | null = null;
  /** What was in hand when its positions lost their meaning. */
  private foreign: Work | null = null;
  private handedCommit = 0n;
  private handedMessage = 0n;
  private openTransaction: TransactionInfo | null = null;
  private readonly slice = new TimeSlice();
  private timer: NodeJS.Timeout | undefined;
  private turnTimer: NodeJS.Immediate | undefined;
  private drained: (() => void) | undefined;
  private epoch = 0;
  private abortController = new AbortController();
  private fulfilled: () => void = () => undefined;
  private rejected: (error: unknown) => void = () => undefined;

  constructor(private readonly options: DispatcherOptions) {
    this.queue = new WorkQueue(options.limits);
    this.collector = new TransactionCollector(options.limits);
  }

  get isFull(): boolean {
    return this.queue.isFull;
  }

  get watchesTransactions(): boolean {
    return this.options.registry.transactionRunners.length > 0 || this.options.streams.watchesTransactions;
  }

  route(schema: string, table: string): Route {
    return this.options.registry.route(schema, table);
  }

  wantsMessage(prefix: string): boolean {
    return this.options.registry.runnersOfMessage(prefix).length > 0;
  }

  /** Takes work from here on; what an earlier run left unfinished comes again. */
  begin(): void {
    if (this.state !== 'stopped') return;
    const epoch = ++this.epoch;
    // A promise of an earlier run may settle at any time; it must not be taken for one of this run.
    this.fulfilled = () => epoch === this.epoch && this.succeeded();
    this.rejected = (error) => epoch === this.epoch && this.failed(error);
    this.abortController = new AbortController();
    this.shownBefore = laterOf(this.shownBefore, this.handedOver);
    this.handedOver = this.finishedUpTo;
    this.handedCommit = this.handedMessage = 0n;
    this.state = 'running';
  }

  change(change: RowChange, route: Route, bytes: number): void {
    this.accept({ kind: 'change', change, route, bytes });
  }

  message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void {
    this.accept({ kind: 'message', message, bytes, unit });
  }

  commit(transaction: CommittedTransaction, unit: DeliveryUnit): void {
    this.accept({ kind: 'commit', transaction, unit });
  }

  turn(): void {
    if (!this.isBusy) this.slice.renew();
  }

  abort(): void {
    this.queue.clear();
    // Its rest comes again, or goes to another process: nothing may wait for it.
    this.openTransaction = null;
    if (this.state === 'draining' && this.work === null) this.abandon();
  }

  forget(): void {
    this.handedOver = this.finishedUpTo = this.shownBefore = null;
    this.handedCommit = this.handedMessage = 0n;
    this.openTransaction = null;
    this.foreign = this.work;
    this.collector.clear();
  }

  /** Finishes the transaction in hand and takes nothing after it. Resolves when nothing runs; see `abandon`. */
  drain(): Promise<void> {
    if (this.state === 'running') this.state = 'draining';
    const waitsForRetry = this.timer !== undefined;
    const isIdle = this.work === null && this.openTransaction === null;
    if (this.state === 'stopped' || waitsForRetry || isIdle) {
      this.abandon();
      return Promise.resolve();
    }
    return new Promise((resolve) => (this.drained = resolve));
  }

  /** Gives up what runs: its handler's signal is aborted, its change stays unsettled and comes again. */
  abandon(): void {
    this.epoch++;
    this.state = 'stopped';
    this.abortController.abort();
    clearTimeout(this.timer);
    clearImmediate(this.turnTimer);
    this.timer = this.turnTimer = undefined;
    this.queue.clear();
    if (this.work !== null && this.work.kind !== 'commit') this.queue.finished(this.work.bytes);
    this.work = null;
    this.isBusy = false;
    this.blocked = null;
    this.openTransaction = null;
    this.drained?.();
    this.drained = undefined;
  }

  private accept(work: Work): void {
    if (this.state === 'stopped') return;
    if (work.kind !== 'commit') this.queue.received(work.bytes);
    if (this.isBusy || !this.queue.isEmpty) this.queue.add(work);
    else this.handle(work);
  }

  /** Begins one piece of work; it is finished on return, or `isBusy` is set. */
  private handle(work: Work): void {
    this.work = work;
    this.next = 0;
    this.attempt = 1;
    this.runners = this.handOver(work);
    this.advance();
  }

  /** Marks it as handed over, shows it to observers. @returns the handlers that are to see it */
  private handOver(work: Work): readonly HandlerRunner[] {
    const { registry, streams } = this.options;
    if (work.kind === 'change') {
      const { change, route } = work;
      this.handedOver = change;
      this.openTransaction = change.transaction;
      if (this.shownBefore !== null && isBeyond(change, this.shownBefore)) this.shownBefore = null;
      if (route.watches.length > 0 && this.shownBefore === null) streams.emit(change, route.watches);
      return route.runners[change.operation];
    }
    if (work.kind === 'message') {
      const { message, unit } = work;
      if (unit === null) {
        this.handedOver = message;
        this.openTransaction = message.transaction;
      } else {
        // It may come again on a new connection while its handler still runs.
        if (message.commitLsn === this.handedMessage) return [];
        this.handedMessage = message.commitLsn;
      }
      return registry.runnersOfMessage(message.prefix);
    }
    const { transaction } = work;
    if (transaction.info.commitLsn === this.handedCommit) return [];
    this.handedCommit = transaction.info.commitLsn;
    streams.emitTransaction(transaction);
    return registry.transactionRunners;
  }

  /** Calls the handlers that are left, until one must be awaited; then finishes the work. */
  private advance(): void {
    const { runners } = this;
    const work = this.work!;
    while (this.next < runners.length) {
      const runner = runners[this.next]!;
      let pending: PromiseLike<unknown> | undefined;
      try {
        pending = runner.run(this.payload(work), transactionOf(work), this.attempt, this.abortController.signal);
      } catch (error) {
        this.isBusy = true;
        return this.failed(error);
      }
      if (pending !== undefined) {
        this.isBusy = true;
        pending.then(this.fulfilled, this.rejected);
        return;
      }
      this.passed();
    }
    this.finish(work);
  }

  private payload(work: Work): unknown {
    if (work.kind === 'change') return work.change;
    if (work.kind === 'message') return work.message;
    return work.transaction.withChanges(this.collector.changesOf(work.transaction.info.commitLsn));
  }

  private succeeded(): void {
    this.isBusy = false;
    this.passed();
    this.advance();
    this.pump();
  }

  /** The handler in turn is done with the work. */
  private passed(): void {
    this.attempt = 1;
    this.blocked = null;
    this.next++;
  }

  private failed(error: unknown): void {
    // While the application closes, the user's own resources may be closed already: no attempt, no verdict.
    if (this.state === 'draining') return this.abandon();
    const runner = this.runners[this.next]!;
    this.failures++;
    const decision = decideFailure(this.attempt, runner.retry, runner.onExhausted);
    if (decision.isExhausted && this.options.onExhausted?.(error)) return;
    const reason = asError(error);
    // The stack is the same each time; once says where, and once more when it gets serious.
    const isTold = this.attempt > 1 && this.attempt !== runner.retry.attempts;
    const text = failureText(runner.id, describeWork(this.work!), this.attempt, decision, reason);
    this.options.logger.error(text, isTold ? undefined : reason.stack);
    if (decision.isExhausted) this.blocked = runner.id;
    this.attempt++;
    this.timer = setTimeout(() => this.retry(), decision.delayMs);
  }

  private retry(): void {
    this.timer = undefined;
    this.isBusy = false;
    this.advance();
    this.pump();
  }

  private finish(work: Work): void {
    this.work = null;
    const hasRoom = work.kind === 'commit' ? this.queue.hasRoomAgain() : this.queue.finished(work.bytes);
    if (hasRoom) this.onRoom();
    if (work.kind === 'commit') {
      this.openTransaction = null;
      this.collector.clear();
      work.unit.settle();
    } else {
      if (work.kind === 'change') this.changesHandled++;
      if (work.kind === 'message' && work.unit !== null) work.unit.settle();
      else if (work !== this.foreign) this.remember(work);
    }
    this.foreign = null;
    if (this.state === 'draining' && this.openTransaction === null) return this.abandon();
    if (this.slice.isOverAfterCall()) this.giveTurn();
  }

  /** What is finished of the open transaction. */
  private remember(work: Exclude<Work, { kind: 'commit' }>): void {
    if (work.kind === 'message') {
      this.finishedUpTo = work.message;
    } else {
      this.finishedUpTo = work.change;
      this.collect(work.change, work.bytes);
    }
  }

  /** Goes on with what was queued meanwhile. */
  private pump(): void {
    while (!this.isBusy && this.state !== 'stopped' && !this.queue.isEmpty) this.handle(this.queue.take());
  }

  /** Handlers that are quick each can be long together: timers keep the connection alive and must run. */
  private giveTurn(): void {
    this.isBusy = true;
    this.turnTimer = setImmediate(() => {
      this.turnTimer = undefined;
      this.isBusy = false;
      this.slice.renew();
      this.pump();
    });
  }

  /** Keeps the change for the handlers of whole transactions. */
  private collect(change: RowChange, bytes: number): void {
    const { registry, limits, app } = this.options;
    if (registry.transactionRunners.length === 0 || this.collector.add(change, bytes)) return;
    const limit = `the limits (${limits.changes} changes, ${limits.bytes} bytes)`;
    this.finishedUpTo = null;
    this.collector.clear();
    this.abandon();
    this.options.onFault(new TransactionTooLargeError(app, change.lsn, limit));
  }
}
