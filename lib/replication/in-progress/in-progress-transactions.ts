import type { RelationCache } from '../../decoder/relation-cache.js';
import { DecodeError } from '../../errors/decode.error.js';
import type { StreamAbortMessage, StreamStartMessage } from '../../decoder/pgoutput-messages.js';
import type { SpillPlace, SpoolFault } from '../../spill/record-spool.js';
import { InProgressTransaction } from './in-progress-transaction.js';

/**
 * Transactions that have not ended: those that the server sends while they are in progress (manual, section 54.5,
 * `streaming`), each in parts, between the parts of others, and those that are prepared. What is kept of all together is
 * in memory up to a bound; past it, the largest goes to the disk, but for the chunk that is being filled.
 *
 * | state of one | until |
 * |---|---|
 * | receiving: what comes belongs to it | Stream Stop, Prepare |
 * | open | its next Stream Start; its commit, which takes it out; its rollback, which drops it |
 */
export class InProgressTransactions {
  private readonly open = new Map<number, InProgressTransaction>();
  private receiving: InProgressTransaction | null = null;

  constructor(
    private readonly place: SpillPlace,
    /** Bytes of all together that stay in memory. */
    private readonly mostBytes: number,
    private readonly fault: SpoolFault,
  ) {}

  /** Between a Stream Start and its Stream Stop. */
  get current(): InProgressTransaction | null {
    return this.receiving;
  }

  /** How many are open. */
  get size(): number {
    return this.open.size;
  }

  get memoryBytes(): number {
    return sumOf(this.open, 'memoryBytes');
  }

  get fileBytes(): number {
    return sumOf(this.open, 'fileBytes');
  }

  has(xid: number): boolean {
    return this.open.has(xid);
  }

  /** One that comes as a whole, and is prepared at its end. @param known what its rows may rely on */
  begin(xid: number, known: RelationCache): void {
    if (this.receiving !== null) outOfPlace('BeginPrepare', 'a part has not ended');
    if (this.open.has(xid)) outOfPlace('BeginPrepare', 'its transaction is open');
    this.receiving = new InProgressTransaction(xid, this.place, this.fault, known);
    this.open.set(xid, this.receiving);
  }

  start({ xid, isFirst }: StreamStartMessage): void {
    if (this.receiving !== null) outOfPlace('StreamStart', 'the part before it has not ended');
    let transaction = this.open.get(xid);
    if (isFirst !== (transaction === undefined)) {
      outOfPlace('StreamStart', isFirst ? 'a first part comes again' : 'the first part has not come');
    }
    if (transaction === undefined) {
      transaction = new InProgressTransaction(xid, this.place, this.fault);
      this.open.set(xid, transaction);
    }
    this.receiving = transaction;
  }

  stop(messageType: string): InProgressTransaction {
    const { receiving } = this;
    if (receiving === null) return outOfPlace(messageType, 'no part has begun');
    this.receiving = null;
    return receiving;
  }

  /** A message of the one that is receiving. @throws SpillError */
  add(buffer: Buffer, start: number, end: number, high: number, low: number, hasXid: boolean): void {
    const current = this.receiving!;
    const before = current.memoryBytes;
    current.add(buffer, start, end, high, low, hasXid);
    if (current.memoryBytes !== before) this.keepWithin();
  }

  /** A sub-transaction, or all of it, is gone. Nothing of it may ever have come. */
  abort({ xid, subXid }: StreamAbortMessage): void {
    if (this.receiving !== null) outOfPlace('StreamAbort', 'the part before it has not ended');
    const transaction = this.open.get(xid);
    if (xid !== subXid) return transaction?.abort(subXid);
    this.open.delete(xid);
    transaction?.close();
  }

  /** It has come to its end: whoever gets it closes it. */
  finish(xid: number, messageType: string): InProgressTransaction {
    if (this.receiving !== null) outOfPlace(messageType, 'the part before it has not ended');
    const transaction = this.open.get(xid);
    if (transaction === undefined) return outOfPlace(messageType, 'nothing of its transaction has come');
    this.open.delete(xid);
    return transaction;
  }

  /** The connection is gone: all of them come again. */
  close(): void {
    this.receiving = null;
    for (const transaction of this.open.values()) transaction.close();
    this.open.clear();
  }

  /** The one that is receiving keeps the chunk that it fills; many others, with a chunk each, would be beyond any bound. */
  private keepWithin(): void {
    if (this.memoryBytes <= this.mostBytes) return;
    let largest: InProgressTransaction | null = null;
    for (const transaction of this.open.values()) {
      if (transaction === this.receiving && transaction.fileBytes > 0) continue;
      if (largest === null || transaction.memoryBytes > largest.memoryBytes) largest = transaction;
    }
    if (largest === this.receiving) largest?.spill();
    else largest?.spillAll();
  }
}

function sumOf(transactions: ReadonlyMap<number, InProgressTransaction>, key: 'memoryBytes' | 'fileBytes'): number {
  let sum = 0;
  for (const transaction of transactions.values()) sum += transaction[key];
  return sum;
}

export function outOfPlace(messageType: string, what: string): never {
  throw new DecodeError(what, { messageType, offset: 0 });
}
