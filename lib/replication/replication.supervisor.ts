import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { PgListenerError } from '../errors/pg-listener.error.js';
import { BinaryFormatError, OutdatedTypeError, SlotInUseError } from '../errors/replication.error.js';
import type { InProgressStats, PgListenerState } from '../interfaces/status.interface.js';
import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';
import { backoffDelay, RECONNECT_BACKOFF } from './backoff.js';
import { closeClient, connectPlain, socketOf } from '../connection/connection.js';
import { translateServerError } from '../connection/server-errors.js';
import { ReplicationSession } from './replication.session.js';
import type { SessionContext } from './session-context.js';

/** A stream, or a wait for one, that held for this long was a good one: the next failure starts the backoff anew. */
const STABLE_MS = 2_000;
/** How often a standby looks whether the slot is free. */
const STANDBY_POLL_MS = 500;

/** What goes with a state. */
export interface StateDetails {
  readonly error?: Error;
  readonly heldBy?: string;
  readonly retryInMs?: number;
}

export type StateListener = (state: PgListenerState, details: StateDetails) => void;

/**
 * Keeps one stream running: starts server, decoder and publisher together, and together again when any of them fails.
 *
 * | state | enters by | leaves by |
 * |---|---|---|
 * | idle | | `start()` → connecting |
 * | connecting | start, a free slot, the end of a wait | stream runs → streaming; slot busy → standby; error → backing-off or halted |
 * | streaming | START_REPLICATION accepted, and the slot taken over | another format is needed, or types have to be read again → connecting; connection lost → backing-off; taken over by another process → standby; fault or gap → halted |
 * | standby | another process holds the slot | slot free → connecting; server gone → backing-off |
 * | backing-off | an error that time may mend | delay over → connecting |
 * | halted | an error that time cannot mend | `start()` → connecting |
 * | stopped | `stop()`, from every state | `start()` → connecting |
 */
export class ReplicationSupervisor {
  private session: ReplicationSession | undefined;
  private stopping: AbortController | undefined;
  private running: Promise<void> | undefined;
  private failures = 0;
  private streams = 0;
  private lastConfirmedLsn: Lsn = INVALID_LSN;
  private lastReceivedLsn: Lsn = INVALID_LSN;
  private haltReason: Error | undefined;

  constructor(
    private readonly context: SessionContext,
    private readonly onState: StateListener,
  ) {}

  /** The last position that the server was told, on this connection or an earlier one. */
  get confirmedLsn(): Lsn {
    return this.session?.confirmedLsn || this.lastConfirmedLsn;
  }
  /** The last position that came, on this connection or an earlier one. */
  get receivedLsn(): Lsn {
    return this.session?.receivedLsn || this.lastReceivedLsn;
  }
  get unsettled(): number {
    return this.session?.unsettled ?? 0;
  }
  get inProgress(): InProgressStats {
    return this.session?.inProgress ?? { transactions: 0, memoryBytes: 0, diskBytes: 0 };
  }
  /** As `PgListenerStats` has it. */
  lagSeconds(isStreaming: boolean): number | null {
    const { session } = this;
    return this.context.lag.seconds(isStreaming && session !== undefined ? session.lag : null, Date.now());
  }
  /** Streams that followed the first one. */
  get reconnects(): number {
    return Math.max(0, this.streams - 1);
  }

  /** Begins, where it is not running. Does not wait for the stream: the state tells. */
  start(): void {
    if (this.running !== undefined) return;
    const stopping = new AbortController();
    this.stopping = stopping;
    this.failures = 0;
    const running = this.run(stopping.signal).finally(() => {
      if (this.running === running) this.running = undefined;
    });
    this.running = running;
  }

  /** Confirms what is settled, ends the stream, closes every connection. */
  async stop(): Promise<void> {
    this.stopping?.abort();
    await this.session?.stop();
    this.session?.destroy();
    await this.running;
    this.context.lag.forget();
    this.onState('stopped', {});
  }

  /** Ends the stream for good because of an error that came from outside of it. */
  halt(error: Error): void {
    this.haltReason = error;
    this.session?.halt(error);
  }

