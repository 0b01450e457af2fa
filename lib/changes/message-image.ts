import { PgOutputMessage } from '../decoder/pgoutput-messages.js';
import { ByteReader } from '../protocol/byte-reader.js';
import { LogicalMessageEvent } from './logical-message.js';
import type { TransactionInfo } from './transaction.js';

const LENGTH_BYTES = 4;
const LSN_BYTES = 8;

/** A logical message as pgoutput writes it (manual, section 54.9 "Message"), for keeping. */
export function messageImage({ transactional, endLsn, prefix, content }: LogicalMessageEvent): Buffer {
  const lsn = Buffer.alloc(LSN_BYTES);
  lsn.writeBigUInt64BE(endLsn);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeInt32BE(content.length);
  const head = Buffer.from([PgOutputMessage.Message, transactional ? 1 : 0]);
  return Buffer.concat([head, lsn, Buffer.from(`${prefix}\0`), length, content]);
}

/** What `messageImage` wrote. @throws DecodeError */
export function readMessageImage(image: Buffer, transaction: TransactionInfo): LogicalMessageEvent {
  const reader = new ByteReader().reset(image, 0, image.length, 'Message');
  if (reader.uint8() !== PgOutputMessage.Message) reader.fail('it is no logical message');
  const transactional = reader.uint8() === 1;
  const lsn = reader.uint64();
  const prefix = reader.cString();
  const content = reader.bytes(reader.int32());
  reader.expectEnd();
  return new LogicalMessageEvent(transaction, { transactional, lsn, prefix, content });
}
