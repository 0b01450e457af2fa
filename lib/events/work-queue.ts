import type { RowChange } from '../changes/change.js';
import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { CommittedTransaction, TransactionInfo } from '../changes/transaction.js';
import type { DeliveryUnit } from '../interfaces/transaction-sink.interface.js';
import type { Route } from './handler-registry.js';

/** One thing that handlers have to see, in the order of the stream. */
export type Work =
  | { readonly kind: 'change'; readonly change: RowChange; readonly route: Route; readonly bytes: number }
  | {
      readonly kind: 'message';
      readonly message: LogicalMessageEvent;
      readonly bytes: number;
      readonly unit: DeliveryUnit | null;
    }
  | { readonly kind: 'commit'; readonly transaction: CommittedTransaction; readonly unit: DeliveryUnit };

/** What was received and is not finished: first in, first out, counted in changes and bytes against the limits. */
export class WorkQueue {
  pendingChanges = 0;
  pendingBytes = 0;
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
    return this.pendingChanges >= changes || this.pendingBytes >= bytes || this.queuedCommits >= changes;
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
    const most = Math.max(this.pendingChanges, this.queuedCommits);
    if (most * 2 > changes || this.pendingBytes * 2 > bytes) return false;
    this.wasFull = false;
    return true;
  }

  /** Forgets what waits; what is in hand goes on counting. */
  clear(): void {
    for (let index = this.head; index < this.items.length; index++) {
      const work = this.items[index]!;
      if (work.kind === 'commit') continue;
      this.pendingChanges--;
      this.pendingBytes -= work.bytes;
    }
    this.items.length = 0;
    this.head = 0;
    this.queuedCommits = 0;
    this.wasFull = this.isFull;
  }
}

/** For logs and errors: what it is and where, without a value. */
export function describeWork(work: Work): string {
  if (work.kind === 'change') {
    const { change } = work;
    return `${change.operation} of ${change.schema}.${change.table} (${change.id})`;
  }
  if (work.kind === 'message') return `the message with prefix "${work.message.prefix}" (${work.message.lsn})`;
  return `the transaction committed at ${work.transaction.lsn}`;
}

/** The transaction that it belongs to. */
export function transactionOf(work: Work): TransactionInfo {
  if (work.kind === 'change') return work.change.transaction;
  if (work.kind === 'message') return work.message.transaction;
  return work.transaction.info;
}
