import { AssertionError } from 'node:assert';
import type { AppName, RowOf } from '../interfaces/table.interface.js';
import type { HandlerOutcome, HandlerRecord } from './handler-record.js';
import type { ObservedPgListener } from './observed-pg-listener.js';
import { describeQuery, type AskedTable, type OutcomeQuery } from './outcome-query.js';
import { describeRecords } from './record-text.js';
import { TestingError } from './testing.error.js';

/** What a matcher of Jest and of Vitest returns. */
export interface OutcomeCheck {
  readonly pass: boolean;
  /** For whoever expected the opposite. */
  readonly message: () => string;
}

/**
 * Whether something of a table, or, where none is named, anything, has had this outcome; `times` of the query wants it so
 * often. Below the matchers, and for test runners that have none.
 *
 * @throws TablePatternError where the table is no name; TestingError where the listener writes nothing down
 */
export function checkOutcome<App extends AppName, const T extends AskedTable<App>>(
  listener: ObservedPgListener<App>,
  outcome: HandlerOutcome,
  table?: T,
  query?: OutcomeQuery<RowOf<T, App>>,
): OutcomeCheck {
  const journal = (listener as Partial<ObservedPgListener<App>> | null | undefined)?.journal;
  if (journal === undefined) {
    throw new TestingError('Only a TestPgListener or a LivePgListener knows what has become of changes', {
      hint: 'put one in with overrideProvider(getPgListenerToken()).useValue(listener), and give it to expect().',
    });
  }
  const count = journal.find(outcome, table, query).length;
  const { times } = query ?? {};
  const pass = times === undefined ? count > 0 : count === times;
  const message = (): string =>
    checkText({ outcome, asked: describeQuery(table, query), times, count, pass }, journal.records);
  return { pass, message };
}

/**
 * The same, as an assertion.
 *
 * @throws AssertionError that tells what was handled
 */
export function assertOutcome<App extends AppName, const T extends AskedTable<App>>(
  listener: ObservedPgListener<App>,
  outcome: HandlerOutcome,
  table?: T,
  query?: OutcomeQuery<RowOf<T, App>>,
): void {
  const { pass, message } = checkOutcome(listener, outcome, table, query);
  if (!pass) throw new AssertionError({ message: message(), stackStartFn: assertOutcome });
}

interface Found {
  readonly outcome: HandlerOutcome;
  readonly asked: string;
  readonly times: number | undefined;
  readonly count: number;
  readonly pass: boolean;
}

function checkText({ outcome, asked, times, count, pass }: Found, records: readonly HandlerRecord[]): string {
  const wanted = times === undefined ? (pass ? 'none' : 'one or more') : `${pass ? 'not ' : ''}exactly ${times}`;
  return `Expected ${wanted}, and there ${count === 1 ? 'is' : 'are'} ${count} × ${outcome}: ${asked}\n\n${describeRecords(records)}`;
}
