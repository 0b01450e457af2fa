import type { LogicalDecodingMessage } from '../decoder/pgoutput-messages.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { WalPosition } from '../interfaces/wal-position.interface.js';
import type { LogicalMessage } from '../interfaces/transaction.interface.js';
import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { ChangePlace } from './change.js';
import type { TransactionInfo } from './transaction.js';

/** A message that somebody wrote into the log with pg_logical_emit_message. */
export class LogicalMessageEvent implements LogicalMessage, WalPosition {
  readonly prefix: string;
  readonly content: Buffer;
  readonly walHigh: number;
  readonly walLow: number;
  readonly ordinal: number;

  constructor(
    /** @internal The message's own transaction; one that holds its LSN only where the message came outside of any. */
    readonly transaction: TransactionInfo,
    readonly transactional: boolean,
    message: LogicalDecodingMessage,
    place: ChangePlace,
  ) {
    this.prefix = message.prefix;
    this.content = message.content;
    this.walHigh = place.walHigh;
    this.walLow = place.walLow;
    this.ordinal = place.ordinal;
  }

  get app(): string {
    return this.transaction.app;
  }
  get text(): string {
    return this.content.toString('utf8');
  }
  get lsn(): string {
    return formatLsn(this.commitLsn);
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
  /** @internal */
  get commitLsn(): Lsn {
    return this.transaction.commitLsn;
  }

  toJSON(): Record<string, unknown> {
    const { app, prefix, text, transactional, lsn, xid, commitTimestamp } = this;
    return { app, prefix, text, transactional, lsn, xid, commitTimestamp };
  }
}
