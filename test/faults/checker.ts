import { formatLsn, parseLsn } from '#lib/protocol/lsn.js';
import { HANDLERS, WHOLE, type HandlerName } from './handlers.js';
import type { Journal } from './journal.js';
import type { WrittenChange, WrittenTransaction } from './truth.js';

/** One row of the table of effects. */
export interface Effect {
  readonly handler: string;
  readonly name: string;
}

export interface Evidence {
  /** What was there to see changes. */
  readonly handlers: readonly HandlerName[];
  /** Whether somebody saw whole transactions. */
  readonly seesWhole: boolean;
  /** Positions in journals are those of commits: they tell the order of transactions. */
  readonly hasCommitLsns: boolean;
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
  /** Transactions of which nothing need be seen, for they lie in a gap that was reported. */
  readonly isInGap: (transaction: WrittenTransaction) => boolean;
  /** Something may have been handled that the database has lost since. */
  readonly mayHaveLost: boolean;
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
  /** Lay in a reported gap, and was not seen. */
  missedInGap: number;
  readonly examples: string[];
}

const MOST_EXAMPLES = 12;

/** Holds what handlers have seen against what was committed. */
export function check(evidence: Evidence): Verdict {
  const { transactions } = evidence;
  const verdict: Verdict = {
    commits: transactions.length,
    changes: transactions.reduce((sum, { changes }) => sum + changes.length, 0),
    lost: 0,
    outOfOrder: 0,
    torn: 0,
    duplicates: 0,
    effectsTwice: 0,
    confirmedAgain: 0,
    phantoms: 0,
    missedInGap: 0,
    examples: [],
  };
  new Check(evidence, verdict).run();
  return verdict;
}

/** What is known while the changes that one handler has seen are gone through. */
interface Order {
  readonly handler: HandlerName;
  readonly where: string;
  /** Steps of rows, in this process. */
  readonly last: Map<string, number>;
  /** The furthest, in any. */
  readonly reached: Map<string, number>;
  /** How often each change was seen, in all. */
  readonly counts: ReadonlyMap<string, number>;
}

class Check {
  private readonly byName = new Map<
    string,
    { change: WrittenChange; transaction: WrittenTransaction; place: number }
  >();

  constructor(
    private readonly evidence: Evidence,
    private readonly verdict: Verdict,
  ) {
    for (const transaction of evidence.transactions) {
      for (const [place, change] of transaction.changes.entries()) {
        this.byName.set(change.name, { change, transaction, place });
      }
    }
  }

  run(): void {
    for (const handler of this.evidence.handlers) {
      if (HANDLERS[handler].isTransactional) this.effects(handler);
      else this.journaled(handler);
    }
    for (const handler of ['serial', 'arrays'] as const) {
      if (this.evidence.handlers.includes(handler)) this.isInCommitOrder(handler);
    }
    this.serialIsWhole();
    if (this.evidence.seesWhole) this.wholeTransactions();
    this.confirmed();
  }

  private journaled(handler: HandlerName): void {
    const counts = new Map<string, number>();
    for (const { entries } of this.evidence.journals) {
      for (const entry of entries) if (entry.handler === handler) this.count(counts, entry.names);
    }
    const reached = new Map<string, number>();
    for (const { name: journal, entries } of this.evidence.journals) {
      const order: Order = { handler, where: journal, last: new Map(), reached, counts };
      for (const entry of entries) {
        if (entry.handler === handler) for (const name of entry.names) this.inOrder(order, name);
      }
    }
    for (const count of counts.values()) this.verdict.duplicates += count - 1;
    this.complete(handler, counts);
  }

  private effects(handler: HandlerName): void {
    const counts = new Map<string, number>();
    const names = this.evidence.effects.filter((effect) => effect.handler === handler).map(({ name }) => name);
    this.count(counts, names);
    const last = new Map<string, number>();
    const order: Order = { handler, where: 'the table of effects', last, reached: last, counts };
    for (const name of names) this.inOrder(order, name);
    for (const [name, count] of counts) {
      if (count === 1) continue;
      this.verdict.effectsTwice += count - 1;
      this.example(`${handler}: ${count} effects of ${name}`);
    }
    this.complete(handler, counts);
  }