  /** Ends this life of the stream because of an error that came from outside of it; what it is says what follows. */
  leave(error: Error): void {
    this.session?.halt(error);
  }

  /** Breaks the connection of the stream as a network does. Without effect where there is none. */
  dropConnection(): void {
    this.session?.dropConnection();
  }

  private async run(signal: AbortSignal): Promise<void> {
    this.haltReason = undefined;
    while (!signal.aborted) {
      const error = await this.stream(signal);
      if (signal.aborted) return;
      if (error instanceof BinaryFormatError) this.context.format.fallBack(error.message);
      else if (error instanceof OutdatedTypeError) this.context.logger.log(error.message);
      else if (error instanceof SlotInUseError) await this.standBy(signal);
      else if (!isFatal(error)) await this.backOff(error, signal);
      const reason = this.haltReason ?? (isFatal(error) ? error : undefined);
      if (reason === undefined || signal.aborted) continue;
      // One of ours says what to do; where it was thrown helps nobody.
      const stack = reason instanceof PgListenerError ? undefined : reason.stack;
      this.context.logger.error(`Halted: ${reason.message}`, stack);
      // Before it is told: whoever hears of it may start again right away.
      this.running = undefined;
      return this.onState('halted', { error: reason });
    }
  }

  /** One life of the stream. @returns why it ended */
  private async stream(signal: AbortSignal): Promise<Error> {
    this.onState('connecting', {});
    const session = new ReplicationSession(this.context);
    this.session = session;
    let startedAt = 0;
    let error: Error | null;
    try {
      await session.open();
      if (signal.aborted) await session.stop();
      startedAt = Date.now();
      this.streams++;
      this.context.logger.log(`Streaming from slot "${this.context.life.slots.name}"`);
      this.onState('streaming', {});
      error = await session.ended();
    } catch (caught) {
      error = caught as Error;
    }
    if (startedAt > 0) this.context.lag.ended(session.lag, Date.now());
    this.context.sink.abort();
    this.lastConfirmedLsn = this.confirmedLsn;
    this.lastReceivedLsn = this.receivedLsn;
    if (startedAt > 0 && Date.now() - startedAt >= STABLE_MS) this.failures = 0;
    return error ?? new SlotInUseError('The stream was stopped');
  }

  private async backOff(error: Error, signal: AbortSignal): Promise<void> {
    if (this.haltReason !== undefined) return;
    const retryInMs = backoffDelay(++this.failures, RECONNECT_BACKOFF);
    this.context.logger.warn(`${error.message}\n  Next try in ${retryInMs} ms`);
    this.onState('backing-off', { error, retryInMs });
    await sleep(retryInMs, undefined, { signal }).catch(() => undefined);
  }

  /** Watches the slot on a plain connection until nobody holds it. */
  private async standBy(signal: AbortSignal): Promise<void> {
    const { target, life, sink, logger } = this.context;
    const { slots } = life;
    let client: Client | undefined;
    let connectedAt = Infinity;
    // A query on a path that has gone dark must not hold `stop()` up.
    const giveUp = (): void => void (client && socketOf(client).destroy());
    signal.addEventListener('abort', giveUp);
    try {
      client = await connectPlain(target, signal);
      connectedAt = Date.now();
      let known: string | undefined;
      while (!signal.aborted && this.haltReason === undefined) {
        const holder = await slots.holder(client);
        if (holder === null) return;
        if (holder !== known) {
          known = holder;
          this.context.lag.forget();
          logger.log(`Standing by: the slot "${slots.name}" is held by ${holder}`);
          this.onState('standby', { heldBy: holder });
        }
        sink.standBy();
        await sleep(STANDBY_POLL_MS, undefined, { signal });
      }
    } catch (error) {
      if (Date.now() - connectedAt >= STABLE_MS) this.failures = 0;
      if (!signal.aborted) await this.backOff(translateServerError(error, target), signal);
    } finally {
      signal.removeEventListener('abort', giveUp);
      await closeClient(client);
    }
  }
}

function isFatal(error: Error): boolean {
  return error instanceof PgListenerError && error.fatal;
}
