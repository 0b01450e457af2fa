// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change, Operation } from '../interfaces/change.interface.js';
import type { AppName, RowOf } from '../interfaces/table.interface.js';
import { changeOf, nameOf, tableOf, type AskedTable } from './outcome-query.js';
import { InjectedFaultError, TestingError } from './testing.error.js';

/** Which calls a fault is for: all conditions that are given hold together; none means every call. */
export interface FaultCondition<T = AskedTable, Row = any> {
  /** A handler's id, such as `OrdersHandler.onCreated`. */
  readonly handler?: string;
  readonly table?: T;
  readonly operation?: Operation;
  /** Which tries of a handler with one change, from 1. Default: every one. */
  readonly attempt?: number | readonly number[];
  /** Of a call with an array: whether any of its changes is meant. */
  where?(change: Change<Row>): boolean;
  /** At most so many calls. Default: until it is switched off. */
  readonly times?: number;
}

/** One fault, as it was switched on. */
export interface FaultSwitch {
  /** Calls that it has struck so far. */
  readonly struck: number;
  off(): void;
}

/** What one call has to go through before its handler is called. */
interface Trouble {
  delayMs: number;
  fail: (() => unknown) | null;
}

interface Switched extends FaultSwitch {
  struck: number;
  readonly handler: string | undefined;
  readonly hits: (handler: string, subjects: readonly unknown[], attempt: number) => boolean;
  /** @returns whether it has struck: a call that fails already is left to another try */
  readonly strike: (trouble: Trouble) => boolean;
}

/** Faults that a test switches on, to see what its policies make of them: `listener.faults`. */
export class FaultSwitches<App extends AppName = 'default'> {
  private readonly switched = new Set<Switched>();
  private handlers: readonly string[] | undefined;
  private drop: (() => boolean) | undefined;

  /**
   * Calls fail, before the handler's own code runs. Of several switches that mean a call, the first one that was switched on and is
   * not used up strikes.
   *
   * @param error thrown as it is, also a verdict such as `new SkipChange()`; a function makes one for each call. Default:
   *   an `InjectedFaultError`
   * @throws TestingError where there is no such handler
   * @example
   * listener.faults.fail({ table: 'orders', attempt: [1, 2] }, new Error('the mail server is down'));
   */
  fail<const T extends AskedTable<App>>(
    condition: FaultCondition<T, RowOf<T, App>> = {},
    error: unknown = () => new InjectedFaultError('Failed by a fault switch of the test'),
  ): FaultSwitch {
    const fail = typeof error === 'function' ? (error as () => unknown) : (): unknown => error;
    return this.switchOn(condition, (trouble) => {
      if (trouble.fail !== null) return false;
      trouble.fail = fail;
      return true;
    });
  }

  /** Calls wait, in real time, before the handler's own code runs, or until their signal is aborted. @throws TestingError */
  delay<const T extends AskedTable<App>>(condition: FaultCondition<T, RowOf<T, App>>, ms: number): FaultSwitch {
    return this.switchOn(condition, (trouble) => {
      trouble.delayMs += ms;
      return true;
    });
  }

  /**
   * The connection of the stream breaks: now, or as soon as such a call begins, and then once, unless `times` says otherwise.
   * The call itself goes on, as it does when a network breaks.
   *
   * @throws TestingError where there is no such handler, or, without a condition, no stream whose connection could break
   */
  dropConnection<const T extends AskedTable<App>>(condition?: FaultCondition<T, RowOf<T, App>>): FaultSwitch {
    if (condition !== undefined) return this.switchOn({ times: 1, ...condition }, () => this.drop?.() ?? false);
    if (this.drop === undefined) {
      throw new TestingError('There is no connection to drop before the application has initialised');
    }
    if (!this.drop()) {
      throw new TestingError('There is no connection to drop: the listener does not stream', {
        hint: "wait for listener.status.state to be 'streaming'.",
      });
    }
    return { struck: 1, off: () => undefined };
  }

  /** All are switched off. */
  clear(): void {
    this.switched.clear();
  }

  /** @internal @throws TestingError where a fault is for a handler that there is not */
  attach(handlers: readonly string[], drop: () => boolean): void {
    this.handlers = handlers;
    this.drop = drop;
    for (const { handler } of this.switched) this.check(handler);
  }

  /** @internal A call begins. @returns what it has to wait for, if anything @throws what the test has switched on */
  strike(
    handler: string,
    subjects: readonly unknown[],
    attempt: number,
    signal: AbortSignal,
  ): Promise<void> | undefined {
    const trouble: Trouble = { delayMs: 0, fail: null };
    for (const each of this.switched) {
      if (each.hits(handler, subjects, attempt) && each.strike(trouble)) each.struck++;
    }
    const { delayMs, fail } = trouble;
    if (delayMs > 0) {
      return sleep(delayMs, undefined, { signal }).then(() => {
        if (fail !== null) throw fail();
      });
    }
    if (fail !== null) throw fail();
    return undefined;
  }

  private switchOn(condition: FaultCondition, strike: Switched['strike']): FaultSwitch {
    const { handler, table, operation, attempt, where, times = Infinity } = condition;
    this.check(handler);
    const name = table === undefined ? undefined : nameOf(table);
    const attempts = attempt === undefined ? undefined : [attempt].flat();
    const isOfChange = operation !== undefined || where !== undefined;
    const isMeant = (subject: object): boolean => {
      const change = changeOf(subject);
      if (isOfChange && change === null) return false;
      if (name !== undefined && tableOf(subject) !== name) return false;
      return (operation === undefined || change?.operation === operation) && (where === undefined || where(change!));
    };
    const fault: Switched = {
      struck: 0,
      handler,
      hits: (id, subjects, tried) =>
        fault.struck < times &&
        (handler === undefined || handler === id) &&
        (attempts === undefined || attempts.includes(tried)) &&
        (subjects as readonly object[]).some((subject) => isMeant(subject)),
      strike,
      off: () => void this.switched.delete(fault),
    };
    this.switched.add(fault);
    return fault;
  }

  /** A switch for a handler that is misspelt would never strike, and the test would pass. */
  private check(handler: string | undefined): void {
    const { handlers } = this;
    if (handler === undefined || handlers === undefined || handlers.includes(handler)) return;
    throw new TestingError(`There is no handler "${handler}"`, {
      hint:
        handlers.length === 0
          ? 'no handler was found: is the class in `providers`?'
          : `there is ${handlers.join(', ')}.`,
    });
  }
}
