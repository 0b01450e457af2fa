import { asError } from '../errors/as-error.js';
import type { Client } from 'pg';
import { ConnectionError, SlotInUseError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import type { InProgressStats } from '../interfaces/status.interface.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import { laterLsn, type Lsn } from '../protocol/lsn.js';
import type { ServerReport } from '../protocol/server-report.js';
import { closeClient, connectPlain, connectReplication, socketOf } from '../connection/connection.js';
import { paceOf } from './in-progress/pace.js';
import { askedForLess } from './asked-for-less.js';
import { ReplicationPublisher } from './replication.publisher.js';
import type { SessionContext } from './session-context.js';
import type { StreamProgress } from './stream-lag.js';
import { ShutdownGrace } from './shutdown-grace.js';
import { startCommand, type StartOptions } from './start-command.js';
import { TypeLearner } from './type-learner.js';
import { ReplicationServer, type ReplicationListener } from './replication.server.js';
import { translateServerError } from '../connection/server-errors.js';
import { identifySystem, readServerFacts, requireOrigins, type ServerFacts } from '../connection/server-facts.js';
import { pinSessionSettings } from '../connection/session-settings.js';
import { missingPublication, type GapFinding } from '../slots/gap-finder.js';
import { PositionRecorder, type StreamPosition } from '../slots/position-recorder.js';
import type { Tenure } from '../slots/slot-record.js';
import { streamStart, tellOfNewSlot } from '../slots/stream-start.js';

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
  private readonly grace: ShutdownGrace;
  private isClosed = false;
  private readonly giveUp = new AbortController();

  constructor(private readonly context: SessionContext) {
    this.grace = new ShutdownGrace({
      isDone: () => this.unsettled === 0,
      confirm: () => this.server?.confirmNow(),
      close: () => void this.stop(),
    });
  }

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

  /** Breaks the connection of the stream, and tells nobody. */
  dropConnection(): void {
    if (this.replication !== undefined) socketOf(this.replication).destroy();
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
  get lag(): StreamProgress {
    const oldestMs = this.publisher?.tracker.oldestCommitTimeMs ?? null;
    return { oldestMs, hasReceived: this.receivedLsn > 0n, silentSinceMs: this.server?.silentSinceMs ?? null };
  }
  get inProgress(): InProgressStats | undefined {
    return this.publisher?.streamed.held;
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
    this.context.format.asked(await pinSessionSettings(replication));
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
    const { target, life, sink, progress, format, types: known, streaming, wantsMessages } = this.context;
    const { app } = target;
    const client = this.plain!;
    const types = await known.readForStream(client, () => this.publisher!.commitLsn);
    if (life.slots.isTemporary) await format.foresee(client, this.publicationNames, types, known);
    const pace = paceOf(() => this.server!, progress);
    this.publisher = new ReplicationPublisher(sink, {
      ...this.context,
      app,
      types: { ...types, format: format.current },
      primaryKeys: facts.primaryKeys,
      history,
      received: (lsn) => this.server!.noteReceived(lsn),
      beganAt: this.beganAt,
      pace,
      learner: new TypeLearner({ app, client, known, types, pace }),
    });
    if (this.isClosed) throw new ConnectionError('The stream was stopped while it started', { app });
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
    const lagMs = lastCommitTimeMs === 0 ? 0 : lastSendTimeMs - lastCommitTimeMs;
    this.context.lag.read(lastSendTimeMs, lagMs, Date.now());
    return lagMs;
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
    if (this.isClosed || !this.grace.begin()) return;
    this.context.logger.warn('The server is shutting down: finishing what is quick, then closing');
    this.fault ??= new ConnectionError('The server is shutting down', { app: this.context.target.app });
  }

  private async release(): Promise<void> {
    this.isClosed = true;
    this.giveUp.abort();
    this.grace.end();
    this.recorder?.close();
    this.publisher?.streamed.close();
    this.server?.destroy();
    if (this.replication !== undefined) socketOf(this.replication).destroy();
    await closeClient(this.plain);
  }
}
