import type { RowChange } from '../changes/change.js';
import type { LogicalMessageEvent } from '../changes/logical-message.js';
import type { SchemaChangeEvent, TableDescription } from '../changes/schema-change.js';
import type { CommittedTransaction, TransactionInfo } from '../changes/transaction.js';
import { placeOfCommit } from '../changes/wal-position.js';
import type { CaptureImage, WireImage } from '../changes/wire-image.js';
import type { ParkedWork } from '../interfaces/parked-store.interface.js';
import type { EffectPlace } from '../interfaces/effects-store.interface.js';
import type { DeliveryUnit } from '../interfaces/transaction-sink.interface.js';
import type { HandlerRunner } from './handler-runner.js';
import type { Route } from './handler-registry.js';
import type { TransactionHolds } from './transaction-holds.js';
import { keysOf } from './change-keys.js';

/** A change on its way to its handlers. */
export class ChangeWork {
  readonly kind = 'change';
  /** Whoever is not done with it: the serial calls, and each lane that has taken it. */
  pending = 1;
  private copy: WireImage | null = null;
  private rowKeys: readonly string[] | undefined;

  constructor(
    readonly change: RowChange,
    readonly route: Route,
    readonly bytes: number,
    private capture: CaptureImage | null,
  ) {}

  /** As it came over the wire; null where it came over none. */
  get image(): WireImage | null {
    if (this.copy === null && this.capture !== null) this.copy = this.capture();
    return this.copy;
  }

  get keys(): readonly string[] {
    return (this.rowKeys ??= keysOf(this.change, this.route.table.keyColumns));
  }

  /** Another change will be the one that was read last: copies what may still be needed of this one. */
  leaveBuffer(): void {
    if (this.pending > 0) void this.image;
    this.capture = null;
  }
}

export interface MessageWork {
  readonly kind: 'message';
  readonly message: LogicalMessageEvent;
  readonly bytes: number;
  readonly unit: DeliveryUnit | null;
}

/** How a table is described from here on; most say nothing new. */
export interface SchemaWork {
  readonly kind: 'schema';
  readonly description: TableDescription;
  readonly bytes: number;
  /** What handlers get, once it is in hand; null: the first sight of a table. */
  change: SchemaChangeEvent | null;
}

export interface CommitWork {
  readonly kind: 'commit';
  readonly transaction: CommittedTransaction;
  readonly unit: DeliveryUnit;
}

/** One more try of what was parked, for its one handler. */
export interface RedriveWork {
  readonly kind: 'redrive';
  readonly parked: ParkedWork;
  readonly runner: HandlerRunner;
  /** @param error undefined: it is handled */
  readonly done: (error?: Error) => void;
  /** It was not tried, or does not count: it stays parked as it was. */
  readonly abandoned: () => void;
}

/** One thing that handlers have to see, in the order of the stream. */
export type Work = ChangeWork | MessageWork | SchemaWork | CommitWork | RedriveWork;

/** For logs and errors: what it is and where, without a value. */
export function describeWork(work: Work): string {
  if (work.kind === 'commit') return `the transaction committed at ${work.transaction.lsn}`;
  if (work.kind === 'schema') {
    const { shape, transaction } = work.description;
    return `the schema of ${shape.schema}.${shape.table} (${transaction.lsn})`;
  }
  const subject = work.kind === 'redrive' ? work.parked.work : work.kind === 'change' ? work.change : work.message;
  if ('prefix' in subject) return `the message with prefix "${subject.prefix}" (${subject.lsn})`;
  return `${subject.operation} of ${subject.schema}.${subject.table} (${subject.id})`;
}

/** It has left the serial calls. */
export function settleWork(work: Work, holds: Pick<TransactionHolds, 'commit'>): void {
  if (work.kind === 'redrive') work.done();
  else if (work.kind === 'message') work.unit?.settle();
  else if (work.kind === 'commit') holds.commit(work.transaction.info.commitLsn, work.unit);
}

/** Where it stands in the log. */
export function placeOf(work: Exclude<Work, RedriveWork>): EffectPlace {
  if (work.kind === 'commit') return placeOfCommit(work.transaction.info);
  if (work.kind === 'schema') return work.description;
  return work.kind === 'change' ? work.change : work.message;
}

/** The transaction that it belongs to. */
export function transactionOf(work: Work): TransactionInfo {
  if (work.kind === 'change') return work.change.transaction;
  if (work.kind === 'message') return work.message.transaction;
  if (work.kind === 'schema') return work.description.transaction;
  if (work.kind === 'redrive') return work.parked.work.transaction;
  return work.transaction.info;
}
