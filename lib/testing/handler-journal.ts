// Not the global ones: a user's test that has put fake timers in must not stop what waits.
import { clearTimeout, setTimeout } from 'node:timers';
import { failedItems } from '../events/lanes/batch-results.js';
import type { DeliveryWatch, JudgedCall } from '../interfaces/delivery-watch.interface.js';
import type { ParkingRequest } from '../interfaces/parked-store.interface.js';
import type { AppName, RowOf } from '../interfaces/table.interface.js';
import type { HandlerOutcome, HandlerRecord } from './handler-record.js';
import { changeOf, describeQuery, queryOf, type AskedTable, type OutcomeQuery } from './outcome-query.js';
import { describeRecords } from './record-text.js';
import { TestingError } from './testing.error.js';

type Entry = { -readonly [K in keyof HandlerRecord]: HandlerRecord[K] };

const PATIENCE_MS = 5_000;
const OUTCOMES = { retry: 'retried', skip: 'skipped', halt: 'halted', keep: 'parked' } as const;

/** What the handlers of a listener were called with, in order, and what has become of it. */
export class HandlerJournal<App extends AppName = 'default'> implements DeliveryWatch {
  /** Types only: which tables there are. */
  declare readonly app?: App;
  private entries: Entry[] = [];
  private calls: JournalledCall[] = [];
  private readonly waiting = new Set<() => void>();

  /** Everything, in the order of the calls. */
  get records(): readonly HandlerRecord[] {
    return this.entries;
  }

  /**
   * What has had this outcome: of a table, or, where none is named, of anything.
   *
   * @throws TablePatternError where the table is no name
   * @example
   * listener.journal.find('parked', 'orders', { handler: 'OrdersHandler.onCreated' });
   */
  find<const T extends AskedTable<App>>(
    outcome: HandlerOutcome,
    table?: T,
    query?: OutcomeQuery<RowOf<T, App>>,
  ): HandlerRecord<RowOf<T, App>>[] {
    const fits = queryOf(table, query);
    const found: readonly HandlerRecord[] = this.entries.filter((each) => each.outcome === outcome && fits(each));
    return found as HandlerRecord<RowOf<T, App>>[];
  }

  /**
   * The same, as soon as there is one, or as many as `times` says. For a stream from a server: `emit` and `replay` need no waiting.
   *
   * @param query besides: `timeoutMs`, 5000 where it is not given
   * @throws TestingError where they do not come in time: it tells what came instead
   */
  async until<const T extends AskedTable<App>>(
    outcome: HandlerOutcome,
    table?: T,
    query: OutcomeQuery<RowOf<T, App>> & { readonly timeoutMs?: number } = {},
  ): Promise<HandlerRecord<RowOf<T, App>>[]> {
    const { timeoutMs = PATIENCE_MS, ...asked } = query;
    const wanted = asked.times ?? 1;
    const found = (): HandlerRecord<RowOf<T, App>>[] => this.find(outcome, table, asked as OutcomeQuery<RowOf<T, App>>);
    if (found().length < wanted) await this.changes(timeoutMs, () => found().length >= wanted);
    if (found().length >= wanted) return found();
    throw new TestingError(
      `Waited ${timeoutMs} ms in vain for ${wanted} × ${outcome}: ${describeQuery(table, asked)}\n${describeRecords(this.entries)}`,
    );
  }

  /** Forgets what was, such as between two tests. */
  clear(): void {
    this.entries = [];
    this.calls = [];
  }

  /** @internal A handler is called. @returns who takes its end */
  begin(handler: string, subjects: readonly unknown[], attempt: number): JournalledCall {
    const entries = subjects.map((subject): Entry => {
      return { handler, subject: subject as Entry['subject'], attempt, outcome: 'running', error: undefined };
    });
    this.add(entries);
    const call = new JournalledCall(handler, entries, () => this.changed());
    this.calls.push(call);
    return call;
  }

  /** @internal */
  judged(handler: string, judged: JudgedCall): void {
    // It is kept when it is durable, and `parked` tells.
    if (judged.verdict === 'park') return;
    // A test may throw one error again and again: the last that nobody has judged is the one.
    this.calls.findLast((call) => call.handler === handler && call.judge(judged));
    this.changed();
  }

  /** @internal */
  parked({ handler, work, error, attempts }: ParkingRequest): void {
    const { entries } = this;
    const entry = entries.findLast(
      (each) =>
        each.handler === handler && each.outcome === 'failed' && isSame(each.subject, work as unknown as object),
    );
    if (entry !== undefined) entry.outcome = 'parked';
    else {
      const subject = work as unknown as Entry['subject'];
      this.add([{ handler, subject, attempt: attempts, outcome: 'parked', error: error ?? undefined }]);
    }
    this.changed();
  }

  private add(entries: readonly Entry[]): void {
    this.entries.push(...entries);
    this.changed();
  }

  private changed(): void {
    for (const look of this.waiting) look();
  }

  private changes(timeoutMs: number, isEnough: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isEnough()) end();
      };
      const timer = setTimeout(end, timeoutMs);
      this.waiting.add(look);
    });
  }
}

/** @internal One call, for one thing or an array. */
export class JournalledCall {
  constructor(
    readonly handler: string,
    private readonly entries: readonly Entry[],
    private readonly changed: () => void,
  ) {}

  /** @param result what an array's handler says of its items, or anything */
  ended(result: unknown): void {
    const failures = failedItems(result, this.entries);
    for (const entry of this.entries) {
      const isFailed = failures?.has(entry) ?? false;
      entry.outcome = isFailed ? 'failed' : 'handled';
      if (isFailed) entry.error = failures!.get(entry);
    }
    this.changed();
  }

  /** Of an array, what has failed is judged together. @returns whether it has failed of this, and was not judged before */
  judge({ error, attempt, verdict }: JudgedCall): boolean {
    const failed = this.entries.filter((entry) => entry.outcome === 'failed' && entry.attempt === attempt);
    if (verdict === 'park' || !failed.some((entry) => entry.error === error)) return false;
    for (const entry of failed) entry.outcome = OUTCOMES[verdict];
    return true;
  }

  failed(error: unknown): void {
    for (const entry of this.entries) {
      entry.outcome = 'failed';
      entry.error = error;
    }
    this.changed();
  }
}

/** What a handler gets may be a copy, with values that were read again. */
function isSame(one: object, other: object): boolean {
  if (one === other) return true;
  const [a, b] = [changeOf(one), changeOf(other)];
  return a !== null && a.id === b?.id;
}
