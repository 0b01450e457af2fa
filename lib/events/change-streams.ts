import { Observable, Subject, type Subscriber } from 'rxjs';
import { OperationBit, type RowChange } from '../changes/change.js';
import type { TablePattern } from '../changes/table-pattern.js';
import type { CommittedTransaction } from '../changes/transaction.js';
import type { Change, Operation } from '../interfaces/change.interface.js';
import type { TransactionSummary } from '../interfaces/transaction.interface.js';

/** One subscription to changes. */
export interface ChangeWatch {
  readonly pattern: Pick<TablePattern, 'matches'>;
  readonly mask: number;
  readonly subscriber: Subscriber<Change>;
}

/**
 * Observables of one app, for looking on: hot, without replay, in commit order, each change once in a process. They
 * have no say in what is confirmed, never error, and complete when the application closes.
 */
export class ChangeStreams {
  /** Called when somebody subscribes or leaves: what must be decoded has changed. */
  onInterest: () => void = () => undefined;
  private readonly watches = new Set<ChangeWatch>();
  private readonly closed = new Subject<void>();
  private isClosed = false;
  private readonly summaries = new Subject<TransactionSummary>();

  changes(pattern: Pick<TablePattern, 'matches'>, mask: number): Observable<Change> {
    return new Observable<Change>((subscriber) => {
      if (this.isClosed) return subscriber.complete();
      const watch: ChangeWatch = { pattern, mask, subscriber };
      this.watches.add(watch);
      this.onInterest();
      const closing = this.closed.subscribe(() => subscriber.complete());
      return () => {
        closing.unsubscribe();
        this.watches.delete(watch);
        this.onInterest();
      };
    });
  }

  transactions(): Observable<TransactionSummary> {
    return this.summaries.asObservable();
  }

  get watchesTransactions(): boolean {
    return this.summaries.observed;
  }

  watchesOf(schema: string, table: string): ChangeWatch[] {
    return [...this.watches].filter((watch) => watch.pattern.matches(schema, table));
  }

  /** What a subscriber throws is RxJS' to report; it reaches neither other subscribers nor us. */
  emit(change: RowChange, watches: readonly ChangeWatch[]): void {
    const bit = OperationBit[change.operation];
    for (const watch of watches) if ((watch.mask & bit) !== 0) watch.subscriber.next(change);
  }

  emitTransaction(transaction: CommittedTransaction): void {
    if (this.watchesTransactions) this.summaries.next(transaction);
  }

  close(): void {
    this.isClosed = true;
    this.closed.next();
    this.closed.complete();
    this.summaries.complete();
  }
}

/** Operations to bits; none named means all. `snapshot` has no bit: it does not come over the stream. */
export function operationMask(operations: readonly Operation[]): number {
  if (operations.length === 0) return ALL_OPERATIONS;
  return operations.reduce((mask, operation) => mask | (operation === 'snapshot' ? 0 : OperationBit[operation]), 0);
}

export const ALL_OPERATIONS = OperationBit.insert | OperationBit.update | OperationBit.delete | OperationBit.truncate;
