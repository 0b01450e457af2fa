import { failureChannel, type FailureMessage } from '../diagnostics/channels.js';
import { asError } from '../errors/as-error.js';
import { HandlerHaltError } from '../errors/delivery.error.js';
import { withConsequence } from '../errors/pg-listener.error.js';
import type { CallVerdict, DeliveryWatch } from '../interfaces/delivery-watch.interface.js';
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
    if (decision !== null) this.tell(runner, what, tries.attempt, error, outcomeOf(decision, items));
    return decision;
  }

  private decide(
    caller: object,
    runner: HandlerRunner,
    what: string,
    tries: Tries,
    error: unknown,
  ): FailureDecision | null {
    if (isInterruption(error)) return this.waitOut(caller, runner, what, tries, asError(error));
    this.failures++;
    runner.tally.failures++;
    const { attempt, free } = tries;
    const decision = decideFailure(error, attempt - free, runner.retry, runner.onExhausted);
    const isExhausted = decision.action === 'retry' && decision.isExhausted;
    if (isExhausted && this.hooks.onExhausted?.(error)) return null;
    const reason = asError(error);
    // The stack is the same each time; once says where, and once more when it gets serious.
    const isTold = attempt > 1 && attempt !== runner.retry.attempts && decision.action === 'retry';
    const hasKey = runner.definition.kind !== 'message';
    this.logger.error(
      failureText(runner.id, what, attempt, decision, reason, hasKey),
      isTold ? undefined : reason.stack,
    );
    if (isExhausted) this.blocked.set(caller, { handler: runner.id, interruption: null });
    if (decision.action === 'retry' && !decision.isAttempt) tries.free++;
    return decision;
  }

  /** Nobody's failure: it is tried again, for as long as it takes. Where that is long, somebody has to know. */
  interrupted(caller: object, runner: HandlerRunner, what: string, tries: Tries, error: unknown): InterruptedCall {
    const decision = this.waitOut(caller, runner, what, tries, asError(error));
    this.tell(runner, what, tries.attempt, error, outcomeOf(decision, 1));
    return decision;
  }

  private waitOut(caller: object, runner: HandlerRunner, what: string, tries: Tries, error: Error): InterruptedCall {
    const delayMs = delayAfter(++tries.free, runner.retry);
    if (tries.free >= runner.retry.attempts) {
      this.blocked.set(caller, { handler: runner.id, interruption: error.message });
    }
    this.logger.warn(withConsequence(error, `${what} is tried again in ${delayMs} ms, and this try does not count`));
    return { action: 'retry', delayMs, isExhausted: false, isAttempt: false };
  }

  /** One more try of a parked change was in vain, and it stays parked, unless the handler says otherwise. */
  redriveFailed(runner: HandlerRunner, what: string, attempt: number, error: unknown): 'skip' | 'halt' | 'park' {
    this.failures++;
    runner.tally.failures++;
    const { action } = decideFailure(error, 1, runner.retry, 'block');
    const verdict = action === 'retry' ? 'park' : action;
    if (verdict === 'park') {
      this.logger.error(
        `Handler ${runner.id} failed on the parked ${what}: ${withConsequence(asError(error), 'it stays parked')}`,
      );
    }
    this.tell(runner, what, attempt, error, { verdict: verdict === 'park' ? 'keep' : verdict, ...NO_RETRY });
    return verdict;
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

  private tell(runner: HandlerRunner, what: string, attempt: number, error: unknown, outcome: Outcome): void {
    const { verdict, delayMs, isBlocking } = outcome;
    this.hooks.watch?.judged(runner.id, { error, attempt, verdict });
    if (!failureChannel.hasSubscribers || isInterruption(error)) return;
    const action = verdict === 'keep' ? 'park' : verdict;
    const message: FailureMessage = {
      app: this.app,
      handler: runner.id,
      what,
      attempt,
      error,
      action,
      delayMs,
      isBlocking,
    };
    failureChannel.publish(message);
  }
}

type InterruptedCall = FailureDecision & { readonly action: 'retry' };

/** What is done about a failure. */
interface Outcome {
  readonly verdict: CallVerdict;
  readonly delayMs: number | null;
  readonly isBlocking: boolean;
}

const NO_RETRY = { delayMs: null, isBlocking: false } as const;

function outcomeOf(decision: FailureDecision, items: number): Outcome {
  // Each item is tried alone, at once.
  if (isTakenApart(decision, items)) return { verdict: 'retry', delayMs: 0, isBlocking: false };
  if (decision.action !== 'retry') return { verdict: decision.action, ...NO_RETRY };
  return { verdict: 'retry', delayMs: decision.delayMs, isBlocking: decision.isExhausted };
}
