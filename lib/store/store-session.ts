import type { Client } from 'pg';
import { closeClient, connectPlain, socketOf } from '../connection/connection.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';
import { ConnectionError } from '../errors/replication.error.js';
import { isBroken, sqlState } from '../errors/sql-state.js';
import { REFUSALS } from './own-tables.js';

/** Without use for this long, the connection is given back to the server. */
const IDLE_MS = 5_000;
/**
 * The server tells that the statement was not run, and another connection may do better: the session was ended (57P), or
 * what was prepared is gone (a right, a table, a schema, a writable server).
 */
const NOT_RUN = new Set(['57P01', '57P02', '57P05', ...REFUSALS]);

export interface StoreSessionOptions {
  /** Run once for each new connection, before anything else. */
  readonly prepare: (client: Client) => Promise<void>;
  /** @default 5000 */
  readonly idleMs?: number;
}

/** A connection that is there or being made. */
interface Opening {
  readonly client: Promise<Client>;
  /** Gives it up, in whatever state it is. */
  readonly giveUp: AbortController;
}

/**
 * One connection for queries, opened when it is first needed, closed when it is not; a broken one is replaced. Callers
 * have it one after another.
 *
 * | state | `opening` | `callers` | timer |
 * |---|---|---|---|
 * | closed | null | 0 | none |
 * | opening, or in use | set | > 0 | none |
 * | idle | set | 0 | runs, then: closed |
 */
export class StoreSession {
  private opening: Opening | null = null;
  private callers = 0;
  private closes = 0;
  private idleTimer: NodeJS.Timeout | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: StoreSessionOptions,
  ) {}

  /**
   * @param isRepeatable whether it may be run again where the connection broke and nobody knows whether it ran
   * @throws PgListenerError where there is no connection; the driver's error where the server refused a statement
   */
  async run<T>(isRepeatable: boolean, work: (client: Client) => Promise<T>): Promise<T> {
    clearTimeout(this.idleTimer);
    this.callers++;
    const { closes } = this;
    const turn = this.tail.then(() => this.attempts(closes, isRepeatable, work));
    this.tail = turn.catch(() => undefined);
    try {
      return await turn;
    } catch (error) {
      throw isBroken(error) ? translateServerError(error, this.target) : error;
    } finally {
      this.callers--;
      this.startIdling();
    }
  }

  /** What runs or waits is broken off. A later `run` opens a connection again. */
  async close(): Promise<void> {
    this.closes++;
    clearTimeout(this.idleTimer);
    const { opening } = this;
    this.opening = null;
    if (opening === null) return;
    if (this.callers > 0) opening.giveUp.abort();
    await closeClient(await opening.client.catch(() => undefined));
  }

  private async attempts<T>(closes: number, isRepeatable: boolean, work: (client: Client) => Promise<T>): Promise<T> {
    if (closes !== this.closes) throw new ConnectionError('The connection for queries was closed before its turn came');
    const isFresh = this.opening === null;
    return this.attempt(work).catch((error: unknown) => {
      // An idle connection may have broken unnoticed: that says nothing about the next one.
      const mayRepeat = NOT_RUN.has(sqlState(error)) || (isRepeatable && isBroken(error));
      if (isFresh || !mayRepeat || closes !== this.closes) throw error;
      return this.attempt(work);
    });
  }

  private async attempt<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const opening = (this.opening ??= this.open());
    let isOpen = false;
    try {
      const client = await opening.client;
      isOpen = true;
      return await work(client);
    } catch (error) {
      if (!isOpen || isBroken(error) || NOT_RUN.has(sqlState(error))) this.forget(opening);
      throw error;
    }
  }

  private open(): Opening {
    const giveUp = new AbortController();
    const opening: Opening = { client: this.connect(giveUp.signal), giveUp };
    opening.client.then(
      (client) => client.once('error', () => this.forget(opening)).once('end', () => this.forget(opening)),
      () => undefined,
    );
    return opening;
  }

  private async connect(signal: AbortSignal): Promise<Client> {
    const client = await connectPlain(this.target, signal);
    signal.addEventListener('abort', () => void socketOf(client).destroy());
    try {
      signal.throwIfAborted();
      await this.options.prepare(client);
    } catch (error) {
      await closeClient(client);
      throw error;
    }
    return client;
  }

  /** Nobody waits for its answers any more. */
  private forget(opening: Opening): void {
    if (this.opening === opening) this.opening = null;
    opening.giveUp.abort();
  }

  private startIdling(): void {
    clearTimeout(this.idleTimer);
    if (this.callers > 0 || this.opening === null) return;
    this.idleTimer = setTimeout(() => void this.close(), this.options.idleMs ?? IDLE_MS);
  }
}
