import { failureChannel, type FailureMessage } from '../diagnostics/channels.js';
import { asError } from '../errors/as-error.js';
import { HandlerHaltError } from '../errors/delivery.error.js';
import type { DeliveryWatch } from '../interfaces/delivery-watch.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import {
  decideFailure,
  delayAfter,
  failureText,
  isInterruption,
  isTakenApart,
  type FailureDecision,
} from './failure-policy.js';
import type { HandlerRunner } from './handler-runner.js';
import type { Parking } from './parked/parking.js';
import { RunSignals } from './run-signals.js';

/** What cannot be settled by calling handlers again. */
export interface FaultHooks {
  /** The app cannot go on: its stream must halt. */
  readonly onFault: (error: Error) => void;
  /** Another process has the stream: ours must end, and what is in hand is given up already. */
  readonly onSuperseded?: (error: Error) => void;
  /** A handler has used up its attempts. True: the caller has taken the work away, and it is not tried again. */
  readonly onExhausted?: (error: unknown) => boolean;
  /** Undefined: nobody looks on. */
  readonly watch?: DeliveryWatch | undefined;
}

/** A call that is tried on. */
interface BlockedCall {
  readonly handler: string;
  /** Null: the handler itself fails. */
  readonly interruption: string | null;
}

/** How often something was tried: all tries, and those of them that count. */
export interface Tries {
  /** The present one, from 1. */
  attempt: number;
  /** Tries that the handler asked for, and that are none of its attempts. */
  free: number;
}

/**
 * What everyone who calls handlers needs: the verdict over a failure, told in the log and counted, and the place where
 * changes are parked.
 */
export class HandlerDesk {
  failures = 0;
  skipped = 0;
  /** Another one after each stop. */
  run = new RunSignals();
  private readonly blocked = new Map<object, BlockedCall>();

  constructor(
    readonly app: string,
    readonly parking: Parking,
    private readonly logger: ListenerLogger,
    private readonly hooks: FaultHooks,
  ) {}

  /** A handler that has used up its attempts and is tried on, or whose change cannot be parked; null: none. */
  get blockedHandler(): string | null {
    return this.firstBlocked?.handler ?? this.parking.stuckHandler;
  }

  /** Why it is not its own fault; null: it is, or none is blocked. */
  get interruption(): string | null {
    return this.firstBlocked?.interruption ?? null;
  }

  private get firstBlocked(): BlockedCall | undefined {
    return this.blocked.values().next().value;
  }

  /** @param items of an array @returns null where the work has been taken away from the caller */
  judge(
    caller: object,
    runner: HandlerRunner,
    what: string,
    tries: Tries,
    error: unknown,
    items = 1,
  ): FailureDecision | null {
    const decision = this.decide(caller, runner, what, tries, error);
    if (decision !== null) {
      const verdict = isTakenApart(decision, items) ? 'retry' : decision.action;
      this.hooks.watch?.judged(runner.id, error, verdict);
    }
    return decision;
  }

  private decide(
    caller: object,
    runner: HandlerRunner,
    what: string,
    tries: Tries,
    error: unknown,
  ): FailureDecision | null {
    if (isInterruption(error)) return this.interrupted(caller, runner, what, tries, asError(error));
    this.failures++;
    runner.tally.failures++;
    const { attempt, free } = tries;
    const decision = decideFailure(error, attempt - free, runner.retry, runner.onExhausted);
    const isExhausted = decision.action === 'retry' && decision.isExhausted;
    if (isExhausted && this.hooks.onExhausted?.(error)) return null;
    const reason = asError(error);
    // The stack is the same each time; once says where, and once more when it gets serious.
    const isTold = attempt > 1 && attempt !== runner.retry.attempts && decision.action === 'retry';
    this.logger.error(failureText(runner.id, what, attempt, decision, reason), isTold ? undefined : reason.stack);
    if (isExhausted) this.blocked.set(caller, { handler: runner.id, interruption: null });
    if (failureChannel.hasSubscribers) this.publish(runner, what, attempt, error, decision);
    if (decision.action === 'retry' && !decision.isAttempt) tries.free++;
    return decision;
  }

  /** Nobody's failure: it is tried again, for as long as it takes. Where that is long, somebody has to know. */
  interrupted(
    caller: object,
    runner: HandlerRunner,
    what: string,
    tries: Tries,
    error: Error,
  ): FailureDecision & { action: 'retry' } {
    const delayMs = delayAfter(++tries.free, runner.retry);
    if (tries.free >= runner.retry.attempts) {
      this.blocked.set(caller, { handler: runner.id, interruption: error.message });
    }
    this.logger.warn(`${error.message}; ${what} is tried again in ${delayMs} ms, and this try does not count`);
    return { action: 'retry', delayMs, isExhausted: false, isAttempt: false };
  }

  /** One more try of a parked change was in vain. */
  redriveFailed(runner: HandlerRunner, what: string, error: Error): void {
    this.failures++;
    runner.tally.failures++;
    this.logger.error(`Handler ${runner.id} failed on the parked ${what}: ${error.message}; it stays parked`);
  }

  skip(runner: HandlerRunner, items = 1): void {
    this.skipped += items;
    runner.tally.skipped += items;
  }

  /** It has succeeded, or is given up. */
  unblock(caller: object): void {
    this.blocked.delete(caller);
  }

  halt(runner: HandlerRunner, what: string, error: unknown): void {
    const cause = asError(error);
    this.hooks.onFault(
      new HandlerHaltError(`Handler ${runner.id} halts the app on ${what}: ${cause.message}`, {
        app: this.app,
        cause,
        hint: 'the position holds. Mend the handler and start the app, which gets the change again; or choose another onExhausted.',
      }),
    );
  }

  fault(error: Error): void {
    this.hooks.onFault(error);
  }

  private publish(
    { id }: HandlerRunner,
    what: string,
    attempt: number,
    error: unknown,
    decision: FailureDecision,
  ): void {
    const isRetry = decision.action === 'retry';
    failureChannel.publish({
      app: this.app,
      handler: id,
      what,
      attempt,
      error,
      action: decision.action,
      delayMs: isRetry ? decision.delayMs : null,
      isBlocking: isRetry && decision.isExhausted,
    } satisfies FailureMessage);
  }
}
