import { asError } from '../errors/as-error.js';
import type { RowChange } from '../changes/change.js';
import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { TableDescription } from '../changes/schema-change.js';
import type { CommittedTransaction } from '../changes/transaction.js';
import type { CaptureImage } from '../changes/wire-image.js';
import type { StreamStart } from '../interfaces/effects-store.interface.js';
import type { DeliveryUnit, RoutedTable, TransactionSink } from '../interfaces/transaction-sink.interface.js';
import type { ParkedWork } from '../interfaces/parked-store.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import { laterLsn } from '../protocol/lsn.js';
import type { DispatcherOptions } from './dispatcher-options.js';
import { HandOver } from './hand-over.js';
import { HandlerDesk } from './handler-desk.js';
import type { Route } from './handler-registry.js';
import { LaneSet } from './lanes/lane-set.js';
import { EffectsKeeper } from './effects/effects-keeper.js';
import { Parking } from './parked/parking.js';
import { Redrives } from './parked/redrives.js';
import { RunSignals } from './run-signals.js';
import type { SchemaBook } from './schemas/schema-book.js';
import { SerialCalls } from './serial-calls.js';
import { TimeSlice } from './time-slice.js';
import { TransactionHolds } from './transaction-holds.js';
import { WorkQueue } from './work-queue.js';
import { ChangeWork, settleWork, type MessageWork, type SchemaWork, type Work } from './work.js';

/**
 * Takes transactions in pieces and gives them to the handlers: in commit order, one change at a time, for one change
 * one handler after the other; the handlers that gave up that order have lanes. Outlives connections: what a handler
 * has in hand when a connection breaks runs on, and what follows on the next connection waits behind it.
 *
 * | state | meaning | leaves by |
 * |---|---|---|
 * | running | work is taken. In turn it is idle, busy (a call, a turn for the event loop), at a barrier (lanes must come to rest first) or held (what is parked is being loaded); what comes meanwhile is queued | `drain()`, `abandon()` |
 * | draining | as before, but nothing after the transaction in hand is begun | all is at rest, or `abandon()` |
 * | stopped | everything that comes is dropped, unsettled: it comes again | `begin()`; where another process has taken the stream over, the next connection |
 */
export class EventsDispatcher implements TransactionSink {
  onRoom: () => void = () => undefined;
  onFree: () => void = () => undefined;
  changesHandled = 0;
  readonly watchesSchemas: boolean;
  readonly queue: WorkQueue;
  readonly desk: HandlerDesk;
  readonly parking: Parking;
  readonly effects: EffectsKeeper;
  readonly schemas: SchemaBook;
  private readonly handing: HandOver;
  private readonly holds = new TransactionHolds((size) => {
    this.queue.hold(size);
    if (this.queue.hasRoomAgain()) this.onRoom();
  });
  private readonly lanes: LaneSet;
  readonly calls: SerialCalls;
  private readonly redrives: Redrives;
  private readonly slice = new TimeSlice();
  private state: 'running' | 'draining' | 'stopped' = 'stopped';
  private isHeld = false;
  /** Stopped because another process has the stream; the next connection begins anew. */
  private isSuperseded = false;
  /** Draining: the transaction in hand is done, or given up. */
  private isClosed = false;
  /** What waits for the lanes to come to rest. */
  private barrier: Work | null = null;
  private draining: Promise<void> | undefined;
  private drained: (() => void) | undefined;
  /** Counts connections: one that is given up must not open the next one. */
  private connection = 0;

  constructor(readonly options: DispatcherOptions) {
    const { app, limits, registry, streams, parked, schemas, logger, watch } = options;
    this.queue = new WorkQueue(limits);
    this.handing = new HandOver({ registry, limits, streams, schemas });
    this.redrives = new Redrives(app, registry.runners);
    this.parking = new Parking(parked, registry.runners, logger, (error) => this.supersede(error), watch);
    this.desk = new HandlerDesk(app, this.parking, logger, { ...options, onFault: (error) => this.fault(error) });
    this.calls = new SerialCalls(this.desk, {
      payloadOf: (work, runner) => this.handing.payload(work, runner),
      faultOf: (work) => this.handing.faultOf(work),
      done: () => {
        this.finish(this.calls.work!);
        this.pump();
      },
      givenUp: () => this.closeTransaction(),
    });
    this.effects = new EffectsKeeper(options.effects, registry.runners, logger, (error) => this.supersede(error));
    this.schemas = schemas.book;
    this.watchesSchemas = !this.schemas.isEmpty;
    this.lanes = new LaneSet(registry.runners, this.desk, this.holds, {
      released: (work) => this.release(work),
      rested: () => this.rested(),
      givenUp: () => this.closeTransaction(),
    });
  }

