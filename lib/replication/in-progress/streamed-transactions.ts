import { tmpdir } from 'node:os';
import { PgOutputDecoder, type ChangeVisitor, type TransactionVisitor } from '../../decoder/pgoutput.decoder.js';
import {
  PgOutputMessage,
  type BeginMessage,
  type CommitMessage,
  type StreamAbortMessage,
  type StreamCommitMessage,
  type StreamStartMessage,
} from '../../decoder/pgoutput-messages.js';
import type { OidDatabase } from '../../decoder/oid-database.js';
import { RelationCache, type CachedRelation, type CustomTypes } from '../../decoder/relation-cache.js';
import { SpillError } from '../../errors/delivery.error.js';
import { ConnectionError } from '../../errors/replication.error.js';
import { formatLsn, type Lsn } from '../../protocol/lsn.js';
import type { SpillPlace } from '../../spill/record-spool.js';
import { XID_BYTES, type InProgressTransaction } from './in-progress-transaction.js';
import { InProgressTransactions, outOfPlace } from './in-progress-transactions.js';
import { Replay } from './replay.js';

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

/** Who takes transactions, each as if it came whole when it commits. */
export interface CommittedTarget extends ChangeVisitor {
  /** Between `begin` and `commit`. */
  readonly isOpen: boolean;
  readonly isFull: boolean;
  readonly isBusy: boolean;
  begin(message: BeginMessage): void;
  commit(message: CommitMessage): void;
  /** Reads one message, in the form of version 1. */
  read(decoder: PgOutputDecoder, buffer: Buffer, start: number, end: number, high: number, low: number): void;
  turn(): void;
  /** The bytes of the last message are about to be another's. */
  leaveLast(): void;
}

export interface StreamedOptions {
  readonly app: string;
  readonly oids: OidDatabase;
  readonly customTypes: CustomTypes | undefined;
  /** Bytes of all transactions in progress that stay in memory. */
  readonly mostBytes: number;
  readonly pace: StreamPace;
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
 * | between | whole transactions come, and messages outside of any | Stream Start, Stream Commit |
 * | receiving | what comes is a part | Stream Stop |
 * | replaying | the connection holds, where it does not end at once | the last message is taken |
 */
export class StreamedTransactions implements TransactionVisitor {
  /** `take` is to be asked first. */
  isReceiving = false;
  private readonly decoder: PgOutputDecoder;
  private readonly open: InProgressTransactions;
  private replay: Replay | null = null;
  private isHolding = false;

  constructor(
    private readonly target: CommittedTarget,
    /** What holds for all that is not streamed. */
    private readonly relations: RelationCache,
    private readonly options: StreamedOptions,
  ) {
    const { place = { folder: tmpdir, chunkBytes: CHUNK_BYTES }, mostBytes, oids } = options;
    this.decoder = new PgOutputDecoder(relations, oids, target, null);
    this.open = new InProgressTransactions(place, mostBytes, (what, cause) => this.faultOf(what, cause, place));
  }

  /** Transactions that have come in parts and are not at their end. */
  get size(): number {
    return this.open.size;
  }

  /** What is kept of them, in memory and on disk. */
  get memoryBytes(): number {
    return this.open.memoryBytes;
  }
  get fileBytes(): number {
    return this.open.fileBytes;
  }

