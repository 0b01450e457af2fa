import type { Socket } from 'node:net';
import { asError } from '../errors/as-error.js';
import { ConnectionError } from '../errors/replication.error.js';
import { DecodeError } from '../errors/decode.error.js';
import { INVALID_LSN, lsnFromParts, type Lsn } from '../protocol/lsn.js';
import {
  BackendMessage,
  COPY_DONE,
  HEADER_SIZE,
  KEEPALIVE_SIZE,
  POSTGRES_EPOCH_MS,
  query,
  ReplicationMessage,
  standbyStatusUpdate,
  TERMINATE,
  XLOG_DATA_SIZE,
} from '../protocol/replication-messages.js';
import {
  backendMessageName,
  parseServerReport,
  ServerReportError,
  type ServerReport,
} from '../protocol/server-report.js';
import { FrameParser, Next } from './frame-parser.js';
import { Liveness, type LivenessOptions } from './liveness.js';
import { Patience } from './patience.js';
import { ReadPacer } from './read-pacer.js';

/** The server answers at once, or the path to it has gone dark. */
const START_TIMEOUT_MS = 30_000;

/** For the last position to be recorded, and the server to take it. */
const LEAVING_PATIENCE_MS = 3_000;

/** Takes what comes over the stream, in its order. What it throws ends the stream. */
export interface ReplicationListener {
  /**
   * A pgoutput message in `buffer[start, end)`; `high` and `low` are its own LSN.
   *
   * @returns whether what follows would have to be queued: it is kept as it came then, until `goOn`, or until a turn of
   * the event loop has brought no `goOn`
   */
  data(buffer: Buffer, start: number, end: number, high: number, low: number): boolean;
  keepalive(walEnd: Lsn): void;
  /** A notice of the server, at WARNING or above. */
  notice(report: ServerReport): void;
  /** Before the messages of one read. */
  readStarts(): void;
  /** After them. @returns milliseconds that the last change lay between commit and sending, 0 where unknown */
  readEnded(lastSendTimeMs: number): number;
  /** What may be confirmed now. */
  confirmable(): Lsn;
  /** Before the last confirmation of a stream: does what `confirmable` waits for. Never rejects, and does not take long. */
  confirmLast(): Promise<void>;
  /** The server is shutting down and waits for its clients. */
  shutdownSuspected(): void;
}

/**
 * One CopyBoth stream (manual, section 54.4): reads XLogData and keepalives, writes Standby Status Updates. The
 * connection and its authentication are node-postgres'; from `start()` on the socket is ours alone.
 *
 * | state | until |
 * |---|---|
 * | starting | CopyBothResponse, or an error of START_REPLICATION |
 * | streaming | `stop()`, a fault, the server's CopyDone, or the socket's end |
 * | stopping | the server has answered our CopyDone, or patience ends |
 * | leaving | a fault of ours: what may be confirmed is told, nothing more is read, the socket ends |
 * | closed | for good: one object serves one stream |
 */
export class ReplicationServer {
  private state: 'starting' | 'streaming' | 'stopping' | 'leaving' | 'closed' = 'starting';
  private readonly frames = new FrameParser((type, buffer, start, end) => this.onFrame(type, buffer, start, end));
  private readonly liveness: Liveness;
  private readonly pacer: ReadPacer;
  private isPaused = false;
  /** Above 0: not even what has come is to be read. */
  private holds = 0;
  private bytesOfRead = 0;
  private readonly patience = new Patience(
    () => this.frames.isHeld && this.holds === 0,
    () => this.readHeld(),
  );
  private leavingBecause: Error | undefined;
  private impatience: NodeJS.Timeout | undefined;
  private received: Lsn = INVALID_LSN;
  private lastSendTimeHigh = 0;
  private lastSendTimeLow = 0;
  private started: { resolve: () => void; reject: (error: Error) => void } | undefined;
  private finishClosed!: (error: Error | null) => void;
  /** Settles when the stream has ended: null after `stop()`, else why. */
  readonly closed = new Promise<Error | null>((resolve) => (this.finishClosed = resolve));

