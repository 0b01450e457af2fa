import type { RowOf } from '../interfaces/table.interface.js';
import { isDrizzleTable } from '../tables/drizzle-table.js';
import type { HandlerOutcome } from './handler-record.js';
import { checkOutcome, type OutcomeCheck } from './outcome-check.js';
import type { ObservedPgListener } from './observed-pg-listener.js';
import type { AskedTable, OutcomeQuery } from './outcome-query.js';

type AppOf<Listener> = 0 extends 1 & Listener
  ? 'default'
  : Listener extends ObservedPgListener<infer App>
    ? App
    : 'default';

/**
 * What `expect(listener)` has, of a `TestPgListener` or a `LivePgListener`, after `expect.extend(pgListenerMatchers)`. They look at
 * what has happened by now: of a stream from a server, wait with `listener.journal.until()` first.
 */
export interface PgListenerMatchers<R = void, Listener = unknown> {
  /** A handler has returned, and what it returned has resolved. */
  toHaveHandled<const T extends AskedTable<AppOf<Listener>>>(
    table?: T,
    query?: OutcomeQuery<RowOf<T, AppOf<Listener>>>,
  ): R;
  toHaveHandled(query: OutcomeQuery): R;
  /** A try has failed, and another one follows or has followed: one for each such try. */
  toHaveRetried<const T extends AskedTable<AppOf<Listener>>>(
    table?: T,
    query?: OutcomeQuery<RowOf<T, AppOf<Listener>>>,
  ): R;
  toHaveRetried(query: OutcomeQuery): R;
  /** It was parked, whatever has become of it since: because its handler failed, or behind another one (`attempt: 0`). */
  toHaveParked<const T extends AskedTable<AppOf<Listener>>>(
    table?: T,
    query?: OutcomeQuery<RowOf<T, AppOf<Listener>>>,
  ): R;
  toHaveParked(query: OutcomeQuery): R;
  /** Its handler has failed, and it was left out. */
  toHaveSkipped<const T extends AskedTable<AppOf<Listener>>>(
    table?: T,
    query?: OutcomeQuery<RowOf<T, AppOf<Listener>>>,
  ): R;
  toHaveSkipped(query: OutcomeQuery): R;
}

type Matcher = (listener: any, table?: any, query?: any) => OutcomeCheck;

/**
 * For `expect.extend()` of Jest and of Vitest.
 *
 * @example
 * expect.extend(pgListenerMatchers);
 * expect(listener).toHaveHandled('orders', { operation: 'insert', record: { id: 1 } });
 */
export const pgListenerMatchers: Readonly<Record<keyof PgListenerMatchers, Matcher>> = {
  toHaveHandled: matcherOf('handled'),
  toHaveRetried: matcherOf('retried'),
  toHaveParked: matcherOf('parked'),
  toHaveSkipped: matcherOf('skipped'),
};

function matcherOf(outcome: HandlerOutcome): Matcher {
  return (listener: ObservedPgListener, ...given) => {
    const [first, second] = given as [AskedTable | OutcomeQuery | undefined, OutcomeQuery | undefined];
    const [table, query] = first === undefined || isTable(first) ? [first, second] : [undefined, first];
    return checkOutcome(listener, outcome, table as AskedTable<'default'> | undefined, query);
  };
}

function isTable(first: AskedTable | OutcomeQuery): first is AskedTable {
  return typeof first === 'string' || isDrizzleTable(first) || 'name' in first;
}

/** @ts-ignore: Jest may not be there. */
declare module 'expect' {
  interface Matchers<R extends void | Promise<void>, T = unknown> extends PgListenerMatchers<R, T> {}
}

/** @ts-ignore: Vitest may not be there. */
declare module 'vitest' {
  interface Matchers<T = any> extends PgListenerMatchers<void, T> {}
}

declare global {
  namespace jest {
    interface Matchers<R, T = {}> extends PgListenerMatchers<R, T> {}
  }
}
