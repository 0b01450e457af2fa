import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';

/**
 * What this process has settled of one app, across its connections: the server sends again what it was not told of,
 * and in one process that is not delivered twice. Positions mean something only in one history of one cluster.
 */
export class DeliveryProgress {
  private settledEnd: Lsn = INVALID_LSN;
  private lastMessage: Lsn = INVALID_LSN;
  private deliveredEnd: Lsn = INVALID_LSN;
  private history = '';
  private eraNumber = 0;
  private wholeUpTo: Lsn = INVALID_LSN;

  /** Counts the histories: what began in one era says nothing in another. */
  get era(): number {
    return this.eraNumber;
  }

  /** End of the furthest unit that handlers of this process have finished, in the history that it knows of; 0: none. */
  get reached(): Lsn {
    return this.deliveredEnd;
  }

  /**
   * Tells whose positions come next, and where the server's log ends. @returns true where the ones known so far are of another history (a different
   * cluster, a promotion, a server that was put back), and so were forgotten
   */
  enter(systemIdentifier: string, timeline: string, walEnd: Lsn): boolean {
    const history = `${systemIdentifier}/${timeline}`;
    // A server whose log ends before what we have settled was put back to an earlier state: the log is written anew.
    const isRewound = walEnd < this.settledEnd || walEnd < this.lastMessage;
    const isOther = isRewound || (this.history !== '' && this.history !== history);
    if (isOther) {
      this.eraNumber++;
      this.settledEnd = INVALID_LSN;
      this.lastMessage = INVALID_LSN;
      this.deliveredEnd = INVALID_LSN;
      this.wholeUpTo = INVALID_LSN;
    }
    this.history = history;
    return isOther;
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

  /** The transaction committed there cannot be told when it comes in parts: the next connections are to bring it whole. */
  wantWhole(commitLsn: Lsn): void {
    if (commitLsn > this.wholeUpTo) this.wholeUpTo = commitLsn;
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