  get handedOver(): WalPosition | null {
    return this.handing.handedOver;
  }
  get isFull(): boolean {
    return this.queue.isFull;
  }
  get isBusy(): boolean {
    return this.isOccupied || !this.queue.isEmpty || this.lanes.isSaturated;
  }
  get writtenUpTo(): bigint {
    return laterLsn(this.effects.writtenUpTo, this.options.parked.writtenUpTo);
  }
  get watchesTransactions(): boolean {
    return this.handing.isCollecting || this.options.streams.watchesTransactions;
  }

  route(table: RoutedTable): Route {
    return this.options.registry.route(table);
  }

  wantsMessage(prefix: string): boolean {
    return this.options.registry.runnersOfMessage(prefix).length > 0;
  }
  holdsTransaction(commitLsn: bigint): boolean {
    return this.holds.has(commitLsn);
  }

  /** Takes work from here on; what an earlier run left unfinished comes again. */
  begin(): void {
    if (this.state !== 'stopped') return;
    this.desk.run = new RunSignals();
    this.handing.begin();
    this.effects.giveUp();
    this.lanes.renew();
    this.isClosed = this.isHeld = this.isSuperseded = false;
    this.state = 'running';
  }

  hold(): void {
    if (this.isSuperseded) this.begin();
    this.connection++;
    this.isHeld = true;
  }

  async open(stream: StreamStart): Promise<void> {
    const { connection } = this;
    if (this.options.loadsParked) await this.parking.load();
    await this.effects.open(stream);
    await this.schemas.open(stream.history);
    if (connection !== this.connection) return;
    this.isHeld = false;
    this.pump();
  }

  confirmedUpTo(lsn: bigint): void {
    this.holds.confirmedUpTo(lsn);
  }

  change(change: RowChange, route: Route, bytes: number, capture: CaptureImage | null): ChangeWork | null {
    if (this.state === 'stopped' || this.isClosed) return null;
    const work = new ChangeWork(change, route, bytes, capture);
    this.queue.received(bytes);
    this.accept(work);
    // Nothing more may come before something is finished: arrays are as full as they can get.
    if (!this.lanes.isEmpty && this.queue.isFull) this.lanes.flush();
    return work;
  }

  message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void {
    this.receive({ kind: 'message', message, bytes, unit });
  }

  description(description: TableDescription): void {
    this.receive({ kind: 'schema', description, change: null, bytes: 0 });
  }

  commit(transaction: CommittedTransaction, unit: DeliveryUnit): void {
    if (this.state !== 'stopped' && !this.isClosed) this.accept({ kind: 'commit', transaction, unit });
  }

  /** One more try of a parked change, in turn with what else its handler gets. @returns why it failed; undefined: handled */
  redrive(parked: ParkedWork): Promise<Error | undefined> {
    const outcome = this.redrives.add(parked);
    if (this.state !== 'running') this.redrives.close();
    this.pump();
    return outcome;
  }

  turn(): void {
    if (!this.isOccupied) this.slice.renew();
  }

  abort(): void {
    this.queue.clear();
    // Its rest comes again, or goes to another process: nothing may wait for it.
    this.handing.openTransaction = null;
    this.dropBarrier();
    this.connection++;
    this.isHeld = false;
    this.endDrainAtRest();
  }

  standBy(): void {
    if (this.state !== 'running') return;
    const { calls, lanes } = this;
    const isCalling = (calls.work !== null && !calls.isWaiting) || !lanes.isResting;
    if (!isCalling && (calls.isWaiting || !lanes.isIdle)) this.supersede();
  }

  forget(): void {
    this.handing.forget(this.calls.work);
    this.effects.forget();
    this.holds.clear();
  }

  /** Finishes the transaction in hand and takes nothing after it. Resolves when nothing runs; see `abandon`. */
  drain(): Promise<void> {
    if (this.state === 'stopped') return Promise.resolve();
    this.state = 'draining';
    this.desk.run.drain();
    this.redrives.close();
    const draining = (this.draining ??= new Promise((resolve) => (this.drained = resolve)));
    if (this.calls.isWaiting) {
      this.calls.giveUp();
      this.handing.openTransaction = null;
    }
    if (this.calls.work === null && this.handing.openTransaction === null) this.close();
    this.lanes.drain();
    this.endDrainAtRest();
    return draining;
  }

