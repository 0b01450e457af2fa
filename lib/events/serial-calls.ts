// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearTimeout, setTimeout } from 'node:timers';
import { asError } from '../errors/as-error.js';
import { ParkingError } from '../errors/delivery.error.js';
import type { Given } from './effects/handled-prefix.js';
import { isInterruption, isParkChange } from './failure-policy.js';
import type { HandlerDesk } from './handler-desk.js';
import type { HandlerRunner } from './handler-runner.js';
import {
  describeWork,
  placeOf,
  transactionOf,
  type ChangeWork,
  type MessageWork,
  type RedriveWork,
  type Work,
} from './work.js';

/** What serial calls need of the dispatcher. */
export interface SerialPort {
  /** What the handler gets. */
  payloadOf(work: Work, runner: HandlerRunner): unknown;
  /** Why no handler can have what it gets, where that is so: it is not to blame for a failure. */
  faultOf(work: Work): Error | null;
  /** The work that `start` left unfinished is finished. */
  done(): void;
  /** It failed while the app drains, and comes again. */
  givenUp(): void;
}

/**
 * The handlers of one piece of work, one after the other, each tried again as its policy says.
 *
 * | state | meaning | leaves by |
 * |---|---|---|
 * | free | nothing in hand | `start()` |
 * | calling | a handler's promise is awaited, or that of parking | its end |
 * | waiting | a delay before the next try | the timer, `giveUp()` |
 *
 * A synchronous handler costs no promise and no closure; an asynchronous one costs its own promise and no closure.
 */
export class SerialCalls {
  work: Work | null = null;
  private runners: readonly HandlerRunner[] = [];
  private next = 0;
  private readonly tries = { attempt: 1, free: 0 };
  private timer: NodeJS.Timeout | undefined;
  private epoch = 0;
  /** What is in hand, as the progress of a transactional handler counts it. */
  private given: Given | null = null;
  private fulfilled: () => void = () => undefined;
  private rejected: (error: unknown) => void = () => undefined;

  constructor(
    private readonly desk: HandlerDesk,
    private readonly port: SerialPort,
  ) {
    this.renew();
  }

  get isWaiting(): boolean {
    return this.timer !== undefined;
  }

  /** Whose call, or parking, is awaited; null: nobody's. */
  get calling(): HandlerRunner | null {
    return this.work === null || this.isWaiting ? null : (this.runners[this.next] ?? null);
  }

  /** @returns whether it is finished; if not, `done` will be called */
  start(work: Work, runners: readonly HandlerRunner[]): boolean {
    this.work = work;
    this.runners = runners;
    this.next = 0;
    this.resetTries();
    return this.advance();
  }