  private count(counts: Map<string, number>, names: readonly string[]): void {
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  /**
   * Of one row, one process sees each step after the one before; where it begins, it may go back, and not ahead. What was
   * never seen at all is lost, which is counted, and not out of order too.
   */
  private inOrder({ handler, where, last, reached, counts }: Order, name: string): void {
    const known = this.byName.get(name);
    if (known === undefined) return;
    const { row, step } = known.change;
    const before = last.get(row);
    const most = reached.get(row) ?? -1;
    const isRight = before === undefined ? step <= most + 1 : step === before + 1;
    if (!isRight && !this.passesOver(handler, row, before ?? most, step, counts) && !this.isGapBefore(row, step)) {
      this.verdict.outOfOrder++;
      this.example(`${handler} in ${where}: ${name} is step ${step} of ${row}, after ${before ?? `(at most ${most})`}`);
    }
    last.set(row, step);
    if (step > most) reached.set(row, step);
  }

  /** Whether it goes on from one step to the other with nothing between that it sees at another time. */
  private passesOver(handler: HandlerName, row: string, from: number, to: number, counts: Order['counts']): boolean {
    const between = [...Array(Math.max(to - from - 1, 0)).keys()].map((index) => this.nameOf(row, from + 1 + index));
    return to > from && between.every((name) => !counts.has(name) || this.evidence.mayMiss(handler, name));
  }

  private nameOf(row: string, step: number): string {
    this.byStep ??= new Map([...this.byName].map(([name, { change }]) => [`${change.row} ${change.step}`, name]));
    return this.byStep.get(`${row} ${step}`) ?? '';
  }
  private byStep: Map<string, string> | undefined;

  private isGapBefore(row: string, step: number): boolean {
    for (const { changes } of this.gaps()) {
      if (changes.some((each) => each.row === row && each.step < step)) return true;
    }
    return false;
  }

  private gaps(): WrittenTransaction[] {
    return (this.inGap ??= this.evidence.transactions.filter((each) => this.evidence.isInGap(each)));
  }
  private inGap: WrittenTransaction[] | undefined;

  private complete(handler: HandlerName, counts: ReadonlyMap<string, number>): void {
    const { transactions, mayMiss, isInGap, mayHaveLost } = this.evidence;
    const tables: readonly string[] = HANDLERS[handler].tables;
    for (const transaction of transactions) {
      for (const { name, table } of transaction.changes) {
        if (!tables.includes(table) || counts.has(name)) continue;
        if (isInGap(transaction)) this.verdict.missedInGap++;
        else if (!mayMiss(handler, name)) {
          this.verdict.lost++;
          const { after, before } = transaction;
          const where = `${formatLsn(after)} to ${before === null ? 'nobody knows where' : formatLsn(before)}`;
          this.example(`${handler} has not seen ${name} of ${transaction.token}, committed from ${where}`);
        }
      }
    }
    for (const name of counts.keys()) {
      if (this.byName.has(name) || (mayHaveLost && !HANDLERS[handler].isTransactional)) continue;
      this.verdict.phantoms++;
      this.example(`${handler} has seen ${name}, which was not committed`);
    }
  }

  /** Transactions in the order of their commits, and changes in the order in which they were made. */
  private isInCommitOrder(wanted: HandlerName): void {
    const { journals, isParking, hasCommitLsns } = this.evidence;
    if (isParking) return;
    for (const { name: journal, entries } of journals) {
      let lsn = 0n;
      let token = '';
      let place = -1;
      for (const entry of entries) {
        const known = entry.handler === wanted ? this.byName.get(entry.names[0]!) : undefined;
        if (known === undefined) continue;
        const { transaction, change } = known;
        const isBack = transaction.token === token && known.place <= place;
        const at = parseLsn(entry.lsn);
        if (isBack || (hasCommitLsns && at < lsn)) {
          this.verdict.outOfOrder++;
          this.example(`${wanted} in ${journal}: ${change.name} at ${entry.lsn} comes after what lies behind it`);
        }
        lsn = at;
        token = transaction.token;
        place = known.place;
      }
    }
  }

  /** Nothing comes between the changes of one transaction. */
  private serialIsWhole(): void {
    if (this.evidence.isParking) return;
    for (const { name: journal, entries } of this.evidence.journals) {
      const ended = new Set<string>();
      let current: string | null = null;
      for (const { handler, names } of entries) {
        const token = handler === 'serial' ? this.byName.get(names[0]!)?.transaction.token : undefined;
        if (token === undefined || token === current) continue;
        if (current !== null) ended.add(current);
        if (ended.has(token)) {
          this.verdict.torn++;
          this.example(`serial in ${journal} sees more of ${token} after others`);
        }
        current = token;
      }
    }
  }

  private wholeTransactions(): void {
    const seen = new Set<string>();
    for (const { name: journal, entries } of this.evidence.journals) {
      let last = -1n;
      for (const { handler, names, lsn } of entries) {
        if (handler !== WHOLE) continue;
        if (!this.evidence.isParking && parseLsn(lsn) <= last) {
          this.verdict.outOfOrder++;
          this.example(`whole in ${journal}: the transaction at ${lsn} comes after one at ${formatLsn(last)}`);
        }
        last = parseLsn(lsn);
        const transaction = this.byName.get(names[0]!)?.transaction;
        if (transaction === undefined) {
          if (!this.evidence.mayHaveLost) this.verdict.phantoms++;
          continue;
        }
        if (seen.has(transaction.token)) this.verdict.duplicates++;
        seen.add(transaction.token);
        const wanted = transaction.changes.map(({ name }) => name).join(',');
        if (wanted === names.join(',')) continue;
        this.verdict.torn++;
        this.example(`whole sees ${names.length} of the ${transaction.changes.length} changes of ${transaction.token}`);
      }
    }
    for (const transaction of this.evidence.transactions) {
      if (seen.has(transaction.token)) continue;
      if (this.evidence.isInGap(transaction)) this.verdict.missedInGap++;
      else {
        this.verdict.lost++;
        this.example(`whole has not seen ${transaction.token}`);
      }
    }
  }

  private confirmed(): void {
    if (this.evidence.isParking) return;
    for (const { name, entries } of this.evidence.journals) {
      const floor = this.evidence.floors.get(name) ?? 0n;
      for (const { lsn, handler, names } of entries) {
        if (parseLsn(lsn) >= floor) continue;
        this.verdict.confirmedAgain++;
        this.example(`${handler} in ${name}: ${names[0]} at ${lsn} came although the slot stood beyond`);
      }
    }
  }

  private example(text: string): void {
    if (this.verdict.examples.length < MOST_EXAMPLES) this.verdict.examples.push(text);
  }
}
