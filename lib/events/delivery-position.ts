import type { WalPosition } from '../interfaces/wal-position.interface.js';
import { isBeyond, laterOf } from '../changes/wal-position.js';

/**
 * How far handlers and observers have come, so that what comes again is recognised: on the next connection by what was
 * handed over, in the next run by what was finished.
 */
export class DeliveryPosition {
  /** The last thing that was handed over. */
  handedOver: WalPosition | null = null;
  /** The last Commit that was handed over. */
  commit = 0n;
  /** The last message outside of a transaction. */
  message = 0n;
  /** Left the serial calls; lanes may still have it. */
  private passed: WalPosition | null = null;
  /** Everything up to here is finished, in lanes too. */
  private finished: WalPosition | null = null;
  /** The last Commit that observers have seen, in this run or an earlier one. */
  private shownCommit = 0n;
  /** Observers have seen what lies up to here in an earlier run, and do not see it again. */
  private shownBefore: WalPosition | null = null;

  /** A new run: what the last one left unfinished comes again. */
  begin(): void {
    this.shownBefore = laterOf(this.shownBefore, this.handedOver);
    this.handedOver = this.passed = this.finished;
    this.commit = this.message = 0n;
  }

  /** Positions mean nothing any more. */
  forget(): void {
    this.handedOver = this.passed = this.finished = this.shownBefore = null;
    this.commit = this.message = this.shownCommit = 0n;
  }

  /** @returns whether observers have not seen it */
  handCommit(commitLsn: bigint): boolean {
    this.commit = commitLsn;
    if (commitLsn <= this.shownCommit) return false;
    this.shownCommit = commitLsn;
    return true;
  }

  /** @returns whether observers have not seen it */
  hand(position: WalPosition): boolean {
    this.handedOver = position;
    if (this.shownBefore !== null && isBeyond(position, this.shownBefore)) this.shownBefore = null;
    return this.shownBefore === null;
  }

  /** @param isAll nothing before it is unfinished */
  pass(position: WalPosition, isAll: boolean): void {
    this.passed = position;
    if (isAll) this.finished = position;
  }

  /** Lanes have come to rest: all that has passed is finished. */
  rest(): void {
    this.finished = this.passed;
  }

  /** What was kept of the open transaction is lost: it has to come again from its beginning. */
  loseTransaction(): void {
    this.passed = this.finished = null;
  }
}
