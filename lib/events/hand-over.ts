import type { TransactionInfo } from '../changes/transaction.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { ChangeStreams } from './change-streams.js';
import { DeliveryPosition } from './delivery-position.js';
import type { HandlerRegistry } from './handler-registry.js';
import type { HandlerRunner } from './handler-runner.js';
import type { SchemaCalls } from './schemas/schema-calls.js';
import { TransactionCollector } from './whole/transaction-collector.js';
import type { ChangeWork, CommitWork, MessageWork, SchemaWork, Work } from './work.js';

export interface HandOverOptions {
  readonly registry: HandlerRegistry;
  readonly streams: ChangeStreams;
  readonly schemas: SchemaCalls;
  readonly limits: { readonly changes: number; readonly bytes: number };
}

/**
 * The moment when work leaves the stream for its handlers: who gets it and as what, what observers see of it, and what
 * is remembered, so that nothing is handed over twice.
 */
export class HandOver {
  /** Something of it has been handed over, and its Commit has not been handled. */
  openTransaction: TransactionInfo | null = null;
  private readonly position = new DeliveryPosition();
  private readonly collector: TransactionCollector;
  /** What was in hand when its positions lost their meaning. */
  private foreign: Work | null = null;

  constructor(private readonly options: HandOverOptions) {
    this.collector = new TransactionCollector(options.limits);
  }

  get handedOver(): WalPosition | null {
    return this.position.handedOver;
  }

  /** Handlers want transactions as a whole. */
  get isCollecting(): boolean {
    return this.options.registry.transactionRunners.length > 0;
  }

  begin(): void {
    this.position.begin();
  }

  forget(inHand: Work | null): void {
    this.position.forget();
    this.openTransaction = null;
    this.foreign = inHand;
    this.collector.clear();
  }

  /** More is kept of the open transaction than is finished of it, or less: it has to come again from its beginning. */
  loseTransaction(): void {
    this.position.loseTransaction();
    this.collector.clear();
  }

  /** Marks it as handed over, shows it to observers. @returns the handlers that are to see it */
  runnersOf(work: Work): readonly HandlerRunner[] {
    const { registry, streams } = this.options;
    switch (work.kind) {
      case 'redrive':
        return [work.runner];
      case 'change': {
        const { change, route } = work;
        this.openTransaction = change.transaction;
        const isNew = this.position.hand(change);
        if (isNew && route.watches.length > 0) streams.emit(change, route.watches);
        return route.runnersOf(change);
      }
      case 'schema':
        this.openTransaction = work.description.transaction;
        return this.options.schemas.runnersOf(work);
      case 'message':
        return this.runnersOfMessage(work);
      case 'commit': {
        if (this.isHandedBefore(work)) return [];
        const isNew = this.position.handCommit(work.transaction.info.commitLsn);
        if (isNew) streams.emitTransaction(work.transaction);
        return registry.transactionRunners;
      }
    }
  }

  /** Its handlers have been called on an earlier connection. */
  isHandedBefore({ transaction }: CommitWork): boolean {
    return transaction.info.commitLsn <= this.position.commit;
  }

  /** It says that a table has changed its shape. */
  changesSchema(work: SchemaWork): boolean {
    return this.options.schemas.isChange(work);
  }

  /** What a handler gets. */
  payload(work: Work, runner: HandlerRunner): unknown {
    if (work.kind === 'commit') {
      return work.transaction.withChanges(this.collector.changesOf(work.transaction.info.commitLsn));
    }
    if (work.kind === 'message') return work.message;
    if (work.kind === 'schema') return this.options.schemas.payload(work, runner);
    const one = work.kind === 'change' ? work.change : work.parked.work;
    return runner.definition.batch === undefined ? one : [one];
  }

  /** Why a transaction cannot be had as a whole; null: it can. */
  faultOf(work: Work): Error | null {
    return work.kind === 'commit' ? this.collector.fault : null;
  }

  /**
   * It has left the serial calls.
   *
   * @param isAll nothing before it is unfinished in a lane
   * @throws SpillError
   */
  finished(work: Work, isAll: boolean): void {
    const isForeign = work === this.foreign;
    this.foreign = null;
    if (work.kind === 'commit') {
      this.openTransaction = null;
      this.collector.clear();
      return;
    }
    // Its place is that of the change behind it, which comes again where it is not finished.
    if (
      work.kind === 'redrive' ||
      work.kind === 'schema' ||
      isForeign ||
      (work.kind === 'message' && work.unit !== null)
    )
      return;
    this.position.pass(work.kind === 'message' ? work.message : work.change, isAll);
    if (work.kind === 'change' && this.isCollecting) this.collect(work);
  }

  /** Lanes have come to rest. */
  rested(): void {
    this.position.rest();
  }

  private collect(work: ChangeWork): void {
    try {
      this.collector.add(work);
    } catch (error) {
      this.loseTransaction();
      throw error;
    }
  }

  private runnersOfMessage({ message, unit }: MessageWork): readonly HandlerRunner[] {
    if (unit === null) {
      this.position.hand(message);
      this.openTransaction = message.transaction;
    } else {
      // It may come again on a new connection while its handler still runs.
      if (message.commitLsn === this.position.message) return [];
      this.position.message = message.commitLsn;
    }
    return this.options.registry.runnersOfMessage(message.prefix);
  }
}
