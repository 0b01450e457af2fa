import { HISTORY } from '../../support/history.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import type { StreamTypes } from '#lib/decoder/stream-types.js';
import type { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import type { TableDescription } from '#lib/changes/schema-change.js';
import type { RowChange } from '#lib/changes/change.js';
import type { CommittedTransaction } from '#lib/changes/transaction.js';
import type { DeliveryUnit, RoutedTable, TransactionSink } from '#lib/interfaces/transaction-sink.interface.js';
import type { WalPosition } from '#lib/interfaces/wal-position.interface.js';
import { DeliveryProgress } from '#lib/replication/delivery-progress.js';
import type { StreamPace } from '#lib/replication/in-progress/streamed-transactions.js';
import { ReplicationPublisher } from '#lib/replication/replication.publisher.js';

/** The other side of the port: notes what it is given; units settle when the spec says so. */
export class FakeSink implements TransactionSink {
  readonly changes: RowChange[] = [];
  readonly messages: LogicalMessageEvent[] = [];
  readonly commits: CommittedTransaction[] = [];
  readonly units: DeliveryUnit[] = [];
  readonly asked: string[] = [];
  readonly sizes: number[] = [];
  readonly routes = new Map<string, { mask: number }>();
  /** Transactions that are handed over and not settled. */
  readonly held = new Set<bigint>();
  prefixes: readonly string[] = [];
  mask = 15;
  watchesTransactions = false;
  watchesSchemas = false;
  readonly descriptions: TableDescription[] = [];
  handedOver: WalPosition | null = null;
  isFull = false;
  isBusy = false;
  writtenUpTo = 0n;
  onRoom = (): void => undefined;
  onFree = (): void => undefined;

  route({ schema, table }: RoutedTable): { mask: number } {
    this.asked.push(`${schema}.${table}`);
    const route = { mask: this.mask };
    this.routes.set(`${schema}.${table}`, route);
    return route;
  }
  wantsMessage(prefix: string): boolean {
    return this.prefixes.includes(prefix);
  }
  change(change: RowChange, _route: unknown, bytes: number): null {
    this.changes.push(change);
    this.sizes.push(bytes);
    this.handedOver = change;
    return null;
  }
  message(message: LogicalMessageEvent, bytes: number, unit: DeliveryUnit | null): void {
    this.messages.push(message);
    this.sizes.push(bytes);
    if (unit === null) this.handedOver = message;
    else this.units.push(unit);
  }
  description(description: TableDescription): void {
    this.descriptions.push(description);
  }
  commit(transaction: CommittedTransaction, unit: DeliveryUnit): void {
    this.commits.push(transaction);
    this.units.push(unit);
  }
  holdsTransaction(commitLsn: bigint): boolean {
    return this.held.has(commitLsn);
  }
  hold(): void {}
  async open(): Promise<void> {}
  confirmedUpTo(): void {}
  standBy(): void {}
  abort(): void {}
  forget(): void {}
  turn(): void {}

  /** `id` of the rows handed over, or `truncate table`. */
  get rows(): unknown[] {
    return this.changes.map((change) =>
      change.operation === 'truncate'
        ? `truncate ${change.table}`
        : ((change.operation === 'delete' ? change.oldRecord : change.record) as { id: number }).id,
    );
  }
  settleAll(): void {
    for (const unit of this.units.splice(0)) unit.settle();
  }
}

/** A connection that notes what is asked of it. */
export class FakePace implements StreamPace {
  isHeld = false;
  holds = 0;
  fault: Error | undefined;
  readonly whole: bigint[] = [];

  hold(): void {
    this.isHeld = true;
    this.holds++;
  }
  release(): void {
    this.isHeld = false;
  }
  fail(error: Error): void {
    this.fault = error;
  }
  wantWhole(commitLsn: bigint): void {
    this.whole.push(commitLsn);
  }
}

/** What outlives the connections of one app. */
export class PublisherBench {
  constructor(readonly sink = new FakeSink()) {}

  readonly progress = new DeliveryProgress();
  readonly counters = { changesReceived: 0, transactionsReceived: 0 };
  readonly received: bigint[] = [];
  mostStreamedBytes = 1024 * 1024;
  twoPhase = false;
  beganAt = 0n;
  types: StreamTypes = { oids: new OidDatabase() };

  connect(): Connection {
    return new Connection(this);
  }
}

/** One connection: a publisher, and messages at their LSNs. */
export class Connection {
  readonly publisher: ReplicationPublisher;
  readonly pace = new FakePace();

  constructor({ sink, progress, counters, received, mostStreamedBytes, twoPhase, beganAt, types }: PublisherBench) {
    this.publisher = new ReplicationPublisher(sink, {
      app: 'default',
      types,
      progress,
      counters,
      primaryKeys: new Map(),
      history: HISTORY,
      received: (lsn) => received.push(lsn),
      mostStreamedBytes,
      twoPhase,
      rereadsToast: true,
      beganAt,
      pace: this.pace,
    });
    sink.onRoom = () => this.publisher.streamed.goOn();
    sink.onFree = () => this.publisher.streamed.freed();
  }

  /** @param lsn where XLogData says that the message stands; its halves as the wire has them, signed */
  send(lsn: bigint, message: Buffer): this {
    const [high, low] = [Number(lsn >> 32n) | 0, Number(lsn & 0xffffffffn) | 0];
    this.publisher.data(message, 0, message.length, high, low);
    return this;
  }

  get tracker() {
    return this.publisher.tracker;
  }
}