  /** Gives up what runs: its handler's signal is aborted, its change stays unsettled and comes again. */
  abandon(): void {
    this.state = 'stopped';
    this.desk.run.giveUp();
    this.slice.stopWaiting();
    // What is kept of the transaction is more than what is finished of it.
    if (!this.lanes.isIdle && this.handing.isCollecting) this.handing.loseTransaction();
    this.queue.reset();
    this.calls.giveUp();
    this.lanes.abandon();
    this.holds.clear();
    this.redrives.abandon();
    this.barrier = this.handing.openTransaction = null;
    this.drained?.();
    this.draining = this.drained = undefined;
  }

  private get isOccupied(): boolean {
    return this.calls.work !== null || this.barrier !== null || this.slice.isWaiting || this.isHeld;
  }

  /** Gives up what is in hand, for another process has it; the next stream begins anew. */
  supersede(error?: Error): void {
    this.abandon();
    this.isSuperseded = true;
    if (error !== undefined) this.options.onSuperseded?.(error);
  }

  private fault(error: Error): void {
    this.abandon();
    this.options.onFault(error);
  }

  private receive(work: MessageWork | SchemaWork): void {
    if (this.state === 'stopped' || this.isClosed) return;
    this.queue.received(work.bytes);
    this.accept(work);
  }

  private accept(work: Work): void {
    if (this.isOccupied || !this.queue.isEmpty) this.queue.add(work);
    else this.handle(work);
  }

  /** Begins one piece of work; it is finished on return, or we are busy. */
  private handle(work: Work): void {
    if (!this.lanes.isEmpty && !this.lanes.isIdle && this.lanes.isBarrier(work, this.handing)) {
      // Begun by `rested`, which may be called in the flush: what follows must not come first.
      this.barrier = work;
      return this.lanes.flush();
    }
    const runners = this.handing.runnersOf(work);
    if (this.calls.start(work, runners)) this.finish(work);
  }

  private finish(work: Work): void {
    this.calls.work = null;
    if ('bytes' in work) this.release(work);
    try {
      this.handing.finished(work, this.lanes.isIdle);
    } catch (error) {
      return this.fault(asError(error));
    }
    settleWork(work, this.holds);
    if (this.state === 'draining' && this.handing.openTransaction === null) this.close();
    this.endDrainAtRest();
    if (this.state !== 'stopped' && this.slice.isOverAfterCall()) this.slice.nextTurn(() => this.pump());
  }

  /** One who had it is done with it; the last one makes room. */
  private release(work: ChangeWork | MessageWork | SchemaWork): void {
    if (work.kind === 'change') {
      if (--work.pending > 0) return;
      this.changesHandled++;
    }
    if (this.state !== 'stopped' && this.queue.finished(work.bytes)) this.onRoom();
  }

  /** Some call in a lane has ended. */
  private rested(): void {
    if (this.state === 'stopped') return;
    if (this.lanes.isIdle) {
      this.handing.rested();
      const work = this.barrier;
      if (work !== null) {
        this.barrier = null;
        this.handle(work);
        this.pump();
      }
    }
    this.endDrainAtRest();
    if (!this.isBusy) this.onFree();
  }

  /** A change failed while draining: the transaction in hand is its own or one behind it, and comes again. */
  private closeTransaction(): void {
    this.handing.openTransaction = null;
    this.close();
    this.endDrainAtRest();
  }

  /** Draining: nothing more is begun. */
  private close(): void {
    this.isClosed = true;
    this.dropBarrier();
    this.queue.clear();
  }

  /** It has not been begun, and comes again; a parked change does not. */
  private dropBarrier(): void {
    if (this.barrier === null || this.barrier.kind === 'redrive') return;
    this.queue.drop(this.barrier);
    this.barrier = null;
  }

  private endDrainAtRest(): void {
    if (this.state !== 'draining' || this.calls.work !== null || !this.lanes.isResting) return;
    // At rest, but not idle: something was given up, and what waits for it cannot be begun.
    if (this.barrier !== null && this.lanes.isIdle) return;
    if (this.barrier !== null || this.isClosed || this.handing.openTransaction === null) this.abandon();
  }

  /** Goes on with what was queued meanwhile. */
  private pump(): void {
    while (!this.isOccupied && this.state !== 'stopped') {
      const work = this.redrives.take() ?? (this.isClosed || this.queue.isEmpty ? undefined : this.queue.take());
      if (work === undefined) break;
      this.handle(work);
    }
    if (!this.isBusy) this.onFree();
  }
}
