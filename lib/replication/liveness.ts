import { INVALID_LSN, type Lsn } from '../protocol/lsn.js';

export interface LivenessOptions {
  /** The server's wal_sender_timeout in milliseconds; 0: the server waits for ever. */
  readonly walSenderTimeoutMs: number;
}

interface LivenessPort {
  confirmable(): Lsn;
  send(lsn: Lsn, replyRequested: boolean): void;
  isReading(): boolean;
  shutdownSuspected(): void;
  dead(silentMs: number): void;
}

/** A requested reply that brings nothing new goes out at most this often: a server in shutdown asks without pause. */
const REPLY_INTERVAL_MS = 100;
/** That many requests at one WAL end within the window: the server is shutting down and waits for us. */
const SHUTDOWN_REQUESTS = 5;
const SHUTDOWN_WINDOW_MS = 1_000;

/**
 * Keeps one stream alive in both directions, from timers that no handler can block: tells the server the confirmed
 * position (at most every tick, never for each message), answers requested replies, asks for a sign of life where the
 * server has been silent, and gives the connection up where none comes.
 */
export class Liveness {
  private readonly tickMs: number;
  private readonly statusMs: number;
  private readonly silenceMs: number;
  private ticker: NodeJS.Timeout | undefined;
  private reply: NodeJS.Timeout | undefined;
  private lastSentAt = 0;
  private lastHeardAt = Date.now();
  private lastTickAt = 0;
  private lastSentLsn: Lsn = INVALID_LSN;
  private requestsAt: Lsn = INVALID_LSN;
  private requests = 0;
  private requestsSince = 0;

  constructor(
    { walSenderTimeoutMs }: LivenessOptions,
    private readonly port: LivenessPort,
  ) {
    const timeout = walSenderTimeoutMs > 0 ? walSenderTimeoutMs : 60_000;
    // The server gives up after its timeout, and asks at half of it: three updates in that time are a margin.
    this.statusMs = Math.min(timeout / 3, 10_000);
    this.tickMs = Math.min(Math.max(this.statusMs / 2, 20), 1_000);
    this.silenceMs = timeout * 2;
  }

  get confirmedLsn(): Lsn {
    return this.lastSentLsn;
  }

  /**
   * When the server was last heard, in milliseconds since 1970, where it has been silent for longer than it is when it is
   * well: it was asked for a sign of life, and none has come. Null: it was heard.
   */
  get silentSinceMs(): number | null {
    return Date.now() - this.lastHeardAt > this.statusMs * 2 ? this.lastHeardAt : null;
  }

  start(): void {
    this.lastSentAt = this.lastHeardAt = this.lastTickAt = Date.now();
    this.ticker = setInterval(() => this.tick(), this.tickMs);
  }

  close(): void {
    clearInterval(this.ticker);
    clearTimeout(this.reply);
  }

  heard(): void {
    this.lastHeardAt = Date.now();
  }

  /** The server wants an answer: at once where there is news, and soon where there is none. */
  replyRequested(walEnd: Lsn): void {
    const now = Date.now();
    this.countRequest(walEnd, now);
    if (this.port.confirmable() > this.lastSentLsn || now - this.lastSentAt >= REPLY_INTERVAL_MS) this.send(false);
    else this.reply ??= setTimeout(() => this.send(false), REPLY_INTERVAL_MS - (now - this.lastSentAt));
  }

  /** Tells the position now, if it has moved. */
  flush(): void {
    if (this.port.confirmable() > this.lastSentLsn) this.send(false);
  }

  private tick(): void {
    const now = Date.now();
    // While we do not read, or the event loop was held up, silence says nothing.
    if (!this.port.isReading() || now - this.lastTickAt > this.tickMs * 4) this.lastHeardAt = now;
    this.lastTickAt = now;
    const silentMs = now - this.lastHeardAt;
    if (silentMs > this.silenceMs) return this.port.dead(silentMs);
    const due = now - this.lastSentAt >= this.statusMs;
    if (due || this.port.confirmable() > this.lastSentLsn) this.send(due && silentMs >= this.statusMs);
  }

  private send(replyRequested: boolean): void {
    clearTimeout(this.reply);
    this.reply = undefined;
    const lsn = this.port.confirmable();
    this.port.send(lsn, replyRequested);
    this.lastSentLsn = lsn;
    this.lastSentAt = Date.now();
  }

  private countRequest(walEnd: Lsn, now: number): void {
    if (walEnd !== this.requestsAt || now - this.requestsSince > SHUTDOWN_WINDOW_MS) {
      this.requestsAt = walEnd;
      this.requests = 0;
      this.requestsSince = now;
    }
    if (++this.requests === SHUTDOWN_REQUESTS) this.port.shutdownSuspected();
  }
}
