// Not the global one: a user's test that has put fake timers in must not stop an iteration.
import { setImmediate } from 'node:timers';
import { asChange, type RowChange } from '../../changes/change.js';
import type { TransactionInfo } from '../../changes/transaction.js';
import { LifecycleError } from '../../errors/app.error.js';
import type { SpillError } from '../../errors/delivery.error.js';
import type { Change } from '../../interfaces/change.interface.js';
import type { SpillPlace } from '../../spill/record-spool.js';
import { SpilledChanges, type SpillCursor } from './spilled-changes.js';
import { TimeSlice } from '../time-slice.js';
import type { ChangeWork } from '../work.js';

/** A change to keep. Its image is asked for where it does not fit into memory, for that costs a copy. */
export type ToKeep = Pick<ChangeWork, 'change' | 'bytes' | 'image'>;

/** The changes of one transaction, in order: the first ones in memory, what goes beyond the limits on disk. */
export class KeptChanges implements AsyncIterable<Change> {
  /** @internal */ readonly inMemory: RowChange[] = [];
  /** @internal */ spilled: SpilledChanges | null = null;
  private bytes = 0;
  private isClosed = false;

  constructor(
    private readonly transaction: TransactionInfo,
    private readonly limits: { readonly changes: number; readonly bytes: number },
    private readonly place: SpillPlace,
  ) {}

  get commitLsn(): bigint {
    return this.transaction.commitLsn;
  }

  get fault(): SpillError | null {
    return this.spilled?.fault ?? null;
  }

  get spilledBytes(): number {
    return this.spilled?.fileBytes ?? 0;
  }

  /** @throws SpillError */
  add(toKeep: ToKeep): void {
    const { change, bytes } = toKeep;
    // The image comes last: it costs a copy.
    if (this.spilled === null && (this.fits(bytes) || toKeep.image === null)) {
      this.bytes += bytes;
      this.inMemory.push(change);
      return;
    }
    const { image } = toKeep;
    if (image === null) throw new TypeError('a change that came over no wire, behind changes that did');
    this.spilled ??= new SpilledChanges(this.transaction, this.place);
    this.spilled.add(change, image);
  }

  /** What is in memory is let go, and the file with it. */
  close(): void {
    this.isClosed = true;
    this.inMemory.length = 0;
    this.spilled?.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Change> {
    return new ChangeIterator(this);
  }

  /** @internal @throws LifecycleError, SpillError */
  assertOpen(): void {
    if (this.fault !== null) throw this.fault;
    if (!this.isClosed) return;
    const { app, lsn } = this.transaction;
    throw new LifecycleError(`The changes of the transaction committed at ${lsn} are asked for after its end`, {
      app,
      hint:
        'they are there until the @OnTransaction handler settles: iterate to the end within it, and copy what is ' +
        'needed later.',
    });
  }

  private fits(bytes: number): boolean {
    return this.inMemory.length < this.limits.changes && this.bytes + bytes <= this.limits.bytes;
  }
}

/**
 * Written out, not a generator: that costs three promises for a change, where this costs one. A change is decoded when
 * it is its turn. Steps that are asked for at a time are answered in turn.
 */
class ChangeIterator implements AsyncIterator<Change> {
  private index = 0;
  private cursor: SpillCursor | null = null;
  private isDone = false;
  /** Steps that have to wait, or to wait behind those that do. */
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();
  private readonly slice = new TimeSlice();

  constructor(private readonly kept: KeptChanges) {}

  next(): Promise<IteratorResult<Change, undefined>> {
    if (this.waiting > 0) return this.later(null);
    try {
      const change = this.take();
      if (change === null || this.slice.isOverAfterCall()) return this.later(change);
      return Promise.resolve({ value: asChange(change), done: false });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The loop was left. */
  return(): Promise<IteratorResult<Change, undefined>> {
    this.finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  private later(change: RowChange | null): Promise<IteratorResult<Change, undefined>> {
    const isFirst = this.waiting++ === 0;
    const step = (): Promise<IteratorResult<Change, undefined>> => this.slowly(change);
    const result = isFirst ? step() : this.last.then(step, step);
    this.last = result;
    return result;
  }

  /** @param taken the change that was taken as the slice was used up; null: there was none at hand */
  private async slowly(taken: RowChange | null): Promise<IteratorResult<Change, undefined>> {
    try {
      let change = taken;
      if (change !== null) await this.giveTurn();
      while (change === null) {
        change = this.take();
        if (change === null && !(await this.fill())) return { value: undefined, done: true };
      }
      return { value: asChange(change), done: false };
    } finally {
      this.waiting--;
    }
  }

  /** @returns null where nothing is at hand */
  private take(): RowChange | null {
    if (this.isDone) return null;
    this.kept.assertOpen();
    const { inMemory } = this.kept;
    if (this.index < inMemory.length) return inMemory[this.index++]!;
    return this.cursor === null ? null : this.cursor.take();
  }

  private async fill(): Promise<boolean> {
    if (this.isDone) return false;
    const { spilled } = this.kept;
    this.cursor ??= spilled === null ? null : spilled.cursor();
    const isMore = this.cursor !== null && (await this.cursor.fill());
    if (!isMore) this.finish();
    return isMore;
  }

  private finish(): void {
    this.isDone = true;
    this.cursor = null;
  }

  /** A loop whose body waits for nothing would keep timers and sockets waiting to its end. */
  private async giveTurn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.slice.renew();
  }
}
