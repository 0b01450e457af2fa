import type { DeliveryUnit } from '../interfaces/transaction-sink.interface.js';

/** A transaction that lanes have changes of, or that is done behind one that is not. */
export interface Hold {
  readonly commitLsn: bigint;
  /** Changes in lanes. */
  pending: number;
  /** The Commit has been handled. */
  isCommitted: boolean;
  /** Of the connection that brought the Commit last. */
  unit: DeliveryUnit | null;
}

/**
 * Which transactions are handed over and not settled, and those that are settled behind them: what the server sends
 * again on the next connection is recognised by them. In stream order; the settled ones at the head are forgotten, for
 * the confirmed position, or the one that this process keeps, covers them.
 */
export class TransactionHolds {
  private readonly holds = new Map<bigint, Hold>();
  /** The one that was asked for last: most changes are of the same transaction as the one before. */
  private last: Hold | undefined;

  /** @param noted is told how many there are, whenever there may be others than before */
  constructor(private readonly noted: (size: number) => void = () => undefined) {}

  get size(): number {
    return this.holds.size;
  }

  has(commitLsn: bigint): boolean {
    return this.holds.has(commitLsn);
  }

  /** A lane takes one more change of it. */
  add(commitLsn: bigint): Hold {
    const hold = this.of(commitLsn);
    hold.pending++;
    return hold;
  }

  /** A lane is done with one. */
  done(hold: Hold): void {
    hold.pending--;
    if (hold.isCommitted && hold.pending === 0) this.settle(hold);
    this.noted(this.size);
  }

  /** Its Commit has been handled, or has come again. */
  commit(commitLsn: bigint, unit: DeliveryUnit): void {
    if (this.size === 0) unit.settle();
    else {
      const hold = this.of(commitLsn);
      hold.isCommitted = true;
      hold.unit = unit;
      if (hold.pending === 0) this.settle(hold);
    }
    this.noted(this.size);
  }

  /** Everything before was handled, by this process or by another one. */
  confirmedUpTo(lsn: bigint): void {
    for (const commitLsn of this.holds.keys()) {
      if (commitLsn < lsn) this.drop(commitLsn);
    }
    this.noted(this.size);
  }

  clear(): void {
    this.holds.clear();
    this.last = undefined;
    this.noted(0);
  }

  private settle(hold: Hold): void {
    hold.unit?.settle();
    for (const each of this.holds.values()) {
      if (!each.isCommitted || each.pending > 0) return;
      this.drop(each.commitLsn);
    }
  }

  private of(commitLsn: bigint): Hold {
    if (this.last?.commitLsn === commitLsn) return this.last;
    let hold = this.holds.get(commitLsn);
    if (hold === undefined) this.holds.set(commitLsn, (hold = newHold(commitLsn)));
    return (this.last = hold);
  }

  private drop(commitLsn: bigint): void {
    this.holds.delete(commitLsn);
    if (this.last?.commitLsn === commitLsn) this.last = undefined;
  }
}

function newHold(commitLsn: bigint): Hold {
  return { commitLsn, pending: 0, isCommitted: false, unit: null };
}