  /** While receiving. @returns false: it does not belong to the part, and has to be read. @throws SpillError, DecodeError */
  take(buffer: Buffer, start: number, end: number, high: number, low: number): boolean {
    switch (buffer[start]) {
      case PgOutputMessage.Insert:
      case PgOutputMessage.Update:
      case PgOutputMessage.Delete:
      case PgOutputMessage.Truncate:
        wantBytes(start, end, 1 + XID_BYTES);
        this.open.add(buffer, start, end, high, low, true);
        return true;
      case PgOutputMessage.Message:
        wantBytes(start, end, 2 + XID_BYTES);
        // One that is not transactional is nobody's: whether the transaction commits does not matter to it.
        if ((buffer[start + 1 + XID_BYTES]! & 1) !== 0) this.open.add(buffer, start, end, high, low, true);
        else this.readAlone(withoutXid(buffer, start, end), high, low);
        return true;
      case PgOutputMessage.Type:
        wantBytes(start, end, 1 + XID_BYTES);
        this.readAlone(withoutXid(buffer, start, end), high, low);
        return true;
      case PgOutputMessage.Relation: {
        wantBytes(start, end, 1 + XID_BYTES + 4);
        const message = withoutXid(buffer, start, end);
        this.readAlone(message, high, low);
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
    this.open.stop();
    this.isReceiving = false;
  }

  streamCommit({ xid, commitLsn, endLsn, commitTimestamp }: StreamCommitMessage): void {
    const transaction = this.open.finish(xid, 'StreamCommit');
    if (transaction.isAmbiguous) this.refuse(transaction, commitLsn);
    this.target.begin({ finalLsn: commitLsn, commitTimestamp, xid });
    this.startReplay(transaction, () => this.target.commit({ commitLsn, endLsn }));
  }

  /** PostgreSQL 18 tells of one that it has never sent, too: it met its limit of memory in one that was dead already. */
  streamAbort(message: StreamAbortMessage): void {
    if (this.target.isOpen) outOfPlace('StreamAbort', 'a transaction is open');
    this.open.abort(message);
  }

  beginPrepare(): void {
    unasked('BeginPrepare');
  }
  prepare(): void {
    unasked('Prepare');
  }
  streamPrepare(): void {
    unasked('StreamPrepare');
  }
  commitPrepared(): void {
    unasked('CommitPrepared');
  }
  rollbackPrepared(): void {
    unasked('RollbackPrepared');
  }

  private readAlone(message: Buffer, high: number, low: number): void {
    this.target.read(this.decoder, message, 0, message.length, high, low);
  }

  private startReplay(transaction: InProgressTransaction, done: () => void): void {
    const { target, options, relations: all } = this;
    const { oids, customTypes, pace } = options;
    const relations = new RelationCache(oids, customTypes);
    const decoder = new PgOutputDecoder(relations, oids, target, null);
    const replay = new Replay(transaction, {
      get isFull() {
        return target.isFull;
      },
      get isBusy() {
        return target.isBusy;
      },
      message: (buffer, start, end, high, low) => target.read(decoder, buffer, start, end, high, low),
      described: (relation) => {
        relations.put(relation);
        // It was asked for when it came; has the table been described anew, routes are those of the newer one.
        if (all.get(relation.relation.id) !== relation) target.relation(relation);
      },
      turn: () => target.turn(),
      leave: () => target.leaveLast(),
      done: () => {
        this.replay = null;
        restoreRoutes(relations, all, target);
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

  private refuse(transaction: InProgressTransaction, commitLsn: Lsn): never {
    transaction.close();
    const { app, pace } = this.options;
    pace.wantWhole(commitLsn);
    throw new ConnectionError(
      `The transaction committed at ${formatLsn(commitLsn)} has logical messages, and savepoints that were rolled back: in ` +
        'parts, PostgreSQL does not tell which messages went with them. It is read again, as a whole',
      { app },
    );
  }

  private faultOf(what: string, cause: unknown, place: SpillPlace): SpillError {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code ?? (cause as Error).message;
    return new SpillError(
      `Transactions in progress (\`streaming\`) are above limits.bytes, are kept on disk, and what has come ${what} ` +
        `${place.folder()}: ${reason}`,
      {
        app: this.options.app,
        cause,
        hint:
          'set TMPDIR to a folder that this process may write to, with room for all transactions that are open at a time; ' +
          'or raise limits.bytes; or set `streaming` to false. Nothing is lost: nothing of them was confirmed, and they ' +
          'come again.',
      },
    );
  }
}

/** A replay asked for routes by descriptions that are out of date: those of now must be the last that were asked for. */
function restoreRoutes(replayed: RelationCache, all: RelationCache, target: ChangeVisitor): void {
  for (const relation of replayed.values()) {
    const now: CachedRelation | undefined = all.get(relation.relation.id);
    if (now !== undefined && now !== relation) target.relation(now);
  }
}

function withoutXid(buffer: Buffer, start: number, end: number): Buffer {
  const message = Buffer.allocUnsafe(end - start - XID_BYTES);
  message[0] = buffer[start]!;
  buffer.copy(message, 1, start + 1 + XID_BYTES, end);
  return message;
}

function wantBytes(start: number, end: number, least: number): void {
  if (end - start < least) outOfPlace('a message within a part', 'it is cut short');
}

/** The slot is not a two-phase one, or was made one under our feet. */
function unasked(messageType: string): never {
  return outOfPlace(messageType, 'two-phase commit was not asked for');
}
