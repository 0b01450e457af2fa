import type { Lsn } from '../protocol/lsn.js';

/** At most one record in that time. */
const RECORD_INTERVAL_MS = 1_000;
/** Progress that nobody has handled anything of is recorded in steps of this size: our own writes bring such progress. */
const IDLE_STEP: Lsn = 1_048_576n;
/** How long the end of a stream waits for the last record. */
const LAST_RECORD_MS = 2_000;

/** How far the stream is settled. */
export interface StreamPosition {
  readonly confirmable: Lsn;
  /** End of the last unit that somebody has handled. */
  readonly deliveredEnd: Lsn;
}

export interface RecorderPort {
  position(): StreamPosition;
  /** Makes a position durable. */
  write(lsn: Lsn): Promise<void>;
  /** `recorded` has moved. */
  recorded(): void;
  failed(error: Error): void;
}

/**
 * Records positions before they are confirmed: at once, and then at most once a second; never two at a time.
 *
 * Each record is a write of its own and moves the end of the log. So what brings only keepalives, or transactions that
 * nobody handles, counts in large steps: else an idle listener would keep itself busy for ever.
 */
export class PositionRecorder {
  private lastWriteAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private finishing: Promise<void> | undefined;
  private isClosed = false;

  /** @param position what is recorded already */
  constructor(
    private position: Lsn,
    private readonly port: RecorderPort,
  ) {}

  /** What has been made durable, and so may be confirmed. */
  get recorded(): Lsn {
    return this.position;
  }

  /** Records what is due, now or in a moment. */
  check(): void {
    if (
      this.isClosed ||
      this.finishing !== undefined ||
      this.writing !== undefined ||
      this.timer !== undefined ||
      !this.isWorthwhile()
    )
      return;
    const waitMs = this.lastWriteAt + RECORD_INTERVAL_MS - Date.now();
    if (waitMs <= 0) return void this.write();
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.isWorthwhile()) void this.write();
    }, waitMs);
  }

  /** Records the last position, however small the step, and nothing more. Never rejects; waits for two seconds at most. */
  finish(): Promise<void> {
    return (this.finishing ??= this.isClosed ? Promise.resolve() : this.recordLast());
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private async recordLast(): Promise<void> {
    clearTimeout(this.timer);
    let impatient: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (impatient = setTimeout(resolve, LAST_RECORD_MS)));
    const last = async (): Promise<void> => {
      await this.writing;
      if (!this.isClosed && this.port.position().confirmable > this.position) await this.write();
    };
    await Promise.race([last(), patience]);
    clearTimeout(impatient);
    this.close();
  }

  private isWorthwhile(): boolean {
    const { confirmable, deliveredEnd } = this.port.position();
    if (confirmable <= this.position) return false;
    return deliveredEnd > this.position || confirmable - this.position >= IDLE_STEP;
  }

  private write(): Promise<void> {
    const lsn = this.port.position().confirmable;
    this.lastWriteAt = Date.now();
    this.writing = this.port.write(lsn).then(
      () => this.written(lsn),
      (error: unknown) => {
        this.writing = undefined;
        // Closed: the stream is ending for another reason.
        if (!this.isClosed) this.port.failed(error as Error);
        this.close();
      },
    );
    return this.writing;
  }

  private written(lsn: Lsn): void {
    this.writing = undefined;
    if (lsn > this.position) this.position = lsn;
    if (this.isClosed) return;
    this.port.recorded();
    this.check();
  }
}
