import type { SystemIdentity } from '../connection/server-facts.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';

/**
 * What this process has settled of one app, across its connections: the server sends again what it was not told of,
 * and in one process that is not delivered twice. Positions mean something only in one history of one cluster.
 */
export class DeliveryProgress {
  private settledEnd: Lsn = INVALID_LSN;
  private lastMessage: Lsn = INVALID_LSN;
  private deliveredEnd: Lsn = INVALID_LSN;
  private entered: StreamHistory | null = null;
  private eraNumber = 0;
  /** `deliveredEnd` is of the history before. */
  private isReachedElsewhere = false;
  private wholeUpTo: Lsn = INVALID_LSN;

  /** Counts the histories: what began in one era says nothing in another. */
  get era(): number {
    return this.eraNumber;
  }

  /**
   * How far handlers of this process have come; 0: they have not begun. In the history before, until it has been judged
   * what of it is missing in the present one.
   */
  get reached(): Lsn {
    return this.deliveredEnd;
  }

  /** What positions mean something in: the same object for as long as they do. Null: nothing has been entered. */
  get history(): StreamHistory | null {
    return this.entered;
  }

  /**
   * Tells whose positions come next. Once: a server that was put back is known by its log for as long as that is short.
   *
   * @param handedOver the furthest commit of which handlers have something; 0: none
   * @returns whether the positions known so far mean nothing any more, and so were forgotten
   */
  enter(identity: SystemIdentity, handedOver: Lsn = INVALID_LSN): boolean {
    const isOther = this.isOther(identity, handedOver);
    if (isOther) {
      this.eraNumber++;
      this.settledEnd = INVALID_LSN;
      this.lastMessage = INVALID_LSN;
      this.delivered(handedOver);
      this.isReachedElsewhere = true;
      this.wholeUpTo = INVALID_LSN;
    }
    const { systemIdentifier, timeline } = identity;
    if (isOther || this.entered === null) this.entered = { systemIdentifier, timeline };
    return isOther;
  }

  /** What was reached in the history before has been looked at. */
  judged(): void {
    if (this.isReachedElsewhere) this.deliveredEnd = INVALID_LSN;
    this.isReachedElsewhere = false;
  }

  /** A different cluster, a promotion, or a server that was put back: its log ends before what we have seen of it. */
  private isOther({ systemIdentifier, timeline, walEnd }: SystemIdentity, handedOver: Lsn): boolean {
    const { entered } = this;
    if (entered === null) return false;
    if (entered.systemIdentifier !== systemIdentifier || entered.timeline !== timeline) return true;
    const reached = this.isReachedElsewhere ? INVALID_LSN : this.deliveredEnd;
    return [this.settledEnd, this.lastMessage, reached, handedOver].some((lsn) => walEnd < lsn);
  }

  /** A transaction is settled where its commit record lies before the end of the settled prefix. */
  isSettled(commitLsn: Lsn): boolean {
    return commitLsn < this.settledEnd;
  }

  settledUpTo(endLsn: Lsn): void {
    if (endLsn > this.settledEnd) this.settledEnd = endLsn;
  }

  /** Handlers have finished a unit, in whatever order. */
  delivered(endLsn: Lsn): void {
    if (endLsn > this.deliveredEnd) this.deliveredEnd = endLsn;
  }

  /**
   * What lies before a confirmed position was handled, by this process or by another one. A server that crashes may
   * forget that it was told, and send it again.
   */
  confirmedUpTo(lsn: Lsn): void {
    this.settledUpTo(lsn);
    this.messageSettled(lsn);
  }

  /**
   * Something up to there cannot be told when it comes in parts: connections that begin at it or before are to bring
   * transactions whole. @param lsn where the transaction was committed; or, where the server failed in one that nobody
   * knows, how far the connection had come
   */
  wantWhole(lsn: Lsn): void {
    if (lsn > this.wholeUpTo) this.wholeUpTo = lsn;
  }

  /** Whether transactions may come in parts on a connection that begins at `lsn`. */
  mayStreamFrom(lsn: Lsn): boolean {
    return lsn > this.wholeUpTo;
  }

  isMessageSettled(lsn: Lsn): boolean {
    return lsn <= this.lastMessage;
  }

  messageSettled(lsn: Lsn): void {
    if (lsn > this.lastMessage) this.lastMessage = lsn;
  }
}