  /** Forgets what is in hand: what it still brings is ignored. */
  giveUp(): void {
    this.renew();
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.work?.kind === 'redrive') this.work.abandoned();
    this.work = this.given = null;
    this.desk.unblock(this);
  }

  /** A promise of something given up may settle at any time; it must not be taken for one of what is in hand. */
  private renew(): void {
    const epoch = ++this.epoch;
    this.fulfilled = () => {
      if (epoch !== this.epoch) return;
      this.passed();
      if (this.advance()) this.port.done();
    };
    this.rejected = (error) => {
      if (epoch === this.epoch && this.failed(error)) this.port.done();
    };
  }

  /** Calls the handlers that are left, until one must be awaited. @returns whether all are done */
  private advance(): boolean {
    const { runners, desk } = this;
    const work = this.work!;
    while (this.next < runners.length) {
      const runner = runners[this.next]!;
      if (work.kind === 'change' && runner.lanes !== null && work.change.operation !== 'truncate') {
        runner.lanes.submit(work);
        // A synchronous handler may have halted the app.
        if (this.work !== work) return false;
        this.next++;
        continue;
      }
      if (runner.effects !== null && work.kind !== 'redrive') this.given ??= runner.effects.prefix.give(placeOf(work));
      if (work.kind === 'change' && runner.parked !== null && runner.mustWait(work)) return this.park(runner, null, 0);
      let pending: PromiseLike<unknown> | undefined;
      try {
        const payload = this.port.payloadOf(work, runner);
        const parkedId = work.kind === 'redrive' ? work.parked.id : null;
        pending = runner.run(payload, transactionOf(work), this.tries.attempt, desk.run.signal, parkedId);
      } catch (error) {
        return this.failed(error);
      }
      if (pending !== undefined) {
        pending.then(this.fulfilled, this.rejected);
        return false;
      }
      this.passed();
    }
    return true;
  }

  /** The handler in turn is done with the work. */
  private passed(): void {
    this.runners[this.next]!.tally.done++;
    if (this.given !== null) {
      this.runners[this.next]!.effects!.prefix.done(this.given);
      this.given = null;
    }
    if (this.tries.attempt > 1) {
      this.resetTries();
      this.desk.unblock(this);
    }
    this.next++;
  }

  /** @returns whether all handlers are done */
  private failed(error: unknown): boolean {
    const { desk } = this;
    const work = this.work!;
    const runner = this.runners[this.next]!;
    if (desk.run.isDraining) {
      this.giveUp();
      this.port.givenUp();
      return false;
    }
    if (work.kind === 'redrive') return this.redriveFailed(work, runner, error);
    const fault = this.port.faultOf(work);
    if (fault !== null) {
      desk.fault(fault);
      return false;
    }
    const reason = isParkChange(error) && isUnparkable(work) ? unparkable(work, error) : error;
    const decision = desk.judge(this, runner, describeWork(work), this.tries, reason);
    if (decision === null) return false;
    switch (decision.action) {
      case 'retry':
        this.timer = setTimeout(() => this.retry(), decision.delayMs);
        return false;
      case 'skip':
        desk.skip(runner);
        this.passed();
        return this.advance();
      case 'park':
        return this.park(runner, asError(error), this.tries.attempt);
      case 'halt':
        desk.halt(runner, describeWork(work), error);
        return false;
    }
  }

  /** Its policy has had its say: it stays parked, until somebody asks for another try. */
  private redriveFailed(work: RedriveWork, runner: HandlerRunner, error: unknown): boolean {
    const { desk, tries } = this;
    const what = describeWork(work);
    if (isInterruption(error)) {
      const { delayMs } = desk.interrupted(this, runner, what, tries, error);
      this.timer = setTimeout(() => this.retry(), delayMs);
      return false;
    }
    desk.unblock(this);
    switch (desk.redriveFailed(runner, what, tries.attempt, error)) {
      case 'halt':
        desk.halt(runner, what, error);
        return false;
      case 'skip':
        desk.skip(runner);
        runner.tally.done++;
        return true;
      case 'park':
        work.done(asError(error));
        return true;
    }
  }

  private retry(): void {
    this.timer = undefined;
    this.tries.attempt++;
    if (this.advance()) this.port.done();
  }

  private park(runner: HandlerRunner, error: Error | null, attempts: number): false {
    const { desk } = this;
    const work = this.work!;
    const { epoch, fulfilled } = this;
    const parked = (): void => {
      if (epoch === this.epoch) runner.tally.parkings++;
      fulfilled();
    };
    desk.parking.park(runner, work as ChangeWork | MessageWork, error, attempts, desk.run).then(parked, () => {
      if (epoch !== this.epoch) return;
      this.giveUp();
      this.port.givenUp();
    });
    return false;
  }

  private resetTries(): void {
    this.tries.attempt = 1;
    this.tries.free = 0;
  }
}

/** It has no key that could wait behind it. */
function isUnparkable({ kind }: Work): boolean {
  return kind === 'commit' || kind === 'schema';
}

/** As a policy it is refused at boot; a handler may throw it nevertheless, and then fails as with any error. */
function unparkable({ kind }: Work, cause: unknown): ParkingError {
  const what = kind === 'commit' ? 'whole transaction' : 'schema change';
  return new ParkingError(`A ${what} cannot be parked`, {
    cause,
    hint: 'throw SkipChange, HaltApp or an error.',
  });
}
