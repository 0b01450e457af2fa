import { parseLsn } from '#lib/protocol/lsn.js';
import type { Case, Known } from './evidence.js';
import { WHOLE, type HandlerName } from './handlers.js';
import type { WrittenTransaction } from './truth.js';

/** Those that see everything one after the other. */
const SERIAL = ['serial', 'arrays'] as const satisfies readonly HandlerName[];
const SERIAL_EFFECTS = ['effects', 'effectArrays'] as const satisfies readonly HandlerName[];

/** Transactions are seen whole, in the order in which they were committed. */
export class CommitCheck {
  constructor(private readonly whole: Case) {}

  run(): void {
    const { evidence } = this.whole;
    // What is parked is seen again between others.
    if (!evidence.isParking) {
      for (const handler of SERIAL.filter((each) => evidence.handlers.includes(each))) this.journaled(handler);
      for (const handler of SERIAL_EFFECTS.filter((each) => evidence.handlers.includes(each))) this.effects(handler);
      this.serialIsWhole();
    }
    if (evidence.seesWhole) this.wholeTransactions();
  }

  private journaled(wanted: HandlerName): void {
    for (const { name: journal, entries } of this.whole.evidence.journals) {
      const order = new CommitOrder(this.whole, `${wanted} in ${journal}`);
      for (const { handler, names, lsn } of entries) {
        if (handler === wanted) for (const name of names) order.next(this.whole.known(name), lsn);
      }
    }
  }

  private effects(wanted: HandlerName): void {
    const order = new CommitOrder(this.whole, `${wanted} in the table of effects`);
    for (const { handler, name } of this.whole.evidence.effects) {
      if (handler === wanted) order.next(this.whole.known(name), null);
    }
  }

  /** Nothing comes between the changes of one transaction. */
  private serialIsWhole(): void {
    for (const { name: journal, entries } of this.whole.evidence.journals) {
      const ended = new Set<string>();
      let current: string | null = null;
      for (const { handler, names } of entries) {
        const token = handler === 'serial' ? this.whole.known(names[0]!)?.transaction.token : undefined;
        if (token === undefined || token === current) continue;
        if (current !== null) ended.add(current);
        if (ended.has(token)) this.whole.found('torn', `serial in ${journal} sees more of ${token} after others`);
        current = token;
      }
    }
  }

  private wholeTransactions(): void {
    const { journals, transactions, isGone, isParking } = this.whole.evidence;
    const seen = new Set<string>();
    for (const { name: journal, entries } of journals) {
      const order = new CommitOrder(this.whole, `whole in ${journal}`);
      for (const { handler, names, lsn } of entries) {
        if (handler !== WHOLE) continue;
        const known = this.whole.known(names[0]!);
        if (known !== undefined) {
          if (!isParking) order.next(known, lsn);
          this.wholeTransaction(known.transaction, names, seen);
        } else if (!isGone(names[0]!)) {
          this.whole.found('phantoms', `whole in ${journal} has seen ${names[0]}, which was not committed`);
        }
      }
    }
    for (const transaction of transactions) {
      if (seen.has(transaction.token)) continue;
      if (this.whole.isInGap(transaction)) this.whole.add('missedInGap');
      else this.whole.found('lost', `whole has not seen ${transaction.token}`);
    }
  }

  private wholeTransaction(transaction: WrittenTransaction, names: readonly string[], seen: Set<string>): void {
    const { token, changes } = transaction;
    if (seen.has(token)) this.whole.add('duplicates');
    seen.add(token);
    if (changes.map(({ name }) => name).join(',') === names.join(',')) return;
    this.whole.found('torn', `whole sees ${names.length} changes, not the ${changes.length} of ${token}`);
  }
}

/** Of what one serial handler sees in one process, or leaves in one table. */
class CommitOrder {
  private last: { known: Known; lsn: bigint | null } | null = null;
  /** The commit of one that was seen lies after this. */
  private furthest = -1n;

  constructor(
    private readonly whole: Case,
    private readonly where: string,
  ) {}

  next(known: Known | undefined, position: string | null): void {
    if (known === undefined) return;
    const lsn = position === null || !this.whole.evidence.hasDetails ? null : parseLsn(position);
    if (!this.isRight(known, lsn)) {
      const { name } = known.change;
      this.whole.found('outOfOrder', `${this.where}: ${name} at ${position} comes after what was committed later`);
    }
    this.last = { known, lsn };
    if (known.transaction.after > this.furthest) this.furthest = known.transaction.after;
  }

  /** By what the handler was told, and by what the writers know, whatever it was told. */
  private isRight({ transaction, place }: Known, lsn: bigint | null): boolean {
    if (this.last === null) return true;
    const { known: before, lsn: lsnBefore } = this.last;
    const isSame = before.transaction === transaction;
    if (isSame && place <= before.place) return false;
    if (!isSame && transaction.before !== null && transaction.before <= this.furthest) return false;
    if (lsn === null || lsnBefore === null) return true;
    return isSame ? lsn === lsnBefore : lsn > lsnBefore;
  }
}
