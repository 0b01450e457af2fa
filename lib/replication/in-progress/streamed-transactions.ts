import { tmpdir } from 'node:os';
import { PgOutputDecoder, type ChangeVisitor, type TransactionVisitor } from '../../decoder/pgoutput.decoder.js';
import {
  PgOutputMessage,
  type BeginMessage,
  type CommitMessage,
  type CommitPreparedMessage,
  type PrepareMessage,
  type RollbackPreparedMessage,
  type StreamAbortMessage,
  type StreamCommitMessage,
  type StreamStartMessage,
} from '../../decoder/pgoutput-messages.js';
import { RelationCache, type CachedRelation } from '../../decoder/relation-cache.js';
import type { StreamTypes } from '../../decoder/stream-types.js';
import type { InProgressStats } from '../../interfaces/status.interface.js';
import { asError } from '../../errors/as-error.js';
import type { TransactionSink } from '../../interfaces/transaction-sink.interface.js';
import type { Lsn } from '../../protocol/lsn.js';
import type { SpillPlace } from '../../spill/record-spool.js';
import { XID_BYTES, type InProgressTransaction } from './in-progress-transaction.js';
import { ambiguousMessages, lostPreparation, notKept } from './faults.js';
import { InProgressTransactions, outOfPlace } from './in-progress-transactions.js';
import { PreparedTransactions } from './prepared-transactions.js';
import { Replay } from './replay.js';
import { ReplayedRoutes } from './replayed-routes.js';

/** What a file is written and read by: large enough that the system's call does not count. */
const CHUNK_BYTES = 256 * 1024;

/** The connection that the parts come over. */
export interface StreamPace {
  /** Nothing may be read, not even what has come, until `release`. */
  hold(): void;
  release(): void;
  /** The stream must end. */
  fail(error: Error): void;
  /** The next connection is to bring the transaction committed there as a whole. */
  wantWhole(commitLsn: Lsn): void;
}

/** Types of users that are not known yet, and must be before rows are read. */
export interface TypesInProgress {
  /** The transaction has committed. @returns when all of its types are known; null: they are */
  committed(xid: number): Promise<void> | null;
  rolledBack(xid: number): void;
}

/** Who takes transactions, each as if it came whole when it commits. */
export interface CommittedTarget extends ChangeVisitor {
  /** Between `begin` and `commit`. */
  readonly isOpen: boolean;
  begin(message: BeginMessage): void;
  commit(message: CommitMessage): void;
  /** Sets `relation.interest` by what is wanted now. */
  route(relation: CachedRelation): void;
  /** Reads one message, in the form of version 1. */
  read(decoder: PgOutputDecoder, buffer: Buffer, start: number, end: number, high: number, low: number): void;
  /** The bytes of the last message are about to be another's. */
  leaveLast(): void;
}

export interface StreamedOptions {
  readonly app: string;
  readonly types: StreamTypes;
  /** Whether transactions come when they are prepared. */
  readonly twoPhase: boolean;
  /** Where the slot stood when the stream began. */
  readonly beganAt: Lsn;
  /** Bytes of all transactions in progress that stay in memory. */
  readonly mostStreamedBytes: number;
  readonly pace: StreamPace;
  readonly learner?: TypesInProgress;
  /** Where what goes beyond is kept. @default the system's folder for temporary files */
  readonly place?: SpillPlace;
}

/**
 * Takes transactions apart from each other that come in parts, while they are in progress, and hands each over when it
 * has committed: the very messages, at the very places, that come where nothing is streamed.
 *
 * Descriptions of tables count twice. The server says one once for each streamed transaction, and once more for all that
 * is not streamed, and takes what it has said in a streamed one for said to all when that commits. So each is read when it
 * comes, into the cache that all others use, in the order in which they come; and a replay has a cache of its own, with
 * what was said in the transaction. Read at the replay only, one that is out of date by then would replace a newer one.
 *
 * | state | meaning | leaves by |
 * |---|---|---|
 * | between | whole transactions come, and messages outside of any | Stream Start, Begin Prepare, a commit of what is kept |
 * | receiving | what comes is a part, or one that is to be prepared | Stream Stop, Prepare |
 * | replaying | the connection holds, where it does not end at once | the last message is taken |
 */
export class StreamedTransactions implements TransactionVisitor {
  /** `take` is to be asked first. */
  isReceiving = false;
  private readonly decoder: PgOutputDecoder;
  private readonly open: InProgressTransactions;
  private readonly prepared: PreparedTransactions;
  private replay: Replay | null = null;
  private isHolding = false;
  private isClosed = false;

