import type { RowChange } from '../changes/change.js';

/** Keeps the changes of one transaction for the handlers that want it whole. */
export class TransactionCollector {
  private collected: RowChange[] = [];
  private bytes = 0;
  private commitLsn = 0n;

  constructor(private readonly limits: { readonly changes: number; readonly bytes: number }) {}

  /**
   * Those of the transaction committed at `commitLsn`. What is kept may be of another one, that was left half-way: its
   * rest went to the process that took over the slot.
   */
  changesOf(commitLsn: bigint): readonly RowChange[] {
    return this.commitLsn === commitLsn ? this.collected : [];
  }

  /** @returns false where the limits are exceeded */
  add(change: RowChange, bytes: number): boolean {
    if (this.commitLsn !== change.commitLsn) this.clear();
    this.commitLsn = change.commitLsn;
    this.collected.push(change);
    this.bytes += bytes;
    return this.collected.length <= this.limits.changes && this.bytes <= this.limits.bytes;
  }

  clear(): void {
    this.collected = [];
    this.bytes = 0;
  }
}
