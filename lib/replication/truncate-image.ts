import { PgOutputMessage } from '../decoder/pgoutput-messages.js';

/** Where the flags of a Truncate stand: behind its type and the number of tables. */
const TRUNCATE_FLAGS = 5;

/** A Truncate may name several tables; what is kept is for one of them. */
export function truncateImage(relationId: number, frame: Buffer, start: number): Buffer {
  const message = Buffer.alloc(10);
  message[0] = PgOutputMessage.Truncate;
  message.writeInt32BE(1, 1);
  message[TRUNCATE_FLAGS] = frame[start + TRUNCATE_FLAGS]!;
  message.writeUInt32BE(relationId, 6);
  return message;
}
