import type { CommitPreparedMessage, PrepareMessage } from '../../decoder/pgoutput-messages.js';
import type { Lsn } from '../../protocol/lsn.js';

/** Of so many stretches, what is of no use any more is looked for. */
const FIRST_LOOK = 16;
/** So many stretches are told apart. Beyond, the last one grows over what lies in between: the position waits longer. */
const MOST_STRETCHES = 1024;

/** A transaction that is prepared. */
interface Prepared {
  readonly xid: number;
  /** Where the record of the preparation begins: a stream from there brings it again. */
  readonly from: Lsn;
}

/** Where preparations were committed, which overlap: no position between may be confirmed. */
interface Stretch {
  /** Where the first of the preparations begins. */
  readonly from: Lsn;
  /** The end of the record that committed the last of them. */
  end: Lsn;
}

/**
 * Transactions that are prepared and not resolved yet, by the names that users gave them, and what they mean for the
 * position. A server whose slot stands behind a preparation sends it no more: its commit would come without rows. So the
 * position goes past a preparation together with its commit.
 *
 * | state of one | until |
 * |---|---|
 * | prepared | Commit Prepared, Rollback Prepared: forgotten |
 * | committed, in a stretch | all of the stretch is settled, and no other preparation lies in it: forgotten |
 */
export class PreparedTransactions {
  private readonly open = new Map<string, Prepared>();
  /** Those that hold the position, in the order of the log. */
  private readonly holding = new Set<Prepared>();
  /** In the order of the log; none overlaps another. */
  private stretches: Stretch[] = [];
  private lookAt = FIRST_LOOK;
  private settled: Lsn = 0n;

  /** @param beganAt where the slot stood when the stream began */
  constructor(private readonly beganAt: Lsn) {}

  /** How much is kept of what was committed. */
  get stretchCount(): number {
    return this.stretches.length;
  }

  /**
   * One that lies before the beginning of the stream was prepared before the slot knew of two-phase commit: the server
   * sends it when it is committed, now and after every restart, and so the position need not go back to it.
   */
  add({ gid, xid, prepareLsn }: PrepareMessage): void {
    const prepared: Prepared = { xid, from: prepareLsn };
    this.open.set(gid, prepared);
    if (prepareLsn >= this.beganAt) this.holding.add(prepared);
  }

  /** @returns whether its preparation has come */
  commit(message: CommitPreparedMessage): boolean {
    const prepared = this.take(message);
    if (prepared === undefined) return false;
    if (this.holding.delete(prepared)) this.committed(prepared.from, message.endLsn);
    return true;
  }

  /** @returns whether its preparation has come */
  rollback(message: { readonly gid: string; readonly xid: number }): boolean {
    const prepared = this.take(message);
    if (prepared === undefined) return false;
    this.holding.delete(prepared);
    return true;
  }

  /** The furthest position that may be confirmed, where all before `settled` is settled. */
  confirmable(settled: Lsn): Lsn {
    this.settled = settled;
    const position = this.beforeOpen(settled);
    // A stretch that it lies in begins before all that are open, and in no other one.
    const stretch = this.stretches[this.indexBehind(position) - 1];
    return stretch !== undefined && position < stretch.end ? stretch.from : position;
  }

  private take({ gid, xid }: { readonly gid: string; readonly xid: number }): Prepared | undefined {
    const prepared = this.open.get(gid);
    if (prepared?.xid !== xid) return undefined;
    this.open.delete(gid);
    return prepared;
  }

  private beforeOpen(settled: Lsn): Lsn {
    for (const { from } of this.holding) return from < settled ? from : settled;
    return settled;
  }

  /** How many stretches begin before the position. */
  private indexBehind(position: Lsn): number {
    let [low, high] = [0, this.stretches.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.stretches[middle]!.from < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Commits come in the order of the log: it ends behind all stretches, and takes in those that it overlaps. */
  private committed(begin: Lsn, end: Lsn): void {
    const { stretches } = this;
    let from = begin;
    for (let last = stretches.at(-1); last !== undefined && last.end > begin; last = stretches.at(-1)) {
      if (last.from < from) ({ from } = last);
      stretches.pop();
    }
    if (stretches.length >= this.lookAt) {
      this.forget();
      this.lookAt = Math.max(FIRST_LOOK, Math.min(MOST_STRETCHES, 2 * this.stretches.length));
    }
    const last = this.stretches.at(-1);
    if (last !== undefined && this.stretches.length >= MOST_STRETCHES) last.end = end;
    else this.stretches.push({ from, end });
  }

  /**
   * A position within one that is settled is asked for only where a preparation lies there that is still open: what is
   * prepared from here on lies behind all of them.
   */
  private forget(): void {
    const froms = [...this.holding].map(({ from }) => from);
    let at = 0;
    this.stretches = this.stretches.filter(({ from, end }) => {
      if (end > this.settled) return true;
      while (at < froms.length && froms[at]! <= from) at++;
      return at < froms.length && froms[at]! < end;
    });
  }
}
