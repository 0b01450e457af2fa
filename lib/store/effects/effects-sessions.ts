// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type PoolClient, type QueryResult } from 'pg';
import { socketOf } from '../../connection/connection.js';
import { poolConfig, type ConnectionTarget } from '../../connection/connection-target.js';
import { translateServerError } from '../../connection/server-errors.js';
import { asError } from '../../errors/as-error.js';
import { EffectsInterruptedError } from '../../errors/effects.error.js';
import { sqlState } from '../../errors/sql-state.js';
import { SYSTEM } from './call.sql.js';

/** A path that has gone dark must not hold a statement of ours for ever; a claim may have to wait for another's end. */
const QUERY_TIMEOUT_MS = 15_000;
const IDLE_MS = 10_000;
const MOST_LOST = 100;
const REST_MS = 1_000;
const LOOK_MS = 5;
/** A handler that sits in its transaction for too long, for the server's settings: its own fault, not the path's. */
const SAT_TOO_LONG = new Set(['25P03', '25P04']);
/** Our own answers are read as they come, whatever parsers the user has set. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** One session while it is lent. */
export class EffectsSession {
  /** Why it is of no use any more. */
  loss: Error | null = null;
  private isReleased = false;
  private readonly onError = (error: Error): void => void (this.loss ??= error);
  private readonly onEnd = (): void => void (this.loss ??= new Error('The connection was closed'));
  private readonly onAbort = (): void => this.destroy(new Error('The call was given up'));

  constructor(
    readonly client: PoolClient,
    private readonly signal: AbortSignal,
    private readonly released: (session: EffectsSession) => void,
  ) {
    client.on('error', this.onError);
    client.once('end', this.onEnd);
    signal.addEventListener('abort', this.onAbort, { once: true });
    if (signal.aborted) this.onAbort();
  }

  /** Process id on the server. */
  get processId(): number {
    return (this.client as unknown as { processID: number }).processID;
  }

  /** Whether the server has ended it because the handler sat in its transaction. */
  get satTooLong(): boolean {
    return this.loss !== null && SAT_TOO_LONG.has(sqlState(this.loss));
  }

  /** Whether a statement has no answer yet. */
  get isWaiting(): boolean {
    return !(this.client as unknown as { readyForQuery: boolean }).readyForQuery;
  }

  /** @returns whether the last statement has its answer, within a second: a cursor that was left open has none. */
  async comesToRest(): Promise<boolean> {
    const deadline = Date.now() + REST_MS;
    while (this.isWaiting && !this.isLost && Date.now() < deadline) await sleep(LOOK_MS);
    return !this.isWaiting;
  }

  /** Of all answers. */
  get bytesRead(): number {
    return socketOf(this.client).bytesRead;
  }

  /** Statements of ours, as one message: they are run together, and nothing comes in between. */
  async ask(text: string): Promise<QueryResult[]> {
    const query = { text, types: AS_TEXT, query_timeout: QUERY_TIMEOUT_MS };
    const answer = (await this.client.query(query)) as unknown as QueryResult | QueryResult[];
    return Array.isArray(answer) ? answer : [answer];
  }

  /** The server has not been told. */
  get isLost(): boolean {
    return this.loss !== null;
  }

  /** Whatever it is doing. What it has not committed, the server rolls back. Its place in the pool is free. */
  destroy(reason: Error): void {
    this.loss ??= reason;
    socketOf(this.client).destroy();
    this.release();
  }

  /** Back to the pool, or out of it. */
  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.released(this);
    const { client, signal } = this;
    signal.removeEventListener('abort', this.onAbort);
    client.off('error', this.onError);
    client.off('end', this.onEnd);
    client.release(this.loss ?? false);
  }
}

/** Sessions for the calls of transactional handlers, one for each call that runs. */
export class EffectsSessions {
  readonly lent = new Set<EffectsSession>();
  private readonly lost = new Set<number>();
  private pool: Pool | null = null;
  private readonly checked = new WeakSet<PoolClient>();

  /** @param size calls that run at once, at most */
  constructor(
    private readonly target: ConnectionTarget,
    private readonly size: number,
    /** Run for each new connection before its first use. */
    private readonly prepare: (session: EffectsSession) => Promise<void>,
  ) {}

  /** @throws EffectsInterruptedError where there is none, or it leads to another cluster */
  async lend(systemIdentifier: string | null, signal: AbortSignal): Promise<EffectsSession> {
    const client = await this.connect();
    const session = new EffectsSession(client, signal, (each) => this.returned(each));
    this.lent.add(session);
    try {
      if (!this.checked.has(client)) {
        await this.check(session, systemIdentifier);
        this.checked.add(client);
      }
      return session;
    } catch (error) {
      session.loss ??= asError(error);
      session.release();
      throw error;
    }
  }

  /** Process ids of sessions that were given up, and may be there still: not those that are in use again. */
  get lostProcesses(): number[] {
    const inUse = new Set([...this.lent].map(({ processId }) => processId));
    return [...this.lost].filter((processId) => !inUse.has(processId));
  }

  /** What is lent is broken off. A later `lend` opens another pool. */
  async close(): Promise<void> {
    const { pool } = this;
    this.pool = null;
    for (const session of this.lent) session.destroy(new Error('The application closes its connections'));
    await pool?.end().catch(() => undefined);
  }

  private returned(session: EffectsSession): void {
    this.lent.delete(session);
    if (!session.isLost) return;
    this.lost.add(session.processId);
    if (this.lost.size > MOST_LOST) this.lost.delete(this.lost.values().next().value!);
  }

  private async connect(): Promise<PoolClient> {
    try {
      return await (this.pool ??= this.open()).connect();
    } catch (error) {
      throw this.interrupted(translateServerError(error, this.target));
    }
  }

  private open(): Pool {
    const pool = new Pool({
      ...poolConfig(this.target),
      max: this.size,
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
    });
    // An idle session that breaks is taken out by the pool itself.
    pool.on('error', () => undefined);
    return pool;
  }

  private async check(session: EffectsSession, systemIdentifier: string | null): Promise<void> {
    try {
      const [answer] = await session.ask(SYSTEM);
      const found = (answer!.rows[0] as { system_identifier: string }).system_identifier;
      if (systemIdentifier !== null && found !== systemIdentifier) {
        throw new Error(`it leads to the cluster ${found}, and the stream comes from ${systemIdentifier}`);
      }
      await this.prepare(session);
    } catch (error) {
      throw this.interrupted(asError(error));
    }
  }

  private interrupted(cause: Error): EffectsInterruptedError {
    return new EffectsInterruptedError(`No connection for a transactional handler: ${cause.message}`, {
      app: this.target.app,
      cause,
    });
  }
}
