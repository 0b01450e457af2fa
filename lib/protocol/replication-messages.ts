import type { Lsn } from './lsn.js';

/**
 * Messages of the streaming replication protocol (manual, section 54.4) and the few of the base protocol
 * (section 54.7) that travel in CopyBoth mode. Type bytes as in the manual.
 */
export const BackendMessage = {
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CommandComplete: 0x43, // C
  ReadyForQuery: 0x5a, // Z
  ErrorResponse: 0x45, // E
  NoticeResponse: 0x4e, // N
  ParameterStatus: 0x53, // S
} as const;

export const ReplicationMessage = {
  XLogData: 0x77, // w
  PrimaryKeepalive: 0x6b, // k
} as const;

/** type byte + int32 length. */
export const HEADER_SIZE = 5;
/** CopyData header, 'w', WAL start, WAL end, send time: the payload comes behind. */
export const XLOG_DATA_SIZE = HEADER_SIZE + 1 + 8 + 8 + 8;
/** CopyData header, 'k', WAL end, send time, reply requested. */
export const KEEPALIVE_SIZE = HEADER_SIZE + 1 + 8 + 8 + 1;

/** Milliseconds between 1970-01-01 and 2000-01-01, where the server's clock starts (microseconds there). */
export const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Microseconds since 2000-01-01 to a Date (its resolution is a millisecond). */
export function dateFromTimestamp(microseconds: bigint): Date {
  return new Date(Number(microseconds / 1000n) + POSTGRES_EPOCH_MS);
}

const STATUS_UPDATE_SIZE = HEADER_SIZE + 1 + 8 * 4 + 1;

/**
 * Writes Standby Status Update ('r'), framed as CopyData, with write = flush = apply = `confirmed`: reporting what
 * was merely received as written would suppress the keepalives that move an idle slot.
 */
export function standbyStatusUpdate(confirmed: Lsn, replyRequested: boolean): Buffer {
  const buffer = Buffer.allocUnsafe(STATUS_UPDATE_SIZE);
  buffer[0] = BackendMessage.CopyData;
  buffer.writeInt32BE(STATUS_UPDATE_SIZE - 1, 1);
  buffer[5] = 0x72;
  buffer.writeBigUInt64BE(confirmed, 6);
  buffer.writeBigUInt64BE(confirmed, 14);
  buffer.writeBigUInt64BE(confirmed, 22);
  buffer.writeBigInt64BE(BigInt(Date.now() - POSTGRES_EPOCH_MS) * 1000n, 30);
  buffer[38] = replyRequested ? 1 : 0;
  return buffer;
}

/** Simple query ('Q'). */
export function query(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`, 'utf8');
  const buffer = Buffer.allocUnsafe(HEADER_SIZE + text.length);
  buffer[0] = 0x51;
  buffer.writeInt32BE(text.length + 4, 1);
  text.copy(buffer, HEADER_SIZE);
  return buffer;
}

/** CopyDone ('c'): ends the stream in good order. */
export const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
/** Terminate ('X'). */
export const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);
