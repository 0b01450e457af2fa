import { tmpdir } from 'node:os';
import type { Change } from '../../interfaces/change.interface.js';
import type { SpillError } from '../../errors/delivery.error.js';
import { KeptChanges, type ToKeep } from './kept-changes.js';
import type { SpillPlace } from '../../spill/record-spool.js';

const SPILL_PLACE: SpillPlace = { folder: tmpdir, chunkBytes: 256 * 1024 };

/**
 * Keeps the changes of one transaction for the handlers that want it whole: as they are up to the limits, and what goes
 * beyond on disk.
 */
export class TransactionCollector {
  private kept: KeptChanges | null = null;

  constructor(
    private readonly limits: { readonly changes: number; readonly bytes: number },
    private readonly place: SpillPlace = SPILL_PLACE,
  ) {}

  /**
   * Keeps one more change of the transaction committed at `change.commitLsn`. What came over no wire stays in memory,
   * whatever the limits are. A change of another transaction replaces what was kept: that one was left half-way, its rest
   * went to the process that took over the slot.
   *
   * @throws SpillError where the disk does not take it. The transaction cannot be had as a whole any more: the same is
   *   thrown for each further change of it, and by its iterators
   */
  add(toKeep: ToKeep): void {
    const { change } = toKeep;
    if (this.kept?.commitLsn !== change.commitLsn) {
      this.clear();
      this.kept = new KeptChanges(change.transaction, this.limits, this.place);
    }
    this.kept!.add(toKeep);
  }

  /**
   * Those of the transaction committed at `commitLsn`, none where it is not the one that is kept. Can be iterated more
   * than once, and by several at a time, until `clear`.
   */
  changesOf(commitLsn: bigint): AsyncIterable<Change> {
    return this.kept?.commitLsn === commitLsn ? this.kept : NO_CHANGES;
  }

  /**
   * Why what is kept cannot be had: a handler that fails while this is set has failed for want of its changes, and would
   * fail again, whatever error it made of it. Null: nothing is wrong.
   */
  get fault(): SpillError | null {
    return this.kept?.fault ?? null;
  }

  /** Bytes on disk, 0 where all is in memory. */
  get spilledBytes(): number {
    return this.kept?.spilledBytes ?? 0;
  }

  /** Frees memory and disk. Iterators that still run throw a LifecycleError at their next step. */
  clear(): void {
    this.kept?.close();
    this.kept = null;
  }
}

const NO_CHANGES: AsyncIterable<Change> = {
  async *[Symbol.asyncIterator]() {},
};
