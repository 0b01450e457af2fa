import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';

/** Ends that wait for the stream to pass what was written. */
const MOST_HELD = 10_000;

/**
 * One stretch of the stream in the order of the stream: open (Begin seen), closed (its end is known), settled (every
 * handler is done).
 */
export interface AckUnit {
  /** The unit's own end; unknown while it is open. */
  endLsn: Lsn | null;
  settled: boolean;
  /** Somebody has handled it; else it was passed over. Known once it is settled. */
  delivered: boolean;
  /** Its own end where it was delivered, or that of the last delivered one folded into it; 0 where there is none. */
  deliveredEnd: Lsn;
  /** What its handlers have written ends here: not to be confirmed before the stream has passed it; 0: at once. */
  writtenUpTo: Lsn;
  /** WAL end of the latest keepalive behind this unit and before the next one. */
  keepalive: Lsn;
  /** When it was committed, in milliseconds since 1970. */
  readonly commitTimeMs: number;
}

/**
 * Decides what may be confirmed: the end of the longest settled prefix of units, and where nothing is unsettled and
 * none is open, the WAL end of the latest keepalive, taken in stream order. The position never goes back and starts
 * empty; one tracker serves one connection, so it can never pass what that connection received.
 *
 * | event | effect |
 * |---|---|
 * | open | a unit joins the queue; nothing behind it can be confirmed before it is settled |
 * | close(end) | the unit's end is known: the Commit's end LSN, exactly |
 * | settle | the queue's settled head is taken off, and the position moves to the last end taken |
 * | keepalive | confirmed at once where the queue is empty; else it waits behind the last unit; ignored inside an open one |
 *
 * Pure: no clock, no socket.
 */
export class AckTracker {
  private queue: AckUnit[] = [];
  private head = 0;
  private position: Lsn = INVALID_LSN;
  private settledLsn: Lsn = INVALID_LSN;
  private deliveredLsn: Lsn = INVALID_LSN;
  private unfinished = 0;
  /** How far the server has come in sending. */
  private streamed: Lsn = INVALID_LSN;
  /** Ends that are settled, and what the stream must pass before each may be confirmed: both only grow. */
  private held: { lsn: Lsn; behind: Lsn }[] = [];
  private heldHead = 0;

  /** What may be confirmed now; 0 before anything may. */
  get confirmable(): Lsn {
    return this.position;
  }

  /** End of the last unit in the settled prefix: like `confirmable`, without the keepalives. */
  get settledEnd(): Lsn {
    return this.settledLsn;
  }

  /**
   * End of the last unit in the settled prefix that somebody has handled: what is behind it is nobody's loss if it comes
   * again.
   */
  get deliveredEnd(): Lsn {
    return this.deliveredLsn;
  }

  /** Units that are open or not settled. */
  get unsettled(): number {
    return this.unfinished;
  }

  /** When the first unit was committed that is open or not settled, in milliseconds since 1970; null: there is none. */
  get oldestCommitTimeMs(): number | null {
    return this.queue[this.head]?.commitTimeMs ?? null;
  }

  open(commitTimeMs = 0): AckUnit {
    const unit: AckUnit = {
      endLsn: null,
      settled: false,
      delivered: false,
      deliveredEnd: INVALID_LSN,
      writtenUpTo: INVALID_LSN,
      keepalive: INVALID_LSN,
      commitTimeMs,
    };
    this.queue.push(unit);
    this.unfinished++;
    return unit;
  }

  close(unit: AckUnit, endLsn: Lsn): void {
    unit.endLsn = endLsn;
    this.passed(endLsn);
    if (unit.settled) this.finish(unit);
  }

  /**
   * @param isDelivered false: nobody wanted anything of it
   * @param writtenUpTo see `AckUnit`
   */
  settle(unit: AckUnit, isDelivered = true, writtenUpTo: Lsn = INVALID_LSN): void {
    if (unit.settled) return;
    unit.settled = true;
    unit.delivered = isDelivered;
    unit.writtenUpTo = writtenUpTo;
    if (unit.endLsn !== null) this.finish(unit);
  }

  keepalive(walEnd: Lsn): void {
    this.passed(walEnd);
    const last = this.queue.length > this.head ? this.queue[this.queue.length - 1]! : null;
    if (last === null) this.moveTo(walEnd, INVALID_LSN);
    else if (last.endLsn !== null && walEnd > last.keepalive) last.keepalive = walEnd;
  }

  private finish(unit: AckUnit): void {
    if (unit.delivered) unit.deliveredEnd = unit.endLsn!;
    this.unfinished--;
    this.advance();
    this.fold();
  }

  /**
   * Settled units at the tail become one: behind a handler that blocks, any number of transactions that nobody handles
   * may come, and must not fill the memory.
   */
  private fold(): void {
    while (this.queue.length - this.head >= 2) {
      const last = this.queue[this.queue.length - 1]!;
      const before = this.queue[this.queue.length - 2]!;
      if (!last.settled || last.endLsn === null || !before.settled || before.endLsn === null) return;
      if (last.endLsn > before.endLsn) before.endLsn = last.endLsn;
      if (last.keepalive > before.keepalive) before.keepalive = last.keepalive;
      if (last.writtenUpTo > before.writtenUpTo) before.writtenUpTo = last.writtenUpTo;
      if (last.deliveredEnd > before.deliveredEnd) before.deliveredEnd = last.deliveredEnd;
      this.queue.pop();
    }
  }

  private advance(): void {
    while (this.head < this.queue.length) {
      const unit = this.queue[this.head]!;
      if (!unit.settled || unit.endLsn === null) break;
      this.head++;
      if (unit.endLsn > this.settledLsn) this.settledLsn = unit.endLsn;
      if (unit.deliveredEnd > this.deliveredLsn) this.deliveredLsn = unit.deliveredEnd;
      this.moveTo(unit.endLsn, unit.writtenUpTo);
      this.moveTo(unit.keepalive, INVALID_LSN);
    }
    if (this.head === this.queue.length) {
      this.queue.length = 0;
      this.head = 0;
    } else if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
  }

  private passed(lsn: Lsn): void {
    if (lsn <= this.streamed) return;
    this.streamed = lsn;
    const { held } = this;
    while (this.heldHead < held.length && held[this.heldHead]!.behind <= lsn) {
      const { lsn: end } = held[this.heldHead++]!;
      if (end > this.position) this.position = end;
    }
    // Nothing is copied before half of it is over.
    if (this.heldHead > 0 && this.heldHead * 2 >= held.length) {
      held.splice(0, this.heldHead);
      this.heldHead = 0;
    }
  }

  private moveTo(lsn: Lsn, writtenUpTo: Lsn): void {
    const { held, heldHead } = this;
    const last = held.length > heldHead ? held[held.length - 1] : undefined;
    if (last === undefined && writtenUpTo <= this.streamed) {
      if (lsn > this.position) this.position = lsn;
    } else if (last !== undefined && writtenUpTo <= last.behind) {
      if (lsn > last.lsn) last.lsn = lsn;
    } else if (last !== undefined && held.length - heldHead >= MOST_HELD) {
      // The stream lags far behind what is written: the last of them wait a little longer than they have to.
      last.behind = writtenUpTo;
      if (lsn > last.lsn) last.lsn = lsn;
    } else held.push({ lsn, behind: writtenUpTo });
  }
}
