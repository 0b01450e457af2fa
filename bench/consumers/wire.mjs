import pg from 'pg';
import { pgOptions } from '../support/client-options.mjs';

/** A read of this size has filled most of what Node asks the kernel for: no need to collect. */
const FULL_READ = 60 * 1024;
/** An XLogData's header in its CopyData. */
const BEFORE_MESSAGE = 1 + 4 + 25;

/**
 * The wire limit: the bare socket, reads collected as well as the transport allows, and of each message the length and the
 * type alone. Nothing is decoded, nothing confirmed. `mode: 'not paced'`: each read as it comes.
 */
export async function consume({ target, slot, publication, consumer }, tally) {
  const client = new pg.Client({ ...pgOptions(target), replication: 'database' });
  await client.connect();
  const socket = client.connection.stream;
  socket.removeAllListeners('data');
  const text = `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`;
  const collect = consumer.mode === 'not paced' ? () => undefined : COLLECT[target.transport](socket);
  const count = messageCounter(tally);
  socket.on('data', (chunk) => {
    count(chunk);
    collect(chunk.length);
  });
  socket.write(simpleQuery(text));
  return { stop: () => socket.destroy() };
}

const COLLECT = {
  tcp: (socket) => (size) => {
    if (size >= FULL_READ) return;
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  },
  unix: (socket) => () => {
    socket.pause();
    setImmediate(() => socket.resume());
  },
  // Each record is an event of its own: what the loop has is taken first.
  tls: (socket) => {
    let isPending = false;
    return () => {
      if (isPending) return;
      isPending = true;
      setImmediate(() => {
        socket.pause();
        setTimeout(() => {
          isPending = false;
          socket.resume();
        }, 5);
      });
    };
  },
};

/** Follows the frames over the chunks, and counts the rows. */
function messageCounter(tally) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + 5 <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      const isData = bytes[at] === 0x64 && bytes[at + 5] === 0x77;
      if (bytes[at] === 0x45) throw new Error(bytes.toString('latin1', at + 5, end));
      if (isData) {
        const type = bytes[at + BEFORE_MESSAGE];
        // Insert, Update, Delete
        if (type === 0x49 || type === 0x55 || type === 0x44) {
          if (tally.count === 0) tally.begin();
          if (++tally.count === tally.expected) tally.end();
        }
      }
      at = end;
    }
    rest = bytes.subarray(at);
  };
}

function simpleQuery(text) {
  const message = Buffer.alloc(1 + 4 + Buffer.byteLength(text) + 1);
  message[0] = 0x51;
  message.writeUInt32BE(message.length - 1, 1);
  message.write(text, 5);
  return message;
}
