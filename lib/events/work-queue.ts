import type { Work } from './work.js';

/** What was received and is not finished: first in, first out, counted in changes and bytes against the limits. */
export class WorkQueue {
  pendingChanges = 0;
  pendingBytes = 0;
  /** Transactions that are done, or waited for, behind one that is not: each has to be remembered. */
  heldTransactions = 0;
  /** Commits weigh nothing, but behind a handler that blocks any number of them may come. */
  private queuedCommits = 0;
  private items: (Work | undefined)[] = [];
  private head = 0;
  private wasFull = false;

  constructor(private readonly limits: { readonly changes: number; readonly bytes: number }) {}

  get isEmpty(): boolean {
    return this.head === this.items.length;
  }

  get isFull(): boolean {
    const { changes, bytes } = this.limits;
    return (
      this.pendingChanges >= changes ||
      this.pendingBytes >= bytes ||
      this.queuedCommits >= changes ||
      this.heldTransactions >= changes
    );
  }

  /** One more transaction, or fewer, is remembered. */
  hold(transactions: number): void {
    this.heldTransactions = transactions;
    if (this.isFull) this.wasFull = true;
  }

  add(work: Work): void {
    this.items.push(work);
    if (work.kind !== 'commit') return;
    this.queuedCommits++;
    if (this.isFull) this.wasFull = true;
  }

  take(): Work {
    const work = this.items[this.head]!;
    this.items[this.head++] = undefined;
    if (work.kind === 'commit') this.queuedCommits--;
    if (this.head === this.items.length) {
      this.items.length = 0;
      this.head = 0;
    } else if (this.head > 4096 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return work;
  }

  /** A change or message has come in. */
  received(bytes: number): void {
    this.pendingChanges++;
    this.pendingBytes += bytes;
    if (this.isFull) this.wasFull = true;
  }

  /** It is finished. @returns true where there is room again, after there was none */
  finished(bytes: number): boolean {
    this.pendingChanges--;
    this.pendingBytes -= bytes;
    return this.hasRoomAgain();
  }

  /** Once, when half of every limit is free after one of them was reached. */
  hasRoomAgain(): boolean {
    if (!this.wasFull) return false;
    const { changes, bytes } = this.limits;
    const most = Math.max(this.pendingChanges, this.queuedCommits, this.heldTransactions);
    if (most * 2 > changes || this.pendingBytes * 2 > bytes) return false;
    this.wasFull = false;
    return true;
  }

  /** It will not be handled: it comes again. */
  drop(work: Work): void {
    if (work.kind === 'commit' || work.kind === 'redrive') return;
    this.pendingChanges--;
    this.pendingBytes -= work.bytes;
  }

  /** Forgets everything, also what is in hand: nobody will come back with it. */
  reset(): void {
    this.items = [];
    this.head = this.pendingChanges = this.pendingBytes = this.queuedCommits = this.heldTransactions = 0;
    this.wasFull = false;
  }

  /** Forgets what waits; what is in hand goes on counting. */
  clear(): void {
    for (let index = this.head; index < this.items.length; index++) {
      this.drop(this.items[index]!);
    }
    this.items.length = 0;
    this.head = 0;
    this.queuedCommits = 0;
    this.wasFull = this.isFull;
  }
}
