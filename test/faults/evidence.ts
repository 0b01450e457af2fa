import { formatLsn } from '#lib/protocol/lsn.js';
import type { HandlerName } from './handlers.js';
import type { Journal } from './journal.js';
import type { WrittenChange, WrittenTransaction } from './truth.js';

/** One row of the table of effects. */
export interface Effect {
  readonly handler: string;
  readonly name: string;
  readonly content: string;
}

export interface Evidence {
  /** What was there to see changes. */
  readonly handlers: readonly HandlerName[];
  /** Whether somebody saw whole transactions. */
  readonly seesWhole: boolean;
  /** Journals tell the positions of commits, and what rows contained. */
  readonly hasDetails: boolean;
  /** Those that the database has. */
  readonly transactions: readonly WrittenTransaction[];
  readonly journals: readonly Journal[];
  /** In the order in which they were written. */
  readonly effects: readonly Effect[];
  /** Where the slot stood when the process of a journal began: nothing at or before it may come. */
  readonly floors: ReadonlyMap<string, bigint>;
  /** What a handler of rows passes over, for its policy says so. */
  readonly mayMiss: (handler: string, name: string) => boolean;
  /** What is parked is handled later, between others. */
  readonly isParking: boolean;
  /** Transactions of which nothing need be seen: the fault took them away, and a gap was reported. */
  readonly isInGap: (transaction: WrittenTransaction) => boolean;
  /** Was committed, may have been handled, and is not in the database any more. */
  readonly isGone: (name: string) => boolean;
}

export interface Verdict {
  readonly commits: number;
  readonly changes: number;
  lost: number;
  outOfOrder: number;
  torn: number;
  /** Of at-least-once handlers. */
  duplicates: number;
  /** Of transactional handlers. */
  effectsTwice: number;
  /** Came again although it had been confirmed. */
  confirmedAgain: number;
  /** Was seen, and never committed. */
  phantoms: number;
  /** Was seen with other values, or at another position, than it was written. */
  altered: number;
  /** Lay in a reported gap, and was not seen. */
  missedInGap: number;
  readonly examples: string[];
}

export type Count = Exclude<keyof Verdict, 'commits' | 'changes' | 'examples'>;

/** Nothing is wrong, nothing came again. */
export const NOTHING_FOUND: Readonly<Record<Count, number>> = {
  lost: 0,
  outOfOrder: 0,
  torn: 0,
  duplicates: 0,
  effectsTwice: 0,
  confirmedAgain: 0,
  phantoms: 0,
  altered: 0,
  missedInGap: 0,
};

export interface Known {
  readonly change: WrittenChange;
  readonly transaction: WrittenTransaction;
  /** Among the changes of its transaction. */
  readonly place: number;
}

const MOST_EXAMPLES = 12;

/** What was written, by name, and the verdict as it grows. */
export class Case {
  readonly verdict: Verdict;
  private readonly byName = new Map<string, Known>();
  private readonly byStep = new Map<string, string>();
  private readonly inGap: ReadonlySet<WrittenTransaction>;

  constructor(readonly evidence: Evidence) {
    const { transactions } = evidence;
    for (const transaction of transactions) {
      for (const [place, change] of transaction.changes.entries()) {
        this.byName.set(change.name, { change, transaction, place });
        this.byStep.set(`${change.row} ${change.step}`, change.name);
      }
    }
    this.inGap = new Set(transactions.filter((each) => evidence.isInGap(each)));
    this.verdict = {
      commits: transactions.length,
      changes: transactions.reduce((sum, { changes }) => sum + changes.length, 0),
      ...NOTHING_FOUND,
      examples: [],
    };
  }

  known(name: string): Known | undefined {
    return this.byName.get(name);
  }

  /** Of the change that was this step of a row. */
  nameOf(row: string, step: number): string {
    return this.byStep.get(`${row} ${step}`) ?? '';
  }

  isInGap(transaction: WrittenTransaction | undefined): boolean {
    return transaction !== undefined && this.inGap.has(transaction);
  }

  add(count: Count, times = 1): void {
    this.verdict[count] += times;
  }

  /** With an example for people. */
  found(count: Count, example: string, times = 1): void {
    this.add(count, times);
    if (this.verdict.examples.length < MOST_EXAMPLES) this.verdict.examples.push(`${count}: ${example}`);
  }
}

/** Where its commit lies, for people. */
export function placeOf({ token, after, before }: WrittenTransaction): string {
  return `${token}, committed from ${formatLsn(after)} to ${before === null ? 'nobody knows where' : formatLsn(before)}`;
}
