import {
  Delete,
  Insert,
  Truncate,
  Update,
  type ChangePlace,
  type RowChange,
  type RowOperation,
} from '../changes/change.js';
import { isBeyond } from '../changes/wal-position.js';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { LogicalMessageEvent } from '../changes/logical-message.js';
import type { CaptureImage } from '../changes/wire-image.js';
import { CommittedTransaction, TransactionInfo, TransactionTally } from '../changes/transaction.js';
import { PgOutputDecoder } from '../decoder/pgoutput.decoder.js';
import {
  PgOutputMessage,
  type BeginMessage,
  type CommitMessage,
  type LogicalDecodingMessage,
  type OldTupleKind,
  type Row,
} from '../decoder/pgoutput-messages.js';
import { RelationCache, type CachedRelation } from '../decoder/relation-cache.js';
import { rowKeyOf } from '../decoder/row-key.js';
import { DecodeError } from '../errors/decode.error.js';
import type { Borrower, DeliveryUnit, TransactionSink } from '../interfaces/transaction-sink.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';
import type { PublisherOptions } from './publisher-options.js';
import { AckTracker, type AckUnit } from './ack-tracker.js';
import { StreamedTransactions, type CommittedTarget } from './in-progress/streamed-transactions.js';
import { routedTable } from './row-identity.js';
import { TableDescriptions } from './table-descriptions.js';
import { truncateImage } from './truncate-image.js';

const NO_ROUTE = { mask: 0 };
/** The manual's name of the message that brings an operation. */
const MESSAGE_OF = { insert: 'Insert', update: 'Update', delete: 'Delete', truncate: 'Truncate' } as const;

/**
 * Turns the messages of one connection into transactions of changes and hands them to the sink in pieces; tracks what
 * is settled. What this process has handed over on an earlier connection is recognised by its place in the log and
 * not handed over again.
 */
export class ReplicationPublisher implements CommittedTarget, ChangePlace, WalPosition {
  readonly tracker = new AckTracker();
  readonly streamed: StreamedTransactions;
  walHigh = 0;
  walLow = 0;
  /** From 0 among the changes of one WAL record. */
  ordinal = 0;
  /** From 0 in the transaction. */
  index = 0;
  private readonly decoder: PgOutputDecoder;
  private readonly era: number;
  /** Null: nobody asks how tables are described. */
  private readonly descriptions: TableDescriptions | null;
  private messageHigh = 0;
  private messageLow = 0;
  private bytes = 0;
  private transaction: TransactionInfo | null = null;
  private tally = new TransactionTally();
  private unit: AckUnit | null = null;
  /** The sink has been given something of the open transaction. */
  private isHanded = false;
  /** All of the open transaction was settled on an earlier connection. */
  private isSettledBefore = false;
  /** All of the open transaction was handed over on an earlier connection; its handlers may still run. */
  private isHandedBefore = false;
  /** Up to here, inclusive, the open transaction was handed over on an earlier connection. */
  private handedBefore: WalPosition | null = null;
  private frame: Buffer = Buffer.alloc(0);
  private frameStart = 0;
  private frameEnd = 0;
  private handed!: CachedRelation;
  /** Whoever may still call `capture` for the last change. */
  private lent: Borrower | null = null;

  constructor(
    private readonly sink: TransactionSink,
    private readonly options: PublisherOptions,
  ) {
    this.era = options.progress.era;
    const { types } = options;
    const relations = new RelationCache(types);
    this.descriptions = sink.watchesSchemas ? new TableDescriptions(sink, types.oids) : null;
    this.streamed = new StreamedTransactions(this, sink, relations, options);
    this.decoder = new PgOutputDecoder(relations, types.oids, this, this.streamed);
  }

  /** One pgoutput message whose own LSN is `high`/`low`. @throws DecodeError */
  data(buffer: Buffer, start: number, end: number, high: number, low: number): void {
    if (this.streamed.isReceiving && this.streamed.take(buffer, start, end, high, low)) return;
    this.read(this.decoder, buffer, start, end, high, low);
  }

  read(decoder: PgOutputDecoder, buffer: Buffer, start: number, end: number, high: number, low: number): void {
    this.leaveLast();
    this.messageHigh = high;
    this.messageLow = low;
    this.bytes = end - start;
    this.frame = buffer;
    this.frameStart = start;
    this.frameEnd = end;
    decoder.decode(buffer, start, end);
  }

  /** What may be confirmed; 0 before anything may. */
  get confirmable(): Lsn {
    return this.streamed.confirmable(this.tracker.confirmable);
  }
  get deliveredEnd(): Lsn {
    return this.tracker.deliveredEnd;
  }