  constructor(
    private readonly target: CommittedTarget,
    /** What the target hands changes to: it says how much may come. */
    private readonly sink: Pick<TransactionSink, 'isFull' | 'isBusy' | 'turn'>,
    /** What holds for all that is not streamed. */
    private readonly relations: RelationCache,
    private readonly options: StreamedOptions,
  ) {
    const { place = { folder: tmpdir, chunkBytes: CHUNK_BYTES }, mostStreamedBytes, types, app } = options;
    this.decoder = new PgOutputDecoder(relations, types.oids, target, null);
    this.prepared = new PreparedTransactions(options.beganAt);
    this.open = new InProgressTransactions(place, mostStreamedBytes, (what, cause) =>
      notKept(app, what, cause, place.folder()),
    );
  }

  /** What is kept, of the one that is being handed over too. */
  get held(): InProgressStats {
    const { open } = this;
    const handed = this.replay?.transaction;
    return {
      transactions: open.size + (handed === undefined ? 0 : 1),
      memoryBytes: open.memoryBytes + (handed?.memoryBytes ?? 0),
      diskBytes: open.fileBytes + (handed?.fileBytes ?? 0),
    };
  }

  /** While receiving. @returns false: it does not belong to the part, and has to be read. @throws SpillError, DecodeError */
  take(buffer: Buffer, start: number, end: number, high: number, low: number): boolean {
    switch (buffer[start]) {
      case PgOutputMessage.Insert:
      case PgOutputMessage.Update:
      case PgOutputMessage.Delete:
      case PgOutputMessage.Truncate:
        wantBytes(start, end, 1 + this.xidBytes);
        this.open.add(buffer, start, end, high, low, this.xidBytes > 0);
        return true;
      case PgOutputMessage.Message:
        wantBytes(start, end, 2 + this.xidBytes);
        // One that is not transactional is nobody's: whether the transaction commits does not matter to it.
        if ((buffer[start + 1 + this.xidBytes]! & 1) === 0) this.readAlone(buffer, start, end, high, low);
        else this.open.add(buffer, start, end, high, low, this.xidBytes > 0);
        return true;
      case PgOutputMessage.Type:
        this.readAlone(buffer, start, end, high, low);
        return true;
      case PgOutputMessage.Relation: {
        const message = this.readAlone(buffer, start, end, high, low);
        this.open.current!.describe(this.relations.get(message.readUInt32BE(1))!, message);
        return true;
      }
      case PgOutputMessage.Origin:
        // It is the whole transaction's, and has no xid.
        this.open.add(buffer, start, end, high, low, false);
        return true;
      default:
        return false;
    }
  }

  /** The target has room again. */
  goOn(): void {
    this.replay?.goOn();
  }

  /** The target is not busy any more. */
  freed(): void {
    this.replay?.freed();
  }

  /** The connection is over: everything comes again. */
  close(): void {
    this.isClosed = true;
    this.isReceiving = false;
    this.replay?.close();
    this.replay = null;
    this.open.close();
  }

  begin(message: BeginMessage): void {
    if (this.isReceiving) outOfPlace('Begin', 'a part has not ended');
    this.target.begin(message);
  }

  commit(message: CommitMessage): void {
    this.target.commit(message);
  }

  streamStart(message: StreamStartMessage): void {
    if (this.target.isOpen) outOfPlace('StreamStart', 'a transaction is open');
    this.open.start(message);
    this.isReceiving = true;
  }

  streamStop(): void {
    if (this.open.stop('StreamStop').known !== undefined) outOfPlace('StreamStop', 'it is to be prepared');
    this.isReceiving = false;
  }

  streamCommit({ xid, commitLsn, endLsn, commitTimestamp }: StreamCommitMessage): void {
    const { app, pace } = this.options;
    const transaction = this.open.finish(xid, 'StreamCommit');
    const start = (): void => {
      this.target.begin({ finalLsn: commitLsn, commitTimestamp, xid });
      this.startReplay(transaction, () => this.target.commit({ commitLsn, endLsn }));
    };
    try {
      if (transaction.isAmbiguous) {
        pace.wantWhole(commitLsn);
        throw ambiguousMessages(app, commitLsn);
      }
      const learning = this.options.learner?.committed(xid);
      if (!learning) start();
      else this.startAfter(learning, transaction, start);
    } catch (error) {
      // Nobody else has it any more.
      transaction.close();
      throw error;
    }
  }

  /** PostgreSQL 18 tells of one that it has never sent, too: it met its limit of memory in one that was dead already. */
  streamAbort(message: StreamAbortMessage): void {
    if (this.target.isOpen) outOfPlace('StreamAbort', 'a transaction is open');
    if (message.xid === message.subXid) this.options.learner?.rolledBack(message.xid);
    this.open.abort(message);
  }

