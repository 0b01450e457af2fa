import type { Client } from 'pg';
import { closeClient, connectPlain, connectReplication, socketOf } from '../../connection/connection.js';
import type { ConnectionTarget } from '../../connection/connection-target.js';
import { DatabaseTypes } from '../../connection/database-types.js';
import { translateServerError } from '../../connection/server-errors.js';
import { identifySystem, readServerFacts, type ServerFacts } from '../../connection/server-facts.js';
import { pinSessionSettings } from '../../connection/session-settings.js';
import { ConnectionError } from '../../errors/replication.error.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { Lsn } from '../../protocol/lsn.js';
import type { ServerReport } from '../../protocol/server-report.js';
import { DeliveryProgress } from '../../replication/delivery-progress.js';
import { paceOf } from '../../replication/in-progress/pace.js';
import { ReplicationPublisher } from '../../replication/replication.publisher.js';
import { ReplicationServer, type ReplicationListener } from '../../replication/replication.server.js';
import { startCommand, type StartOptions } from '../../replication/start-command.js';
import { TypeLearner } from '../../replication/type-learner.js';
import { SlotManager, type SlotState } from '../../slots/slot-manager.js';
import type { CustomTypes } from '../../types/type-parsers.js';
import type { TailPublications } from './tail-publications.js';
import type { TailSelection } from './tail-selection.js';
import type { TailSink } from './tail-sink.js';

export interface TailStreamOptions {
  readonly target: ConnectionTarget;
  readonly selection: TailSelection;
  readonly publications: TailPublications;
  readonly sink: TailSink;
  /** How values are read. */
  readonly customTypes: CustomTypes;
}

/** Whole transactions, as text, from everybody. */
const WISHES: StartOptions = { wantsMessages: false, origin: 'any', streaming: false, format: 'text' };
/** No parser is named that the database might not have. */
const SILENT: ListenerLogger = { log: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * The stream of a temporary slot, which goes with its connection: no slot of anybody is read, moved or made. It does not
 * come back when it is lost, for what was written in between would be missing without a word.
 */
export class TailStream implements ReplicationListener {
  private plain: Client | undefined;
  private replication: Client | undefined;
  private server: ReplicationServer | undefined;
  private publisher: ReplicationPublisher | undefined;
  private stopping = false;

  constructor(private readonly options: TailStreamOptions) {}

  /** It was ended, maybe before it had begun. */
  get isStopped(): boolean {
    return this.stopping;
  }

  /** Resolves when changes come, or after `stop`. @throws PgListenerError */
  async open(): Promise<void> {
    const { target, selection, publications } = this.options;
    const plain = (this.plain = await connectPlain(target));
    try {
      const facts = await readServerFacts(plain, target);
      // Before the slot: what is made later does not exist where the slot begins.
      const names = await publications.provide(plain, selection);
      if (this.stopping) return;
      const replication = (this.replication = await connectReplication(target));
      await pinSessionSettings(replication);
      const slots = new SlotManager(target, null);
      const slot = await slots.create(replication, plain, facts.version);
      if (this.stopping) return;
      await this.prepare(plain, replication, facts, slot);
      await this.stream(plain, replication, startCommand(slots.name, names, facts.version, WISHES), facts);
    } catch (error) {
      if (!this.stopping) throw translateServerError(error, target);
    }
  }

  private async prepare(plain: Client, replication: Client, facts: ServerFacts, slot: SlotState): Promise<void> {
    const { target, sink, customTypes } = this.options;
    const { app } = target;
    const progress = new DeliveryProgress();
    progress.enter(await identifySystem(replication, target));
    const known = new DatabaseTypes({ customTypes, rich: false, parsers: {} }, SILENT);
    const types = await known.readForStream(plain, () => this.publisher!.commitLsn);
    const pace = paceOf(() => this.server!, progress);
    this.publisher = new ReplicationPublisher(sink, {
      app,
      types,
      progress,
      counters: { changesReceived: 0, transactionsReceived: 0 },
      primaryKeys: facts.primaryKeys,
      history: progress.history!,
      received: (lsn) => this.server!.noteReceived(lsn),
      mostStreamedBytes: 0,
      twoPhase: false,
      beganAt: slot.confirmedLsn,
      pace,
      learner: new TypeLearner({ app, client: plain, known, types, pace }),
    });
  }

  private async stream(plain: Client, replication: Client, command: string, facts: ServerFacts): Promise<void> {
    const { target, sink } = this.options;
    const server = (this.server = new ReplicationServer(socketOf(replication), this, facts));
    sink.onRoom = () => server.resume();
    // Without it, what this tail has made would outlive it.
    plain.on('error', (error) => server.leave(translateServerError(error, target)));
    await server.start(command);
  }

  /** Settles when the stream has ended. @throws PgListenerError where it was not `stop` that ended it */
  async ended(): Promise<void> {
    const error = (await this.server?.closed) ?? null;
    if (error === null || this.stopping) return;
    throw translateServerError(error, this.options.target);
  }

  /** In whatever state. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.options.sink.end();
    if (this.server !== undefined) void this.server.stop();
    else if (this.replication !== undefined) socketOf(this.replication).destroy();
  }

  /** Takes away what was made, and closes all connections. */
  async close(): Promise<void> {
    this.stopping = true;
    this.server?.destroy();
    if (this.replication !== undefined) socketOf(this.replication).destroy();
    await this.options.publications.remove(this.plain);
    await closeClient(this.plain);
  }

  // The stream's events, in its order.

  data(buffer: Buffer, start: number, end: number, high: number, low: number): boolean {
    this.publisher!.data(buffer, start, end, high, low);
    return false;
  }

  keepalive(walEnd: Lsn): void {
    this.publisher!.tracker.keepalive(walEnd);
  }

  readStarts(): void {}

  readEnded(lastSendTimeMs: number): number {
    if (this.options.sink.isFull) this.server!.pause();
    const { lastCommitTimeMs } = this.publisher!;
    return lastCommitTimeMs === 0 ? 0 : lastSendTimeMs - lastCommitTimeMs;
  }

  confirmable(): Lsn {
    return this.publisher?.confirmable ?? 0n;
  }

  async confirmLast(): Promise<void> {}

  notice({ message, routine }: ServerReport): void {
    // From 18 on a publication that is gone is a mere warning, and no changes come any more.
    if (routine === 'LoadPublications') this.server!.leave(new ConnectionError(message));
  }

  shutdownSuspected(): void {
    this.server!.leave(new ConnectionError('The server is shutting down'));
  }
}
