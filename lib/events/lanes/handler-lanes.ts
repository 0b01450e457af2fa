// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearTimeout, setTimeout } from 'node:timers';
import { asError } from '../../errors/as-error.js';
import { failedItems } from './batch-results.js';
import type { Given } from '../effects/handled-prefix.js';
import { isTakenApart } from '../failure-policy.js';
import type { HandlerDesk, Tries } from '../handler-desk.js';
import type { ChangeLanes, HandlerRunner } from '../handler-runner.js';
import { isPromise } from '../settled-result.js';
import { KeyScheduler, type Scheduled } from './key-scheduler.js';
import { LoopTurns } from '../time-slice.js';
import type { Hold } from '../transaction-holds.js';
import { describeWork, type ChangeWork } from '../work.js';

/** One change for one handler. */
export interface LaneItem extends Scheduled {
  readonly work: ChangeWork;
  readonly hold: Hold;
  /** As the progress of a transactional handler counts it. */
  readonly given: Given | null;
}

/** One call, or what becomes of it: tried again, taken apart, parked. */
interface Call extends Tries {
  /** All that was taken together; its keys are free when the last of it is settled. */
  readonly all: readonly LaneItem[];
  /** What the next try gets. */
  items: readonly LaneItem[];
  /** After the array as a whole has failed for good: each item alone, in order. */
  rest: LaneItem[];
  timer: NodeJS.Timeout | undefined;
}

/** What lanes need of the dispatcher. */
export interface LanePort {
  taken(work: ChangeWork): Hold;
  settled(item: LaneItem): void;
  /** Something has come to rest: a drain may be over. */
  rested(): void;
  /** Draining: something stays unsettled, and so does whatever follows it. */
  givenUp(): void;
}

/** Without the option the order of all is kept, and everything shares one key. */
const ONE_KEY: readonly string[] = [''];

/**
 * The calls of one handler that gave up the order of calls (`concurrency`), or takes its changes by the array
 * (`batch`): up to `concurrency` calls side by side, the changes of one key in order, one after the other.
 *
 * A call that waits for its next try leaves its place to others and keeps its keys.
 */
