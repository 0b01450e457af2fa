import { asError } from '../errors/as-error.js';
import type { Client } from 'pg';
import { OidDatabase } from '../decoder/oid-database.js';
import { ConnectionError, SlotInUseError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import type { OriginFilter } from '../interfaces/pg-listener-options.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { TransactionSink } from '../interfaces/transaction-sink.interface.js';
import { laterLsn, type Lsn } from '../protocol/lsn.js';
import type { ServerReport } from '../protocol/server-report.js';
import type { StreamTypes } from '../decoder/stream-types.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { closeClient, connectPlain, connectReplication, socketOf } from '../connection/connection.js';
import type { DeliveryProgress } from './delivery-progress.js';
import type { PublicationManager } from '../publications/publication-manager.js';
import { paceOf } from './in-progress/pace.js';
import { ReplicationPublisher, type PublisherCounters } from './replication.publisher.js';
import { askedForLess } from './asked-for-less.js';
import type { FormatChoice } from './format-choice.js';
import { startCommand, type StartOptions } from './start-command.js';
import { ReplicationServer, type ReplicationListener } from './replication.server.js';
import { translateServerError } from '../connection/server-errors.js';
import { identifySystem, readServerFacts, requireOrigins, type ServerFacts } from '../connection/server-facts.js';
import { pinSessionSettings } from '../connection/session-settings.js';
import { missingPublication, type GapFinding } from '../slots/gap-finder.js';
import { PositionRecorder, type StreamPosition } from '../slots/position-recorder.js';
import type { SlotLife } from '../slots/slot-life.js';
import type { Tenure } from '../slots/slot-record.js';
import { streamStart, tellOfNewSlot } from '../slots/stream-start.js';

/** How long a server that shuts down waits for handlers to finish what they have in hand. */
const SHUTDOWN_GRACE_MS = 2_000;

/** Everything that outlives a single connection. */
export interface SessionContext {
  readonly target: ConnectionTarget;
  readonly life: SlotLife;
  readonly publications: PublicationManager;
  readonly wantsMessages: boolean;
  readonly origin: OriginFilter;
  /** Whether the server sends transactions while they are in progress. */
  readonly streaming: boolean;
  /** Bytes of transactions in progress that stay in memory. */
  readonly mostStreamedBytes: number;
  /** Whether it sends them when they are prepared. */
  readonly twoPhase: boolean;
  readonly format: FormatChoice;
  readonly sink: TransactionSink;
  readonly progress: DeliveryProgress;
  readonly counters: PublisherCounters;
  readonly logger: ListenerLogger;
}

/**
 * One life of the stream: a connection with its server, decoder and publisher, made together and ended together. The
 * server describes a table once in a connection, so none of the three may outlive the others.
 */
export class ReplicationSession implements ReplicationListener {
  private plain: Client | undefined;
  private replication: Client | undefined;
  private server: ReplicationServer | undefined;
  private publisher: ReplicationPublisher | undefined;
  private publicationNames: readonly string[] = [];
  /** Where the slot stood when the stream began. */
  private beganAt: Lsn = 0n;
  private asked: StartOptions | undefined;
  private fault: Error | undefined;
  /** A gap that the stream has met, and ends for. */
  private gap: GapFinding | undefined;
  private recorder: PositionRecorder | undefined;
  private plainLoss: Error | undefined;
  private isStreaming = false;
  /** The slot is ours, and what is settled may be confirmed. */
  private isTenant = false;
  private isFrozen = false;
  private shutdownTimer: NodeJS.Timeout | undefined;
  private isClosed = false;
  private readonly giveUp = new AbortController();

  constructor(private readonly context: SessionContext) {}

  /**
   * Connects, checks, makes what is missing, and starts the stream. Resolves when changes may come.
   *
   * @throws PgListenerError; all connections are closed then
   */
  async open(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      const mine = translateServerError(error, this.context.target);
      await this.release();
      throw mine;
    }
  }

  /** Settles when the stream has ended: null after `stop()`, else why. All connections are closed then. */
  async ended(): Promise<Error | null> {
    const error = await this.server!.closed;
    const reason = this.fault ?? error;
    try {
      return reason === null ? null : await this.explainEnd(reason);
    } finally {
      await this.release();
    }
  }

  /** Confirms what is settled and ends the stream. */
  async stop(): Promise<void> {
    await this.server?.stop();
  }

  /** Ends the stream because of an error that came from outside of it; confirms what is settled. */
  halt(error: Error): void {
    this.fault = error;
    // What is being replayed would go on without the stream.
    this.publisher?.streamed.close();
    if (this.server === undefined) this.destroy();
    else this.server.leave(error);
  }

  /** Gives up what is being opened or streamed, at once. */
  destroy(): void {
    this.isClosed = true;
    this.giveUp.abort();
    this.server?.destroy();
    for (const client of [this.plain, this.replication]) if (client !== undefined) socketOf(client).destroy();
  }

  get confirmedLsn(): Lsn {
    return this.server?.confirmedLsn ?? 0n;
  }
  get receivedLsn(): Lsn {
    return this.server?.receivedLsn ?? 0n;
  }
  get unsettled(): number {
    return this.publisher?.tracker.unsettled ?? 0;
  }

  private async start(): Promise<void> {
    const { target, publications, life, progress, sink } = this.context;
    const plain = (this.plain = await connectPlain(target, this.giveUp.signal));
    this.watchPlain(plain);
    const facts = await readServerFacts(plain, target);
    if (this.context.origin === 'none') requireOrigins(facts.version, target);
    const found = await life.look(plain, facts);
    const { names, isNew } = await publications.ensure(plain);
    this.publicationNames = names;
    // After the publications: what a standby hears of new tables is published before it takes over.
    if (found.slot !== null && found.slot.holder !== null) throw await life.busy(plain, found.slot.holder);
    const replication = (this.replication = await connectReplication(target, this.giveUp.signal));
    this.keepFormat(await pinSessionSettings(replication));
    const identity = await identifySystem(replication, target);
    // Before anything is judged, which may end in an error: nothing of a history that is gone may be recorded here, and
    // the next time the log may be as long as it was.
    if (progress.enter(identity, sink.handedOver?.commitLsn)) sink.forget();
    await life.judge(plain, replication, found, identity, progress.reached);
    progress.judged();
    const entry = await life.provide(plain, replication, found, facts.version);
    tellOfNewSlot(entry, life.slots, !isNew && publications.isManaged, this.context.logger);
    this.beganAt = entry.slot.confirmedLsn;
    progress.confirmedUpTo(this.beganAt);
    sink.confirmedUpTo(this.beganAt);
    const history = progress.history!;
    await this.stream(replication, facts, history);
    // Not before: a process that loses the race for the slot has not streamed from it.
    const tenure = await life.takeOver(plain, found, entry, identity);
    if (tenure !== null) this.recorder = this.recordPositions(plain, tenure);
    this.isTenant = true;
    await sink.open(streamStart(history, life.slots, entry));
    this.isStreaming = true;
    if (this.plainLoss !== undefined) this.lostPlain(this.plainLoss);
  }

  /** Resolves when the server has accepted the stream. */
  private async stream(replication: Client, facts: ServerFacts, history: StreamHistory): Promise<void> {
    const { target, life, sink, progress, format, streaming, wantsMessages } = this.context;
    const customTypes = target.connection.types as StreamTypes['customTypes'];
    const types = { oids: new OidDatabase(facts.domains, facts.madeTypes), customTypes };
    if (life.slots.isTemporary) await format.foresee(this.plain!, this.publicationNames, types);
    this.publisher = new ReplicationPublisher(sink, {
      ...this.context,
      app: target.app,
      types: { ...types, format: format.current },
      primaryKeys: facts.primaryKeys,
      history,
      received: (lsn) => this.server!.noteReceived(lsn),
      beganAt: this.beganAt,
      pace: paceOf(() => this.server!, progress),
    });
    if (this.isClosed) throw new ConnectionError('The stream was stopped while it started', { app: target.app });
    // What may have to be read again as a whole would be gone with a temporary slot.
    const mayStream = progress.mayStreamFrom(this.beganAt) && !(life.slots.isTemporary && wantsMessages);
    this.asked = { ...this.context, format: format.current, streaming: streaming && mayStream };
    const command = startCommand(life.slots.name, this.publicationNames, facts.version, this.asked);
    this.server = new ReplicationServer(socketOf(replication), this, facts);
    const { streamed } = this.publisher;
    sink.onRoom = () => {
      streamed.goOn();
      this.server?.resume();
    };
    sink.onFree = () => {
      streamed.freed();
      this.server?.goOn();
    };
    sink.hold();
    await this.server.start(command).catch((error: unknown) => this.explainStart(error));
  }

  /** What the connection itself asks for is kept, and no binary form knows of it. */
  private keepFormat(asked: string | undefined): void {
    if (asked !== undefined) this.context.format.fallBack(`the connection asks for ${asked}`);
  }

  private async explainStart(error: unknown): Promise<never> {
    const { life } = this.context;
    const code = sqlState(error);
    if (code === '55006') throw await life.busy(this.plain!, null);
    if (code === '55000') throw await life.unreadable(this.plain!, asError(error));
    throw error;
  }

  private recordPositions(plain: Client, tenure: Tenure): PositionRecorder {
    const { life } = this.context;
    return new PositionRecorder(tenure.recorded, {
      position: () => this.position(),
      write: (lsn) => life.recordPosition(plain, tenure, lsn),
      recorded: () => this.server?.confirmNow(),
      failed: (error) => this.lostRecord(error),
    });
  }

  // The stream's events, in its order.

  data(buffer: Buffer, start: number, end: number, high: number, low: number): boolean {
    this.publisher!.data(buffer, start, end, high, low);
    return this.context.sink.isBusy;
  }

  keepalive(walEnd: Lsn): void {
    this.publisher!.tracker.keepalive(walEnd);
  }

  readStarts(): void {
    this.context.sink.turn();
  }

  readEnded(lastSendTimeMs: number): number {
    if (this.context.sink.isFull) this.server!.pause();
    const { lastCommitTimeMs } = this.publisher!;
    return lastCommitTimeMs === 0 ? 0 : lastSendTimeMs - lastCommitTimeMs;
  }

  /** What is settled and, where positions are recorded, recorded. */
  confirmable(): Lsn {
    const { confirmable } = this.position();
    this.recorder?.check();
    const recorded = this.recorder?.recorded ?? confirmable;
    const lsn = confirmable < recorded ? confirmable : recorded;
    this.context.life.confirmed(lsn);
    return lsn;
  }

  async confirmLast(): Promise<void> {
    await this.recorder?.finish();
  }

  private position(): StreamPosition {
    if (this.isTenant && !this.isFrozen && this.publisher !== undefined) return this.publisher;
    return { confirmable: this.confirmedLsn, deliveredEnd: 0n };
  }

  /**
   * From 18 on, a publication that does not exist at this point of the log is a mere warning, and keepalives go on
   * advancing past changes that are no longer sent (before 18 it is an error, see `explainEnd`). Whether it exists by
   * now does not matter: what it should have brought has been passed over.
   */
  notice(report: ServerReport): void {
    this.context.logger.warn(`PostgreSQL warns: ${report.message} (${report.code})`);
    if (report.routine !== 'LoadPublications' || this.isFrozen) return;
    this.isFrozen = true;
    this.gap = this.publicationGap(report.message);
    this.halt(new ConnectionError(this.gap.detail, { app: this.context.target.app }));
  }

  private publicationGap(message: string): GapFinding {
    return missingPublication(this.publicationNames, message, this.confirmedLsn || this.beganAt);
  }

  /** Before 18 a missing publication ends the stream at the first change, with the SQLSTATE of a missing slot. */
  private async explainEnd(error: Error): Promise<Error> {
    const { life, target, progress } = this.context;
    if (sqlState(error) === '42704') this.gap ??= this.publicationGap(error.message);
    const less = askedForLess(error, target.app, this.asked, () =>
      progress.wantWhole(laterLsn(this.receivedLsn, this.beganAt)),
    );
    if (less !== undefined) return less;
    if (this.gap === undefined) return translateServerError(error, target);
    const plain = this.plainLoss === undefined ? this.plain : undefined;
    const refusal = await life.met(plain, this.gap);
    return refusal ?? new ConnectionError(this.gap.detail, { app: target.app, cause: error });
  }

  /**
   * A plain backend is told of a shutdown at once; our own stream would be served until all is confirmed. A loss while
   * the stream is being opened is kept until it runs.
   */
  private watchPlain(plain: Client): void {
    plain.on('error', (error) => {
      if (this.plainLoss !== undefined || this.isClosed) return;
      this.plainLoss = error;
      if (this.isStreaming) this.lostPlain(error);
    });
  }

  /** Without it a stream would not hear of a shutdown, and one that a handler blocks would hold the server up. */
  private lostPlain(cause: Error): void {
    if (sqlState(cause) === '57P01') return this.shutdownSuspected();
    // Why the stream is ending already counts for more.
    if (this.fault !== undefined) return;
    const { app } = this.context.target;
    this.halt(new ConnectionError(`The connection for queries was lost: ${cause.message}`, { app, cause }));
  }

  /** What is not recorded is not confirmed: it comes again on the next connection, or to the process that took over. */
  private lostRecord(error: Error): void {
    if (error instanceof SlotInUseError) return this.halt(error);
    if (sqlState(error) === '57P01') return this.shutdownSuspected();
    if (this.fault !== undefined) return;
    const { app } = this.context.target;
    this.halt(new ConnectionError(`The position could not be recorded: ${error.message}`, { app, cause: error }));
  }

  /** A handler that blocks must not keep the server from stopping: confirm what is done, close, come back later. */
  shutdownSuspected(): void {
    if (this.shutdownTimer !== undefined || this.isClosed) return;
    this.context.logger.warn('The server is shutting down: finishing what is quick, then closing');
    this.fault ??= new ConnectionError('The server is shutting down', { app: this.context.target.app });
    const deadline = Date.now() + SHUTDOWN_GRACE_MS;
    this.shutdownTimer = setInterval(() => {
      this.server?.confirmNow();
      if (this.unsettled > 0 && Date.now() < deadline) return;
      clearInterval(this.shutdownTimer);
      void this.stop();
    }, 50);
  }

  private async release(): Promise<void> {
    this.isClosed = true;
    this.giveUp.abort();
    clearInterval(this.shutdownTimer);
    this.recorder?.close();
    this.publisher?.streamed.close();
    this.server?.destroy();
    if (this.replication !== undefined) socketOf(this.replication).destroy();
    await closeClient(this.plain);
  }
}
