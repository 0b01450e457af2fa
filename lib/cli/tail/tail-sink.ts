import type { RowChange } from '../../changes/change.js';
import type { CommittedTransaction } from '../../changes/transaction.js';
import type {
  Borrower,
  DeliveryUnit,
  RoutedTable,
  TableRoute,
  TransactionSink,
} from '../../interfaces/transaction-sink.interface.js';
import type { Terminal } from '../terminal.js';
import type { ChangePrinter, TailSelection } from './tail-selection.js';

const NOTHING: TableRoute = { mask: 0 };

/** Shows changes as they come. What cannot be written yet makes the stream wait: nothing is queued here. */
export class TailSink implements TransactionSink {
  readonly watchesTransactions = false;
  readonly watchesSchemas = false;
  readonly isBusy = false;
  readonly handedOver = null;
  readonly writtenUpTo = 0n;
  isFull = false;
  onRoom: () => void = () => undefined;
  onFree: () => void = () => undefined;
  private shown = 0;
  private isOver = false;

  /** @param limit how many are shown before `done` */
  constructor(
    private readonly selection: TailSelection,
    private readonly printer: ChangePrinter,
    private readonly terminal: Terminal,
    private readonly limit: number,
    private readonly done: () => void,
  ) {}

  route({ schema, table }: RoutedTable): TableRoute {
    const { pattern, mask } = this.selection;
    return pattern.matches(schema, table) ? { mask } : NOTHING;
  }

  change(change: RowChange): Borrower | null {
    if (this.isOver) return null;
    this.shown++;
    if (!this.printer.change(change)) this.wait();
    if (this.shown >= this.limit || this.terminal.isClosed) this.done();
    return null;
  }

  /** What still comes is not shown. */
  end(): void {
    this.isOver = true;
  }

  commit(_transaction: CommittedTransaction, unit: DeliveryUnit): void {
    unit.settle();
  }

  private wait(): void {
    if (this.isFull) return;
    this.isFull = true;
    void this.terminal.drained().then(() => {
      this.isFull = false;
      if (this.terminal.isClosed) this.done();
      this.onRoom();
    });
  }

  wantsMessage(): boolean {
    return false;
  }
  holdsTransaction(): boolean {
    return false;
  }
  message(): void {}
  description(): void {}
  hold(): void {}
  async open(): Promise<void> {}
  confirmedUpTo(): void {}
  abort(): void {}
  standBy(): void {}
  forget(): void {}
  turn(): void {}
}
