import type { RowChange } from '#lib/changes/change.js';
import type { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import type { CommittedTransaction, TransactionInfo } from '#lib/changes/transaction.js';
import type { DeliveryUnit } from '#lib/interfaces/transaction-sink.interface.js';
import { FakeSink } from '../../unit/replication/fake-sink.js';

export interface HeardTransaction {
  /** Null: a message that is nobody's. */
  info: TransactionInfo | null;
  readonly events: (RowChange | LogicalMessageEvent)[];
  isCommitted: boolean;
}

/** Keeps rows and messages together, by transaction, in the order in which they came. */
export class ListeningSink extends FakeSink {
  readonly heard: HeardTransaction[] = [];
  private current: HeardTransaction | undefined;

  override wantsMessage(): boolean {
    return true;
  }
  override change(change: RowChange, route: unknown, bytes: number): null {
    this.add(change, change.transaction);
    return super.change(change, route, bytes);
  }
  override message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void {
    if (unit === null) this.add(message, null);
    else this.heard.push({ info: null, events: [message], isCommitted: true });
    super.message(message, bytes, unit);
  }
  override commit(transaction: CommittedTransaction, unit: DeliveryUnit): void {
    if (this.current !== undefined) {
      this.current.isCommitted = true;
      this.current.info = transaction.info;
    }
    this.current = undefined;
    super.commit(transaction, unit);
  }

  private add(event: RowChange | LogicalMessageEvent, info: TransactionInfo | null): void {
    if (this.current === undefined) this.heard.push((this.current = { info, events: [], isCommitted: false }));
    this.current.info ??= info;
    this.current.events.push(event);
  }
}
