import type { ByteReader } from '../protocol/byte-reader.js';
import { dateFromTimestamp } from '../protocol/replication-messages.js';
import type {
  BeginMessage,
  CommitMessage,
  CommitPreparedMessage,
  PrepareMessage,
  RollbackPreparedMessage,
  StreamAbortMessage,
  StreamCommitMessage,
  StreamStartMessage,
} from './pgoutput-messages.js';

// Where transactions and their parts begin and end. Each reads what follows the type byte, to the message's end.

/** Both LSNs and the timestamp of a Stream Abort. */
const ABORT_PLACE_BYTES = 16;

export function readBegin(reader: ByteReader): BeginMessage {
  const finalLsn = reader.uint64();
  const commitTimestamp = timestamp(reader);
  return ended(reader, { finalLsn, commitTimestamp, xid: reader.uint32() });
}

export function readCommit(reader: ByteReader): CommitMessage {
  reader.uint8(); // flags, unused
  const commitLsn = reader.uint64();
  const endLsn = reader.uint64();
  reader.int64(); // the commit timestamp again
  return ended(reader, { commitLsn, endLsn });
}

export function readStreamStart(reader: ByteReader): StreamStartMessage {
  const xid = reader.uint32();
  return ended(reader, { xid, isFirst: reader.uint8() === 1 });
}

export function readStreamCommit(reader: ByteReader): StreamCommitMessage {
  const xid = reader.uint32();
  reader.uint8(); // flags, unused
  const commitLsn = reader.uint64();
  const endLsn = reader.uint64();
  return ended(reader, { xid, commitLsn, endLsn, commitTimestamp: timestamp(reader) });
}

export function readStreamAbort(reader: ByteReader): StreamAbortMessage {
  const xid = reader.uint32();
  const subXid = reader.uint32();
  // What the server was asked for is not said in the message: its length tells.
  const abort = reader.remaining < ABORT_PLACE_BYTES ? null : { lsn: reader.uint64(), timestamp: timestamp(reader) };
  return ended(reader, { xid, subXid, abort });
}

export function readBeginPrepare(reader: ByteReader): PrepareMessage {
  return readPreparePlace(reader);
}

/** Prepare and Stream Prepare. */
export function readPrepare(reader: ByteReader): PrepareMessage {
  reader.uint8(); // flags, unused
  return readPreparePlace(reader);
}

export function readCommitPrepared(reader: ByteReader): CommitPreparedMessage {
  reader.uint8(); // flags, unused
  const commitLsn = reader.uint64();
  const endLsn = reader.uint64();
  const commitTimestamp = timestamp(reader);
  const xid = reader.uint32();
  return ended(reader, { commitLsn, endLsn, commitTimestamp, xid, gid: reader.cString() });
}

export function readRollbackPrepared(reader: ByteReader): RollbackPreparedMessage {
  reader.uint8(); // flags, unused
  const prepareEndLsn = reader.uint64();
  const rollbackEndLsn = reader.uint64();
  const prepareTimestamp = timestamp(reader);
  const rollbackTimestamp = timestamp(reader);
  const xid = reader.uint32();
  const gid = reader.cString();
  return ended(reader, { prepareEndLsn, rollbackEndLsn, prepareTimestamp, rollbackTimestamp, xid, gid });
}

function readPreparePlace(reader: ByteReader): PrepareMessage {
  const prepareLsn = reader.uint64();
  const endLsn = reader.uint64();
  const prepareTimestamp = timestamp(reader);
  const xid = reader.uint32();
  return ended(reader, { prepareLsn, endLsn, prepareTimestamp, xid, gid: reader.cString() });
}

function timestamp(reader: ByteReader): Date {
  return dateFromTimestamp(reader.int64());
}

function ended<T>(reader: ByteReader, message: T): T {
  reader.expectEnd();
  return message;
}
