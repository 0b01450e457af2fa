import { PgOutputMessage } from '../decoder/pgoutput-messages.js';
import { INVALID_LSN, lsnFromParts, type Lsn } from '../protocol/lsn.js';
import type { ServerReport } from '../protocol/server-report.js';
import type { ReplicationListener } from '../replication/replication.server.js';
import type { RecordedMessage } from './stream-recording.js';

/** Before a message that comes in a transaction, or in a part of one: a server may be told to send each in parts. */
const BEGINNINGS: ReadonlySet<number | undefined> = new Set([PgOutputMessage.Begin, PgOutputMessage.StreamStart]);

/** Keeps every message of a stream, until the one that marks its end. */
export class MessageRecorder implements ReplicationListener {
  readonly messages: RecordedMessage[] = [];
  /** Settles when the marker has come. */
  readonly complete: Promise<void>;
  private finish!: () => void;
  private isComplete = false;
  private received: Lsn = INVALID_LSN;

  constructor(
    private readonly marker: string,
    /** Whether what has come may be confirmed: the slot is our own. */
    private readonly confirms: boolean,
  ) {
    this.complete = new Promise((resolve) => (this.finish = resolve));
  }

  data(buffer: Buffer, start: number, end: number, high: number, low: number): boolean {
    if (this.isComplete) return false;
    const bytes = Buffer.from(buffer.subarray(start, end));
    if (bytes[0] === PgOutputMessage.Message && bytes.includes(this.marker)) {
      // Its own transaction is none of the recording's.
      const begin = this.messages.findLastIndex(({ bytes: [type] }) => BEGINNINGS.has(type));
      this.messages.length = Math.max(0, begin);
      this.isComplete = true;
      this.finish();
      return false;
    }
    const lsn = lsnFromParts(high, low);
    if (lsn > this.received) this.received = lsn;
    this.messages.push({ lsn, bytes });
    return false;
  }

  /** What lies before it is nobody's loss: the slot goes with its connection. */
  confirmable(): Lsn {
    return this.confirms ? this.received : INVALID_LSN;
  }

  async confirmLast(): Promise<void> {}
  keepalive(): void {}
  readStarts(): void {}
  readEnded(): number {
    return 0;
  }
  notice({ message, code }: ServerReport): void {
    process.emitWarning(`PostgreSQL warns: ${message} (${code})`);
  }
  shutdownSuspected(): void {}
}
