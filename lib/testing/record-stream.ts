import { randomBytes } from 'node:crypto';
import { clearTimeout, setTimeout } from 'node:timers';
import { escapeIdentifier, type Client, type ClientConfig } from 'pg';
import { asError } from '../errors/as-error.js';
import { TablePattern } from '../changes/table-pattern.js';
import { closeClient, connectPlain, connectReplication, socketOf } from '../connection/connection.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';
import { readServerFacts, requireTwoPhase } from '../connection/server-facts.js';
import { pinSessionSettings } from '../connection/session-settings.js';
import { ALL_OPERATIONS } from '../events/change-streams.js';
import { PublicationManager } from '../publications/publication-manager.js';
import { ReplicationServer } from '../replication/replication.server.js';
import { startCommand } from '../replication/start-command.js';
import { SlotManager } from '../slots/slot-manager.js';
import { MessageRecorder } from './message-recorder.js';
import { RecordedCatalogue } from './recorded-catalogue.js';
import { StreamRecording } from './stream-recording.js';
import { TestingError } from './testing.error.js';

export interface RecordStreamOptions {
  /** As the module takes it: a URL, or node-postgres' ClientConfig. */
  readonly connection: string | ClientConfig;
  /** Tables or patterns, as in `@OnTableChange`: a publication for them is made, and dropped at the end. */
  readonly tables?: readonly string[];
  /** In place of `tables`: publications that there are. */
  readonly publications?: readonly string[];
  /**
   * A slot that there is and that nobody streams from: what it has kept is recorded, too, and it stays where it is. Default: a temporary
   * one, which brings what is committed from here on.
   */
  readonly slot?: string;
  /** Whether transactions come in parts while they are in progress, as with the module's option. @default false */
  readonly streaming?: boolean;
  /** Whether values come in the binary format, as with the module's option. @default false */
  readonly binary?: boolean;
  /**
   * Whether prepared transactions come when they are prepared, as with the module's option (PostgreSQL 15 and later). A `slot` that there is
   * has its own way. @default false
   */
  readonly twoPhase?: boolean;
  /** How long the stream may take to bring what `body` has committed, in milliseconds. @default 30 000 */
  readonly timeoutMs?: number;
}

const PATIENCE_MS = 30_000;

/**
 * Records what a server sends while `body` runs: every transaction that is committed before it ends. The recording holds the values of
 * the rows as they came.
 *
 * @throws TestingError where neither tables nor publications are named, the server is a standby, or the stream does not come to its end
 *   in time;   PgListenerError where the server cannot be streamed from; what `body` throws
 * @example
 * const recording = await recordStream({ connection: url, tables: ['orders'] }, () => checkout(client));
 * recording.save('test/recordings/checkout.jsonl');
 */
export async function recordStream(options: RecordStreamOptions, body: () => unknown): Promise<StreamRecording> {
  const { connection, tables, publications } = options;
  if ((tables === undefined) === (publications === undefined)) {
    throw new TestingError('A recording is of `tables` or of `publications`: name one of the two');
  }
  const config = typeof connection === 'string' ? { connectionString: connection } : connection;
  const session = new RecordingSession({ app: 'recording', connection: config }, options);
  try {
    await session.open();
    await body();
    return await session.finish();
  } catch (error) {
    throw session.explained(error);
  } finally {
    // What went wrong before counts for more.
    await session.close().catch((error: unknown) => process.emitWarning(asError(error)));
  }
}

/** One stream over one slot, of which everything is kept. */
class RecordingSession {
  private readonly marker = `nestjs-pg-listener recording ${randomBytes(12).toString('hex')}`;
  private readonly recorder: MessageRecorder;
  private readonly slots: SlotManager;
  private readonly publications: PublicationManager;
  private plain: Client | undefined;
  private replication: Client | undefined;
  private server: ReplicationServer | undefined;
  private catalogue!: RecordedCatalogue;
  private made: readonly string[] = [];
  private isOpen = false;

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: RecordStreamOptions,
  ) {
    const { slot = null, tables, publications = null } = options;
    this.slots = new SlotManager(target, slot, options.twoPhase);
    this.recorder = new MessageRecorder(this.marker, slot === null);
    const managedName = `pg_listener_recording_${randomBytes(4).toString('hex')}`;
    const selected = tables === undefined ? [] : [new TablePattern(tables)];
    const subscriptions = selected.map((pattern) => ({ pattern, mask: ALL_OPERATIONS, source: 'recordStream' }));
    this.publications = new PublicationManager(
      target,
      { publications, managedName, subscriptions },
      { log: () => undefined, warn: (text: string) => process.emitWarning(text), error: process.emitWarning },
    );
  }

  async open(): Promise<void> {
    const { target, options, slots } = this;
    const plain = (this.plain = await connectPlain(target));
    const facts = await readServerFacts(plain, target);
    if (options.twoPhase === true) requireTwoPhase(facts.version, target);
    await this.requirePrimary(plain);
    const { names } = await this.publications.ensure(plain);
    if (options.publications === undefined) this.made = names;
    this.catalogue = new RecordedCatalogue(plain, names, facts);
    await this.catalogue.read();
    const replication = (this.replication = await connectReplication(target));
    await pinSessionSettings(replication);
    if (slots.isTemporary) await slots.create(replication, plain, facts.version);
    this.server = new ReplicationServer(socketOf(replication), this.recorder, facts);
    const { streaming = false, binary = false } = options;
    const format = binary ? 'binary' : 'text';
    await this.server.start(
      startCommand(slots.name, names, facts.version, { wantsMessages: true, origin: 'any', streaming, format }),
    );
    this.isOpen = true;
  }

  /** The message that marks the end has to be written. @throws TestingError */
  private async requirePrimary(plain: Client): Promise<void> {
    const { rows } = await plain.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
    if (rows[0]!.standby) {
      throw new TestingError('The server is a standby, and a recording needs one that can be written to', {
        hint: 'record from its primary: what it sends is the same.',
      });
    }
  }

  /** Writes a message behind everything, and waits until it comes. */
  async finish(): Promise<StreamRecording> {
    const { options, plain, recorder, server } = this;
    const { timeoutMs = PATIENCE_MS, binary = false } = options;
    await plain!.query(`SELECT pg_catalog.pg_logical_emit_message(true, $1::text, ''::text)`, [this.marker]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new TestingError(`The stream did not bring within ${timeoutMs} ms what was committed`);
      timer = setTimeout(() => reject(error), timeoutMs);
    });
    const lost = server!.closed.then((error) => {
      throw error ?? new TestingError('The stream has ended before what was committed came');
    });
    try {
      await Promise.race([recorder.complete, lost, late]);
    } finally {
      clearTimeout(timer);
      late.catch(() => undefined);
      lost.catch(() => undefined);
    }
    // Once more: types may have been made meanwhile.
    await this.catalogue.read();
    return new StreamRecording(this.catalogue.header(binary ? 'binary' : 'text'), recorder.messages);
  }

  /** What came from the server, in words; what the body has thrown stays what it is. */
  explained(error: unknown): unknown {
    return this.isOpen ? error : translateServerError(error, this.target);
  }

  async close(): Promise<void> {
    const { plain, replication, server, made } = this;
    await server?.stop();
    server?.destroy();
    if (replication !== undefined) socketOf(replication).destroy();
    try {
      if (plain !== undefined && made.length > 0) {
        await plain.query(`DROP PUBLICATION IF EXISTS ${made.map((name) => escapeIdentifier(name)).join(', ')}`);
      }
    } finally {
      await closeClient(plain);
    }
  }
}