  /** When the open or the last transaction was committed, in milliseconds since 1970. */
  get lastCommitTimeMs(): number {
    return this.transaction?.commitTimestamp.getTime() ?? 0;
  }

  get isOpen(): boolean {
    return this.unit !== null;
  }

  begin(message: BeginMessage): void {
    if (this.unit !== null) this.outOfPlace('Begin', 'the transaction before it has no Commit');
    const { app, progress, history } = this.options;
    this.transaction = new TransactionInfo(app, message.finalLsn, message.xid, message.commitTimestamp, history);
    this.tally = new TransactionTally();
    this.unit = this.tracker.open(message.commitTimestamp.getTime());
    this.index = 0;
    this.ordinal = -1;
    this.walHigh = 0;
    this.walLow = 0;
    this.isHanded = false;
    this.isSettledBefore = progress.isSettled(message.finalLsn);
    const { handedOver } = this.sink;
    this.handedBefore = handedOver?.commitLsn === message.finalLsn ? handedOver : null;
    this.isHandedBefore = handedOver !== null && message.finalLsn < handedOver.commitLsn;
  }

  commit(message: CommitMessage): void {
    const { unit, transaction } = this;
    if (unit === null || transaction === null) return this.outOfPlace('Commit', 'no transaction is open');
    if (message.commitLsn !== transaction.commitLsn) this.outOfPlace('Commit', 'its LSN is not the one of Begin');
    this.unit = null;
    this.tracker.close(unit, message.endLsn);
    this.options.received(message.endLsn);
    this.options.counters.transactionsReceived++;
    if (this.isEmpty) this.tracker.settle(unit, false);
    else if (this.isSettledBefore) this.tracker.settle(unit, true, this.sink.writtenUpTo);
    else if (this.needsSink(transaction.commitLsn)) {
      this.sink.commit(new CommittedTransaction(transaction, this.tally), this.deliveryUnit(unit));
    } else this.tracker.settle(unit, false, this.isHandedBefore ? this.sink.writtenUpTo : INVALID_LSN);
  }

  /**
   * Nothing of it is published, and so it is nobody's: before 15, the server tells of such transactions too. What we write
   * of our own is among them: told on, the record of a position would be a reason for the next one.
   */
  private get isEmpty(): boolean {
    return this.tally.size === 0 && !this.isHanded && !this.isHandedBefore && this.handedBefore === null;
  }

  private needsSink(commitLsn: Lsn): boolean {
    if (this.isHandedBefore) return this.sink.holdsTransaction(commitLsn);
    return this.isHanded || this.handedBefore !== null || this.sink.watchesTransactions;
  }

  origin(name: string): void {
    if (this.transaction !== null) this.transaction.origin = name;
  }

  relation(cached: CachedRelation): void {
    this.route(cached);
    const { receivingXid: xid } = this.streamed;
    this.options.learner?.met(cached.relation, xid ?? this.transaction?.xid ?? null, xid !== null);
  }

  route(relation: CachedRelation): void {
    const { sink, options } = this;
    const isOurs = relation.relation.schema === OWN_SCHEMA;
    relation.interest = isOurs ? NO_ROUTE : sink.route(routedTable(relation, options.primaryKeys));
  }

  insert(cached: CachedRelation, record: Row): void {
    this.step('Insert', cached);
    if (this.isNew()) this.hand(new Insert(this.transaction!, cached.relation, this, record), cached);
    this.count(cached, 'insert');
  }

  update(
    cached: CachedRelation,
    record: Row,
    oldRecord: Row | null,
    _oldKind: OldTupleKind | null,
    changed: readonly string[] | null,
    toast: readonly string[],
  ): void {
    this.step('Update', cached);
    if (this.isNew()) {
      const { relation } = cached;
      const key =
        toast.length === 0 || !this.options.rereadsToast ? null : rowKeyOf(cached, this.frame, this.frameStart);
      this.hand(new Update(this.transaction!, relation, this, record, oldRecord, changed, toast, key), cached);
    }
    this.count(cached, 'update');
  }

  delete(cached: CachedRelation, oldRecord: Row): void {
    this.step('Delete', cached);
    if (this.isNew()) this.hand(new Delete(this.transaction!, cached.relation, this, oldRecord), cached);
    this.count(cached, 'delete');
  }

  truncate(relations: readonly CachedRelation[], cascade: boolean, restartIdentity: boolean): void {
    for (const cached of relations) {
      this.step('Truncate', cached);
      if ((cached.interest.mask & 8) !== 0 && this.isNew()) {
        this.hand(new Truncate(this.transaction!, cached.relation, this, cascade, restartIdentity), cached);
      }
      this.count(cached, 'truncate');
    }
  }