export class HandlerLanes implements ChangeLanes {
  /** Taken and not settled. */
  outstanding = 0;
  running = 0;
  private readonly scheduler = new KeyScheduler<LaneItem>();
  /** Those that have failed, and are not finished. */
  private readonly failing = new Set<Call>();
  private readonly again: Call[] = [];
  private readonly concurrency: number;
  private readonly size: number;
  private readonly maxWaitMs: number;
  private readonly isBatch: boolean;
  private readonly turns = new LoopTurns(() => this.pump());
  private isPumping = false;
  private isPumpingSoon = false;
  private isFlushing = false;
  private isClosed = false;
  private isFilled = false;
  private fillTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly runner: HandlerRunner,
    private readonly desk: HandlerDesk,
    private readonly port: LanePort,
  ) {
    const { concurrency, batch } = runner.definition;
    this.concurrency = concurrency ?? 1;
    this.isBatch = batch !== undefined;
    this.size = batch?.size ?? 1;
    this.maxWaitMs = batch?.maxWaitMs ?? 0;
  }

  submit(work: ChangeWork): void {
    const isOrdered = this.concurrency === 1;
    const item: LaneItem = {
      work,
      hold: this.port.taken(work),
      given: this.runner.effects?.prefix.give(work.change) ?? null,
      table: isOrdered ? '' : work.route.key,
      keys: isOrdered ? ONE_KEY : work.keys,
      blockers: 0,
      dependents: null,
      tail: null,
    };
    this.outstanding++;
    this.scheduler.add(item);
    if (this.running === this.concurrency) return;
    if (this.isBatch && !this.scheduler.fills(this.size)) this.pumpSoon();
    else this.pump();
  }

  /** Somebody waits for all of it: arrays are not filled up any more. */
  flush(): void {
    this.isFlushing = this.outstanding > 0;
    this.pump();
  }

  /** Lets run what runs, and what has been taken; what waits for another try is given up. */
  drain(): void {
    for (const call of this.failing) {
      if (call.timer === undefined) continue;
      clearTimeout(call.timer);
      this.giveUp(call);
    }
    for (const call of this.again.splice(0)) this.giveUp(call);
    this.flush();
  }

  /** All calls are taken, and the next one has its changes. */
  get isSaturated(): boolean {
    return this.running >= this.concurrency && this.scheduler.waiting >= this.size;
  }

  /** Nothing runs, and nothing can. */
  get isResting(): boolean {
    return this.running === 0 && this.again.length === 0 && !this.scheduler.hasReady;
  }

  /** Gives everything up: what still comes of it is ignored. */
  abandon(): void {
    this.isClosed = true;
    clearTimeout(this.fillTimer);
    this.turns.close();
    for (const call of this.failing) {
      clearTimeout(call.timer);
      this.desk.unblock(call);
    }
    this.failing.clear();
    this.scheduler.clear();
  }

  private pump(): void {
    // A synchronous handler settles, and so pumps, within the loop.
    if (this.isPumping) return;
    this.isPumping = true;
    while (!this.isClosed && !this.turns.isOver && this.running < this.concurrency) {
      const call = this.again.shift() ?? this.nextCall();
      if (call === undefined) break;
      this.running++;
      this.invoke(call);
      this.turns.called();
    }
    this.isPumping = false;
    if (this.outstanding === 0) this.isFlushing = false;
  }

  /** What one read has brought comes together. */
  private pumpSoon(): void {
    if (this.isPumpingSoon) return;
    this.isPumpingSoon = true;
    queueMicrotask(() => {
      this.isPumpingSoon = false;
      this.pump();
    });
  }

  private nextCall(): Call | undefined {
    const { scheduler, size } = this;
    if (!scheduler.hasReady) return undefined;
    const isAtOnce = this.maxWaitMs === 0 || this.isFilled || this.isFlushing || this.desk.run.isDraining;
    if (!isAtOnce && !scheduler.fills(size)) {
      this.fillTimer ??= setTimeout(() => {
        this.fillTimer = undefined;
        this.isFilled = true;
        this.pump();
      }, this.maxWaitMs);
      return undefined;
    }
    clearTimeout(this.fillTimer);
    this.fillTimer = undefined;
    this.isFilled = false;
    const all = scheduler.take(size);
    return { all, items: all, rest: [], attempt: 1, free: 0, timer: undefined };
  }

  private invoke(call: Call): void {
    const { runner, desk } = this;
    if (runner.parked !== null && this.parkWaiting(call)) return;
    let result: unknown;
    try {
      const last = call.items[call.items.length - 1]!.work.change;
      const payload = this.isBatch ? call.items.map(({ work }) => work.change) : last;
      result = runner.call(payload, last.transaction, call.attempt, desk.run.signal);
    } catch (error) {
      return this.isClosed ? undefined : this.failed(call, call.items, error);
    }
    // The handler itself may have stopped the app.
    if (this.isClosed) return;
    if (!isPromise(result)) return this.succeeded(call, result);
    result.then(
      (value) => this.isClosed || this.succeeded(call, value),
      (error: unknown) => this.isClosed || this.failed(call, call.items, error),
    );
  }

  private succeeded(call: Call, value: unknown): void {
    if (call.attempt > 1) this.desk.unblock(call);
    const failures = this.isBatch ? failedItems(value, call.items) : null;
    for (const item of call.items) if (failures?.has(item) !== true) this.settle(item);
    if (failures === null) return this.goOn(call);
    // Judged by the first: they were tried together, and are tried together again.
    this.failed(call, [...failures.keys()], failures.values().next().value);
  }

  private failed(call: Call, items: readonly LaneItem[], error: unknown): void {
    const { desk, runner } = this;
    call.items = items;
    this.failing.add(call);
    if (desk.run.isDraining) return this.failedForNow(call);
    const decision = desk.judge(call, runner, this.describe(items), call, error, items.length);
    if (decision === null) return;
    if (isTakenApart(decision, items.length)) return this.takeApart(call);
    switch (decision.action) {
      case 'retry':
        this.running--;
        call.timer = setTimeout(() => this.retry(call), decision.delayMs);
        return this.pump();
      case 'skip':
        desk.skip(runner, items.length);
        for (const item of items) this.settle(item);
        return this.goOn(call);
      case 'park':
        return this.park(call, items, asError(error), call.attempt);
      case 'halt':
        return desk.halt(runner, this.describe(items), error);
    }
  }

  private retry(call: Call): void {
    call.timer = undefined;
    call.attempt++;
    this.again.push(call);
    this.pump();
  }

  private takeApart(call: Call): void {
    this.desk.unblock(call);
    call.rest = [...call.items];
    call.items = [];
    this.goOn(call);
  }

  /** This try's items are settled: the next of what was taken apart, or an end. */
  private goOn(call: Call): void {
    const next = call.rest.shift();
    if (next === undefined) return this.finish(call);
    call.items = [next];
    call.attempt = 1;
    call.free = 0;
    // Not by calling it from here: an array may be long.
    this.running--;
    this.again.unshift(call);
    this.pump();
  }

  private finish(call: Call): void {
    if (this.failing.delete(call)) this.desk.unblock(call);
    this.scheduler.finish(call.all);
    this.running--;
    this.pump();
    this.port.rested();
  }

  /** @returns whether nothing of the call is left to be called now */
  private parkWaiting(call: Call): boolean {
    const waiting = call.items.filter(({ work }) => this.runner.mustWait(work));
    if (waiting.length === 0) return false;
    this.park(call, waiting, null, 0);
    return true;
  }

  /** Parks some of the call's items; then it goes on with those that are left. */
  private park(call: Call, items: readonly LaneItem[], error: Error | null, attempts: number): void {
    const { runner, desk } = this;
    const parked = new Set(items);
    const left = call.items.filter((item) => !parked.has(item));
    call.items = left;
    const parkNext = async (): Promise<void> => {
      // One after the other: those of one key have to be in the table in their order.
      for (const item of items) {
        await desk.parking.park(runner, item.work, error, attempts, desk.run);
        if (this.isClosed) return;
        runner.tally.parkings++;
        this.settle(item);
      }
      if (left.length > 0) this.invoke(call);
      else this.goOn(call);
    };
    // It rejects when it is given up, and only then.
    parkNext().catch(() => this.isClosed || this.failedForNow(call));
  }

  /** Draining: it comes again. Its place is for what else was taken. */
  private failedForNow(call: Call): void {
    this.running--;
    this.giveUp(call);
    this.pump();
  }

  private settle(item: LaneItem): void {
    this.outstanding--;
    this.runner.tally.done++;
    if (item.given !== null) this.runner.effects!.prefix.done(item.given);
    this.port.settled(item);
  }

  /** Its items stay unsettled, and whatever shares their keys waits for ever: it comes again. */
  private giveUp(call: Call): void {
    call.timer = undefined;
    if (this.failing.delete(call)) this.desk.unblock(call);
    this.port.givenUp();
  }

  private describe(items: readonly LaneItem[]): string {
    const first = describeWork(items[0]!.work);
    return items.length === 1 ? first : `an array of ${items.length} changes, from ${first}`;
  }
}
