import type { LogicalDecodingMessage } from '../decoder/pgoutput-messages.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { LogicalMessage } from '../interfaces/transaction.interface.js';
import { formatLsn, lsnFromParts, lsnParts, type Lsn } from '../protocol/lsn.js';
import { TransactionInfo } from './transaction.js';

/**
 * A message that somebody wrote into the log with pg_logical_emit_message.
 *
 * The server tells where its record ends, which is where the next one begins. Its place is the last byte of its own: no
 * row has it, whether somebody asks for messages or not, and a message outside of any transaction has no other commit.
 */
export class LogicalMessageEvent implements LogicalMessage, WalPosition {
  readonly prefix: string;
  readonly content: Buffer;
  readonly transactional: boolean;
  readonly walHigh: number;
  readonly walLow: number;
  /** A record holds one message. */
  readonly ordinal = 0;

  constructor(
    /** @internal The message's own transaction; see `alone` for one that came outside of any. */
    readonly transaction: TransactionInfo,
    message: LogicalDecodingMessage,
  ) {
    this.prefix = message.prefix;
    this.content = message.content;
    this.transactional = message.transactional;
    const { walHigh, walLow } = lsnParts(message.lsn - 1n);
    this.walHigh = walHigh;
    this.walLow = walLow;
  }

  /** One outside of any transaction: it is committed where it stands. */
  static alone(app: string, message: LogicalDecodingMessage, history: StreamHistory): LogicalMessageEvent {
    return new LogicalMessageEvent(new TransactionInfo(app, message.lsn - 1n, 0, new Date(0), history), message);
  }

  get app(): string {
    return this.transaction.app;
  }
  get text(): string {
    return this.content.toString('utf8');
  }
  get lsn(): string {
    return formatLsn(this.transactional ? this.commitLsn : this.endLsn);
  }
  get xid(): number | null {
    return this.transactional ? this.transaction.xid : null;
  }
  get commitTimestamp(): Date | null {
    return this.transactional ? this.transaction.commitTimestamp : null;
  }
  /** @internal */
  get history(): StreamHistory | null {
    return this.transaction.history;
  }
  /** @internal Of its record, as the server tells it. */
  get endLsn(): Lsn {
    return lsnFromParts(this.walHigh, this.walLow) + 1n;
  }
  /** @internal */
  get commitLsn(): Lsn {
    return this.transaction.commitLsn;
  }

  toJSON(): Record<string, unknown> {
    const { app, prefix, text, transactional, lsn, xid, commitTimestamp } = this;
    return { app, prefix, text, transactional, lsn, xid, commitTimestamp };
  }
}
