import { asError } from '../errors/as-error.js';
import type { Client } from 'pg';
import { OidDatabase } from '../decoder/oid-database.js';
import { ConnectionError, GapError, SlotInUseError } from '../errors/replication.error.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { TransactionSink } from '../interfaces/transaction-sink.interface.js';
import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { ServerReport } from '../protocol/server-report.js';
import type { CustomTypes } from '../decoder/relation-cache.js';
import type { ConnectionTarget } from './connection-target.js';
import { closeClient, connectPlain, connectReplication, socketOf } from './connection.js';
import type { DeliveryProgress } from './delivery-progress.js';
import type { PublicationManager } from './publication-manager.js';
import { ReplicationPublisher, type PublisherCounters } from './replication.publisher.js';
import { ReplicationServer, type ReplicationListener } from './replication.server.js';
import { translateServerError } from './server-errors.js';
import { identifySystem, readServerFacts } from './server-facts.js';
import { pinSessionSettings } from './session-settings.js';
import type { SlotManager } from './slot-manager.js';
import type { SlotMemory } from './slot-memory.js';

/** How long a server that shuts down waits for handlers to finish what they have in hand. */
const SHUTDOWN_GRACE_MS = 2_000;

/** Everything that outlives a single connection. */
export interface SessionContext {
  readonly target: ConnectionTarget;
  readonly slots: SlotManager;
  readonly publications: PublicationManager;
  readonly wantsMessages: boolean;
  readonly sink: TransactionSink;
  readonly progress: DeliveryProgress;
  readonly memory: SlotMemory;
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
  private fault: Error | undefined;
  private plainLoss: Error | undefined;
  private isStreaming = false;
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
    await this.release();
    const reason = this.fault ?? error;
    return reason === null ? null : this.explainEnd(reason);
  }

  /** Confirms what is settled and ends the stream. */
  async stop(): Promise<void> {
    await this.server?.stop();
  }

  /** Ends the stream because of an error that came from outside of it; confirms what is settled. */
  halt(error: Error): void {
    this.fault = error;
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
    const { target, publications, slots, memory, progress, sink, counters } = this.context;
    this.plain = await connectPlain(target, this.giveUp.signal);
    this.watchPlain(this.plain);
    const facts = await readServerFacts(this.plain, target);
    slots.renew();
    const found = await slots.inspect(this.plain);
    const { names, isNew } = await publications.ensure(this.plain);
    this.publicationNames = names;
    // After the publications: what a standby hears of new tables is published before it takes over.
    if (found !== null && found.holder !== null) throw slots.inUse(found.holder);
    this.replication = await connectReplication(target, this.giveUp.signal);
    // A role or database may mute warnings; one of them tells of a publication that is missing.
    await this.replication.query(`SET client_min_messages = 'warning'`);
    await pinSessionSettings(this.replication);
    const { systemIdentifier, timeline, walEnd } = await identifySystem(this.replication, target);
    const warning = memory.compare(systemIdentifier, found, target.app);
    if (warning !== null) this.context.logger.warn(warning);
    if (progress.enter(systemIdentifier, timeline, walEnd)) sink.forget();
    const slot = found ?? (await slots.create(this.replication, this.plain, facts.version));
    if (found === null) this.tellOfNewSlot(slot.confirmedLsn, isNew);
    this.publisher = new ReplicationPublisher(sink, {
      app: target.app,
      oids: new OidDatabase(facts.domains),
      customTypes: target.connection.types as CustomTypes | undefined,
      progress,
      counters,
      received: (lsn) => this.server!.noteReceived(lsn),
    });
    if (this.isClosed) throw new ConnectionError('The stream was stopped while it started', { app: target.app });
    this.server = new ReplicationServer(socketOf(this.replication), this, facts);
    sink.onRoom = () => this.server?.resume();
    await this.server.start(this.startCommand()).catch((error: unknown) => this.explainStart(error));
    // Not before: a process that loses the race for the slot has not streamed from it.
    memory.enter(systemIdentifier, slot);
    this.isStreaming = true;
    if (this.plainLoss !== undefined) this.lostPlain(this.plainLoss);
  }

  private tellOfNewSlot(position: Lsn, isFirst: boolean): void {
    const { slots, publications, logger } = this.context;
    const text = `Created slot "${slots.name}": the stream begins at ${formatLsn(position)}; what was committed before is not delivered`;
    // The publication is older than the slot: this service has streamed before, from a slot that is gone.
    if (slots.isTemporary || isFirst || !publications.isManaged) logger.log(text);
    else
      logger.warn(
        `${text}. Its publication existed already: if an earlier slot was dropped, what came since then is missed`,
      );
  }

  private startCommand(): string {
    const names = this.publicationNames.map((name) => `"${name.replaceAll('"', '""')}"`).join(',');
    const options = [`proto_version '1'`, `publication_names '${names.replaceAll("'", "''")}'`];
    if (this.context.wantsMessages) options.push(`messages 'true'`);
    const slot = `"${this.context.slots.name}"`;
    return `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${options.join(', ')})`;
  }

  private async explainStart(error: unknown): Promise<never> {
    const { target, slots } = this.context;
    const code = (error as { code?: string }).code;
    const cause = asError(error);
    if (code === '55006') throw new SlotInUseError(`The slot "${slots.name}" is in use`, { app: target.app, cause });
    if (code === '55000') {
      throw new GapError(`The slot "${slots.name}" cannot be read any more: ${cause.message}`, {
        app: target.app,
        cause,
      });
    }
    throw error;
  }

  // The stream's events, in its order.

  data(buffer: Buffer, start: number, end: number, high: number, low: number): void {
    this.publisher!.data(buffer, start, end, high, low);
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

  confirmable(): Lsn {
    const { memory } = this.context;
    if (this.isFrozen || this.publisher === undefined) return this.confirmedLsn;
    const lsn = this.publisher.tracker.confirmable;
    memory.confirmed(lsn);
    return lsn;
  }

  /**
   * From 18 on, a publication that does not exist at this point of the log is a mere warning, and keepalives go on
   * advancing past changes that are no longer sent (before 18 it is an error, see `explainEnd`). Whether it exists by
   * now does not matter: what it should have brought has been passed over.
   */
  notice(report: ServerReport): void {
    this.context.logger.warn(`PostgreSQL warns: ${report.message} (${report.code})`);
    if (report.routine !== 'LoadPublications') return;
    this.isFrozen = true;
    this.halt(this.publicationGap(report.message));
  }

  private publicationGap(message: string, cause?: Error): GapError {
    const names = this.publicationNames.map((name) => `"${name}"`).join(', ');
    return new GapError(`A publication (${names}) does not exist at this point of the log: ${message}`, {
      app: this.context.target.app,
      cause,
      hint:
        'it was dropped, or created after the slot: changes were passed over, and nothing has been confirmed. Compare ' +
        'your data; to go on without them, stop the app, SELECT ' +
        `pg_replication_slot_advance('${this.context.slots.name}', pg_current_wal_lsn()); and start it again.`,
    });
  }

  /** Before 18 a missing publication ends the stream at the first change, with the SQLSTATE of a missing slot. */
  private explainEnd(error: Error): Error {
    const isMissing = (error as { code?: string }).code === '42704';
    return isMissing ? this.publicationGap(error.message, error) : translateServerError(error, this.context.target);
  }

  /**
   * A plain backend is told of a shutdown at once; our own stream would be served until all is confirmed. A loss while
   * the stream is being opened is kept until it runs.
   */
  private watchPlain(plain: Client): void {
    plain.on('error', (error: Error & { code?: string }) => {
      if (this.plainLoss !== undefined || this.isClosed) return;
      this.plainLoss = error;
      if (this.isStreaming) this.lostPlain(error);
    });
  }

  /** Without it a stream would not hear of a shutdown, and one that a handler blocks would hold the server up. */
  private lostPlain(cause: Error & { code?: string }): void {
    if (cause.code === '57P01') return this.shutdownSuspected();
    // Why the stream is ending already counts for more.
    if (this.fault !== undefined) return;
    const { app } = this.context.target;
    this.halt(new ConnectionError(`The connection for queries was lost: ${cause.message}`, { app, cause }));
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
    this.server?.destroy();
    if (this.replication !== undefined) socketOf(this.replication).destroy();
    await closeClient(this.plain);
  }
}
