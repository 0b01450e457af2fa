import type { CommitPreparedMessage, PrepareMessage } from '../../decoder/pgoutput-messages.js';
import type { Lsn } from '../../protocol/lsn.js';

/** From where a transaction was prepared to where that was committed: nothing in between may be confirmed. */
interface Span {
  /** Where the record of the preparation begins: a stream from there brings it again. */
  readonly from: Lsn;
  /** The end of the record that committed it; null: nobody has yet. */
  end: Lsn | null;
}

/**
 * Transactions that are prepared and not resolved yet, by the names that users gave them, and what they mean for the
 * position. A server whose slot stands behind a preparation sends it no more: its commit would come without rows. So the
 * position goes past a preparation together with its commit.
 *
 * | state of one | until |
 * |---|---|
 * | prepared | Commit Prepared, Rollback Prepared: forgotten |
 * | committed | its commit may be confirmed: forgotten |
 */
export class PreparedTransactions {
  private readonly open = new Map<string, { readonly xid: number; readonly span: Span }>();
  /** In the order of the log. */
  private spans: Span[] = [];

  /** @param beganAt where the slot stood when the stream began */
  constructor(private readonly beganAt: Lsn) {}

  /**
   * One that lies before the beginning of the stream was prepared before the slot knew of two-phase commit: the server
   * sends it when it is committed, now and after every restart, and so the position need not go back to it.
   */
  add({ gid, xid, prepareLsn }: PrepareMessage): void {
    const span: Span = { from: prepareLsn, end: null };
    this.open.set(gid, { xid, span });
    if (prepareLsn >= this.beganAt) this.spans.push(span);
  }

  /** @returns whether its preparation has come */
  commit({ gid, xid, endLsn }: CommitPreparedMessage): boolean {
    const prepared = this.open.get(gid);
    if (prepared?.xid !== xid) return false;
    this.open.delete(gid);
    prepared.span.end = endLsn;
    return true;
  }

  /** @returns whether its preparation has come */
  rollback({ gid, xid }: { readonly gid: string; readonly xid: number }): boolean {
    const prepared = this.open.get(gid);
    if (prepared?.xid !== xid) return false;
    this.open.delete(gid);
    this.spans = this.spans.filter((span) => span !== prepared.span);
    return true;
  }

  /** The furthest position that may be confirmed, where all before `settled` is settled. */
  confirmable(settled: Lsn): Lsn {
    if (this.spans.length === 0) return settled;
    let position = settled;
    // Backwards: where one holds the position, another one may begin before that and end behind it.
    for (let at = this.spans.length - 1; at >= 0; at--) {
      const { from, end } = this.spans[at]!;
      if (position > from && (end === null || position < end)) position = from;
    }
    this.spans = this.spans.filter(({ end }) => end === null || end > position);
    return position;
  }
}