  passed(cached: CachedRelation, operation: RowOperation): void {
    this.step(MESSAGE_OF[operation], cached);
    this.count(cached, operation);
  }

  message(message: LogicalDecodingMessage): void {
    if (message.transactional) return this.transactionalMessage(message);
    const { app, progress, history } = this.options;
    // The server does not say when it was written; it is sent without delay.
    const unit = this.tracker.open(Date.now());
    this.tracker.close(unit, message.lsn);
    this.options.received(message.lsn);
    if (!this.sink.wantsMessage(message.prefix)) return this.tracker.settle(unit, false);
    if (progress.isMessageSettled(message.lsn)) return this.tracker.settle(unit, false, this.sink.writtenUpTo);
    const event = LogicalMessageEvent.alone(app, message, history);
    this.sink.message(event, this.bytes, this.deliveryUnit(unit, message.lsn));
  }

  private transactionalMessage(message: LogicalDecodingMessage): void {
    if (this.unit === null) this.outOfPlace('Message', 'no transaction is open');
    if (!this.sink.wantsMessage(message.prefix)) return;
    const event = new LogicalMessageEvent(this.transaction!, message);
    if (!this.isNew(event)) return;
    this.isHanded = true;
    this.sink.message(event, this.bytes, null);
  }

  /**
   * To the next change's place in the log. Only changes of rows count: a Relation message may come between two of them on
   * one connection and not on another, a logical message comes to those who ask for it, and Begin shares its LSN with the
   * first change.
   */
  private step(messageType: string, cached: CachedRelation): void {
    if (this.unit === null) this.outOfPlace(messageType, 'no transaction is open');
    if (this.messageHigh === this.walHigh && this.messageLow === this.walLow) {
      this.ordinal++;
    } else {
      this.walHigh = this.messageHigh;
      this.walLow = this.messageLow;
      this.ordinal = 0;
    }
    if (this.descriptions !== null && !this.descriptions.isTold(cached) && this.isNew()) {
      this.isHanded = true;
      this.descriptions.tell(cached, this.transaction!, this);
    }
  }

  private hand(change: RowChange, cached: CachedRelation): void {
    this.isHanded = true;
    // A Truncate brings one change for each table.
    this.leaveLast();
    this.handed = cached;
    this.lent = this.sink.change(change, cached.interest, this.bytes, this.capture);
  }

  /** Before anything of what `capture` reads is another's. */
  leaveLast(): void {
    if (this.lent === null) return;
    this.lent.leaveBuffer();
    this.lent = null;
  }

  private readonly capture: CaptureImage = () => {
    const { frame, frameStart, frameEnd, handed } = this;
    if (frame[frameStart] === PgOutputMessage.Truncate) {
      return { cached: handed, message: truncateImage(handed.relation.id, frame, frameStart) };
    }
    // Each change that has to wait is copied: `Buffer.from(frame.subarray())` costs half as much again.
    const message = Buffer.allocUnsafe(frameEnd - frameStart);
    frame.copy(message, 0, frameStart, frameEnd);
    return { cached: handed, message };
  };

  private count({ relation }: CachedRelation, operation: RowOperation): void {
    if (relation.schema === OWN_SCHEMA) return;
    this.index++;
    this.tally.add(relation, operation);
    this.options.counters.changesReceived++;
  }

  /** Whether handlers have not been given what is being read. */
  private isNew(place: WalPosition = this): boolean {
    if (this.isSettledBefore || this.isHandedBefore) return false;
    return this.handedBefore === null || isBeyond(place, this.handedBefore);
  }

  /** With `walHigh`, `walLow` and `ordinal`: where the publisher stands. */
  get commitLsn(): Lsn {
    return this.transaction?.commitLsn ?? 0n;
  }

  private deliveryUnit(unit: AckUnit, messageLsn: Lsn | null = null): DeliveryUnit {
    return {
      settle: () => {
        this.tracker.settle(unit, true, this.sink.writtenUpTo);
        // A handler may finish after a promotion: what it settles is of a history that is over.
        if (this.era !== this.options.progress.era) return;
        const { progress } = this.options;
        if (messageLsn !== null) progress.messageSettled(messageLsn);
        progress.settledUpTo(this.tracker.settledEnd);
        progress.delivered(unit.endLsn!);
      },
    };
  }

  private outOfPlace(messageType: string, what: string): never {
    throw new DecodeError(what, { messageType, offset: 0 });
  }
}