  constructor(
    private readonly socket: Socket,
    private readonly listener: ReplicationListener,
    liveness: LivenessOptions,
  ) {
    this.pacer = new ReadPacer(socket, () => this.readOn());
    this.liveness = new Liveness(liveness, {
      confirmable: () => listener.confirmable(),
      send: (lsn, replyRequested) => this.write(standbyStatusUpdate(lsn, replyRequested)),
      isReading: () => !this.isPaused && !this.frames.isHeld,
      shutdownSuspected: () => listener.shutdownSuspected(),
      dead: (silentMs) => this.fail(new ConnectionError(`The server has been silent for ${silentMs} ms`)),
    });
    socket.removeAllListeners('data');
    socket.on('data', this.onData);
    socket.once('close', this.onClose);
    socket.on('error', this.onSocketError);
  }

  /** Highest position that this connection has received. */
  get receivedLsn(): Lsn {
    return this.received;
  }

  /** The position that the server was last told. */
  get confirmedLsn(): Lsn {
    return this.liveness.confirmedLsn;
  }

  /** Since when nothing has come, where something should have; null: it has. */
  get silentSinceMs(): number | null {
    return this.liveness.silentSinceMs;
  }

  /** Sends START_REPLICATION. Rejects with the server's error (`code`: its SQLSTATE). */
  start(command: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.started = { resolve, reject };
      this.impatience = setTimeout(() => {
        this.fail(new ConnectionError(`No answer to START_REPLICATION within ${START_TIMEOUT_MS} ms`));
      }, START_TIMEOUT_MS);
      this.write(query(command));
      this.socket.resume();
    });
  }

  /** Stops reading; status updates go on, so that the server keeps the connection. */
  pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.readOn();
  }

  /** What made the stream wait is done: reads on where it stopped. */
  goOn(): void {
    this.patience.gotOn();
    if (this.frames.isHeld && this.holds === 0) this.readHeld();
  }

  /** What follows the message that is being read waits, however long, for as many calls of `release` as of this. */
  hold(): void {
    this.holds++;
  }

  release(): void {
    this.holds = Math.max(0, this.holds - 1);
    if (this.frames.isHeld && this.holds === 0) this.readHeld();
  }

  /** Confirms what may be confirmed, ends the stream in good order and closes the connection. Never rejects. */
  async stop(patienceMs = 2_000): Promise<void> {
    await this.listener.confirmLast();
    if (this.state !== 'closed') {
      this.state = 'stopping';
      this.liveness.flush();
      this.liveness.close();
      this.write(COPY_DONE);
      this.holds = 0;
      this.patience.lose();
      this.resume();
      const impatient = setTimeout(() => this.socket.destroy(), patienceMs);
      await this.closed;
      clearTimeout(impatient);
    }
  }

  /** Confirms what may be confirmed and closes the connection, without reading a byte more: `error` is why. */
  leave(error: Error): void {
    if (this.state !== 'streaming') return this.fail(error);
    this.state = 'leaving';
    this.leavingBecause = error;
    this.pacer.close();
    this.patience.close();
    this.pause();
    this.impatience = setTimeout(() => this.fail(error), LEAVING_PATIENCE_MS);
    void this.listener.confirmLast().then(() => this.left());
  }

  private left(): void {
    if (this.state !== 'leaving') return;
    this.liveness.flush();
    this.liveness.close();
    this.write(COPY_DONE);
    this.socket.end(TERMINATE);
    this.socket.resume();
  }

  /** Tells the server at once what may be confirmed. */
  confirmNow(): void {
    this.liveness.flush();
  }

  /** Closes at once. */
  destroy(): void {
    this.fail(null);
  }

  private readonly onData = (chunk: Buffer): void => {
    if (this.state === 'closed' || this.state === 'leaving') return;
    this.liveness.heard();
    this.patience.chunk();
    if (this.state !== 'stopping') this.listener.readStarts();
    this.bytesOfRead = chunk.length;
    this.read(chunk);
  };

  /** Reads a chunk, or on in the one that is held. */
  private read(chunk: Buffer | null): void {
    try {
      const isUsedUp = chunk === null ? this.frames.goOn() : this.frames.push(chunk);
      if (!isUsedUp) {
        // Node would hand over the next chunk at once, before what is in hand can end.
        if (this.frames.isHeld) this.socket.pause();
        return;
      }
      if (this.state !== 'streaming') return;
      const lagMs = this.listener.readEnded(this.lastSendTime());
      if (!this.isPaused && !this.pacer.afterRead(this.bytesOfRead, lagMs)) this.readOn();
    } catch (error) {
      this.leave(asError(error));
    }
  }

  private readHeld(): void {
    if (this.state === 'streaming' || this.state === 'stopping') this.read(null);
  }

  private onFrame(type: number, buffer: Buffer, start: number, end: number): Next {
    if (type === BackendMessage.CopyData) {
      const isBusy = this.state === 'streaming' && this.onCopyData(buffer, start, end);
      const isWaiting = this.holds > 0 || (isBusy && this.patience.suffices());
      return isWaiting && this.state === 'streaming' ? Next.Hold : Next.GoOn;
    }
    switch (type) {
      case BackendMessage.CopyBothResponse:
        this.state = 'streaming';
        clearTimeout(this.impatience);
        this.started?.resolve();
        this.liveness.start();
        return Next.GoOn;
      case BackendMessage.ErrorResponse:
        this.fail(new ServerReportError(parseServerReport(buffer, start + HEADER_SIZE, end)));
        return Next.Stop;
      case BackendMessage.NoticeResponse: {
        const report = parseServerReport(buffer, start + HEADER_SIZE, end);
        if (report.severity === 'WARNING') this.listener.notice(report);
        return Next.GoOn;
      }
      case BackendMessage.CopyDone:
        this.onCopyDone();
        return Next.Stop;
      case BackendMessage.ParameterStatus:
      case BackendMessage.CommandComplete:
      case BackendMessage.ReadyForQuery:
        return Next.GoOn;
      default:
        throw new DecodeError('unexpected in a replication stream', {
          messageType: backendMessageName(type),
          offset: 0,
        });
    }
  }

  /** @returns as `data` of the listener */
  private onCopyData(buffer: Buffer, start: number, end: number): boolean {
    const kind = end > start + HEADER_SIZE ? buffer[start + HEADER_SIZE] : -1;
    if (kind === ReplicationMessage.XLogData && end - start >= XLOG_DATA_SIZE) {
      this.lastSendTimeHigh = int32(buffer, start + 22);
      this.lastSendTimeLow = int32(buffer, start + 26);
      const high = int32(buffer, start + 6);
      const low = int32(buffer, start + 10);
      return this.listener.data(buffer, start + XLOG_DATA_SIZE, end, high, low);
    }
    if (kind === ReplicationMessage.PrimaryKeepalive && end - start === KEEPALIVE_SIZE) {
      const walEnd = lsnFromParts(int32(buffer, start + 6), int32(buffer, start + 10));
      this.noteReceived(walEnd);
      this.listener.keepalive(walEnd);
      if (buffer[start + KEEPALIVE_SIZE - 1] !== 0) this.liveness.replyRequested(walEnd);
      return false;
    }
    throw new DecodeError('neither XLogData nor keepalive, or cut short', {
      messageType: kind === undefined || kind < 0 ? 'CopyData' : `CopyData '${String.fromCharCode(kind)}'`,
      offset: HEADER_SIZE,
    });
  }

  /** A Commit or a message outside of a transaction ends here. */
  noteReceived(lsn: Lsn): void {
    if (lsn > this.received) this.received = lsn;
  }

  private onCopyDone(): void {
    if (this.state === 'stopping') this.socket.end(TERMINATE);
    else this.fail(new ConnectionError('The server ended the replication stream'));
  }

  private readonly onSocketError = (error: Error): void => this.fail(this.leavingBecause ?? error);

  private readonly onClose = (): void => {
    if (this.state === 'stopping') this.fail(null);
    else this.fail(this.leavingBecause ?? new ConnectionError('The connection to the server was closed'));
  };

  private fail(error: Error | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.liveness.close();
    this.pacer.close();
    clearTimeout(this.impatience);
    this.patience.close();
    this.started?.reject(error ?? new ConnectionError('The replication stream was closed while it started'));
    this.socket.destroy();
    this.finishClosed(error);
  }

  private readOn(): void {
    if (!this.isPaused && !this.frames.isHeld && this.state !== 'closed') this.socket.resume();
  }

  private write(message: Buffer): void {
    if (this.socket.writable) this.socket.write(message);
  }

  /** Milliseconds since 1970, by the server's clock. */
  private lastSendTime(): number {
    return (this.lastSendTimeHigh * 0x1_0000_0000 + (this.lastSendTimeLow >>> 0)) / 1000 + POSTGRES_EPOCH_MS;
  }
}

function int32(buffer: Buffer, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}