  /** What comes is kept as it is, but in one piece, and without xids: it was prepared, and nothing in it was rolled back. */
  beginPrepare({ xid }: PrepareMessage): void {
    this.requireTwoPhase('BeginPrepare');
    if (this.target.isOpen) outOfPlace('BeginPrepare', 'a transaction is open');
    this.open.begin(xid, new RelationCache(this.options.types, this.relations));
    this.isReceiving = true;
  }

  prepare(message: PrepareMessage): void {
    const { xid, known } = this.open.stop('Prepare');
    if (xid !== message.xid || known === undefined) outOfPlace('Prepare', 'another transaction has begun');
    this.isReceiving = false;
    this.prepared.add(message);
  }

  streamPrepare(message: PrepareMessage): void {
    this.requireTwoPhase('StreamPrepare');
    if (this.isReceiving) outOfPlace('StreamPrepare', 'a part has not ended');
    if (!this.open.has(message.xid)) outOfPlace('StreamPrepare', 'nothing of its transaction has come');
    this.prepared.add(message);
  }

  commitPrepared(message: CommitPreparedMessage): void {
    this.requireTwoPhase('CommitPrepared');
    if (!this.prepared.commit(message)) throw lostPreparation(this.options.app, message);
    this.streamCommit(message);
  }

  rollbackPrepared({ gid, xid }: RollbackPreparedMessage): void {
    this.requireTwoPhase('RollbackPrepared');
    this.options.learner?.rolledBack(xid);
    if (this.prepared.rollback({ gid, xid })) this.open.abort({ xid, subXid: xid, abort: null });
  }

  /** The furthest position that may be confirmed, where all before `settled` is settled. */
  confirmable(settled: Lsn): Lsn {
    return this.prepared.confirmable(settled);
  }

  /** Of the part that is received, or of the transaction that is to be prepared; null: neither, nothing is kept. */
  get receivingXid(): number | null {
    return this.isReceiving ? (this.open.current?.xid ?? null) : null;
  }

  /** Of the xid behind the type of what is received. */
  private get xidBytes(): number {
    return this.open.current!.known === undefined ? XID_BYTES : 0;
  }

  private requireTwoPhase(messageType: string): void {
    if (!this.options.twoPhase) outOfPlace(messageType, 'two-phase commit was not asked for');
  }

  /** A message that is not kept. @returns it, without its xid */
  private readAlone(buffer: Buffer, start: number, end: number, high: number, low: number): Buffer {
    const { xidBytes } = this;
    wantBytes(start, end, 1 + xidBytes);
    const message = Buffer.allocUnsafe(end - start - xidBytes);
    message[0] = buffer[start]!;
    buffer.copy(message, 1, start + 1 + xidBytes, end);
    this.target.read(this.decoder, message, 0, message.length, high, low);
    return message;
  }

  /** What follows waits too. */
  private startAfter(learning: Promise<void>, transaction: InProgressTransaction, start: () => void): void {
    const { pace } = this.options;
    pace.hold();
    learning
      .then(() => {
        if (this.isClosed) return transaction.close();
        start();
        pace.release();
      })
      .catch((error: unknown) => {
        transaction.close();
        pace.fail(asError(error));
      });
  }

  private startReplay(transaction: InProgressTransaction, done: () => void): void {
    const { target, sink, options, relations: all } = this;
    const { types, pace } = options;
    const relations = transaction.known ?? new RelationCache(types);
    const routes = new ReplayedRoutes(all, (relation) => target.route(relation));
    routes.begin(relations);
    const decoder = new PgOutputDecoder(relations, types.oids, target, null);
    const replay = new Replay(transaction, {
      get isFull() {
        return sink.isFull;
      },
      get isBusy() {
        return sink.isBusy;
      },
      message: (buffer, start, end, high, low) => target.read(decoder, buffer, start, end, high, low),
      described: (relation) => {
        relations.put(relation);
        routes.described(relation);
      },
      turn: () => sink.turn(),
      leave: () => target.leaveLast(),
      done: () => {
        this.replay = null;
        routes.end();
        done();
        if (!this.isHolding) return;
        this.isHolding = false;
        pace.release();
      },
      failed: (error) => pace.fail(error),
    });
    this.replay = replay;
    replay.start();
    if (replay.isOver) return;
    this.isHolding = true;
    pace.hold();
  }
}

function wantBytes(start: number, end: number, least: number): void {
  if (end - start < least) outOfPlace('a message within a part', 'it is cut short');
}
