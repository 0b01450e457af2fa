import { parseLsn } from '#lib/protocol/lsn.js';
import { placeOf, type Case } from './evidence.js';
import { HANDLERS, WHOLE, type HandlerName } from './handlers.js';
import type { Entry } from './journal.js';

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

/** Every change, once, as it was written, after the one before it of its row. */
export class RowCheck {
  constructor(private readonly whole: Case) {}

  run(): void {
    for (const handler of this.whole.evidence.handlers) {
      if (HANDLERS[handler].isTransactional) this.effects(handler);
      else this.journaled(handler);
    }
    if (this.whole.evidence.hasDetails) this.asWritten();
    this.confirmed();
  }

  private journaled(handler: HandlerName): void {
    const { journals } = this.whole.evidence;
    const counts = new Map<string, number>();
    for (const { entries } of journals) {
      for (const entry of entries) if (entry.handler === handler) this.count(counts, entry.names);
    }
    const reached = new Map<string, number>();
    for (const { name: journal, entries } of journals) {
      const order: Order = { handler, where: journal, last: new Map(), reached, counts };
      for (const entry of entries) {
        if (entry.handler === handler) for (const name of entry.names) this.inOrder(order, name);
      }
    }
    for (const count of counts.values()) this.whole.add('duplicates', count - 1);
    this.complete(handler, counts);
  }

  private effects(handler: HandlerName): void {
    const counts = new Map<string, number>();
    const names = this.whole.evidence.effects.filter((effect) => effect.handler === handler).map(({ name }) => name);
    this.count(counts, names);
    const last = new Map<string, number>();
    const order: Order = { handler, where: 'the table of effects', last, reached: last, counts };
    for (const name of names) this.inOrder(order, name);
    for (const [name, count] of counts) {
      if (count > 1) this.whole.found('effectsTwice', `${handler}: ${count} effects of ${name}`, count - 1);
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
    const known = this.whole.known(name);
    if (known === undefined) return;
    const { row, step } = known.change;
    const before = last.get(row);
    const most = reached.get(row) ?? -1;
    const isRight = before === undefined ? step <= most + 1 : step === before + 1;
    if (!isRight && !this.passesOver(handler, row, before ?? most, step, counts)) {
      const after = before ?? `(at most ${most})`;
      this.whole.found('outOfOrder', `${handler} in ${where}: ${name} is step ${step} of ${row}, after ${after}`);
    }
    last.set(row, step);
    if (step > most) reached.set(row, step);
  }

  /** Whether it goes on from one step to the other with nothing between that it sees, or must see, at another time. */
  private passesOver(handler: HandlerName, row: string, from: number, to: number, counts: Order['counts']): boolean {
    const { evidence } = this.whole;
    const between = Array.from({ length: Math.max(to - from - 1, 0) }, (_, index) =>
      this.whole.nameOf(row, from + 1 + index),
    );
    const isPassedOver = (name: string): boolean =>
      !counts.has(name) || evidence.mayMiss(handler, name) || this.whole.isInGap(this.whole.known(name)?.transaction);
    return to > from && between.every(isPassedOver);
  }

  private complete(handler: HandlerName, counts: ReadonlyMap<string, number>): void {
    const { transactions, mayMiss, isGone } = this.whole.evidence;
    const { tables, isTransactional }: { tables: readonly string[]; isTransactional: boolean } = HANDLERS[handler];
    for (const transaction of transactions) {
      for (const { name, table } of transaction.changes) {
        if (!tables.includes(table) || counts.has(name)) continue;
        if (this.whole.isInGap(transaction)) this.whole.add('missedInGap');
        else if (!mayMiss(handler, name)) {
          this.whole.found('lost', `${handler} has not seen ${name} of ${placeOf(transaction)}`);
        }
      }
    }
    for (const name of counts.keys()) {
      // What the database has lost, it has lost with its effects.
      if (this.whole.known(name) !== undefined || (!isTransactional && isGone(name))) continue;
      this.whole.found('phantoms', `${handler} has seen ${name}, which was not committed`);
    }
  }

  /** Each sighting tells the values that were written, and a position at which the commit can be. */
  private asWritten(): void {
    const { journals, effects, handlers, seesWhole } = this.whole.evidence;
    const isOurs = (handler: string): boolean =>
      handler === WHOLE ? seesWhole : handlers.includes(handler as HandlerName);
    for (const { name: journal, entries } of journals) {
      for (const entry of entries) {
        if (!isOurs(entry.handler)) continue;
        for (const [index, name] of entry.names.entries()) {
          this.sameContent(`${entry.handler} in ${journal}`, name, entry.contents[index]);
        }
        this.samePosition(journal, entry);
      }
    }
    for (const { handler, name, content } of effects) this.sameContent(handler, name, content);
  }

  private sameContent(where: string, name: string, content: string | undefined): void {
    const written = this.whole.known(name)?.change.content;
    if (written === undefined || content === written) return;
    this.whole.found('altered', `${where}: ${name} was written as ${written}, and seen as ${content ?? 'nothing'}`);
  }

  private samePosition(journal: string, { handler, lsn, names }: Entry): void {
    const transaction = this.whole.known(names[0]!)?.transaction;
    if (transaction === undefined) return;
    const { after, before } = transaction;
    const at = parseLsn(lsn);
    if (at >= after && (before === null || at < before)) return;
    this.whole.found('altered', `${handler} in ${journal}: ${names[0]} at ${lsn} is of ${placeOf(transaction)}`);
  }

  private confirmed(): void {
    if (this.whole.evidence.isParking) return;
    for (const { name, entries } of this.whole.evidence.journals) {
      const floor = this.whole.evidence.floors.get(name) ?? 0n;
      for (const { lsn, handler, names } of entries) {
        if (parseLsn(lsn) >= floor) continue;
        const what = `${handler} in ${name}: ${names[0]} at ${lsn}`;
        this.whole.found('confirmedAgain', `${what} came although the slot stood beyond`);
      }
    }
  }
}
