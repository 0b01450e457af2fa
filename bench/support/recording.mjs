import pg from 'pg';
import { dropSlot, PUBLICATION } from './backlog.mjs';
import { pgOptions } from './client-options.mjs';
import { targetOf } from './cluster.mjs';

/** CopyData's type, its length, and XLogData's header. */
const BEFORE_MESSAGE = 1 + 4 + 25;

/**
 * What the server sends for a backlog, as it comes over the wire: whole CopyData messages, keepalives left out.
 *
 * @returns one buffer, to be read with `messagesOf`
 */
export async function record(backlog) {
  const slot = await backlog.copySlot();
  const client = new pg.Client({ ...pgOptions(targetOf(backlog.cluster, backlog.database)), replication: 'database' });
  await client.connect();
  // It is cut off in the middle of its stream, which it would take for a failure.
  client.on('error', () => undefined);
  try {
    return await new Promise((resolve, reject) => {
      const frames = [];
      let rows = 0;
      client.connection.on('copyData', ({ chunk }) => {
        if (chunk[0] !== 0x77) return;
        const frame = Buffer.alloc(5 + chunk.length);
        frame[0] = 0x64;
        frame.writeUInt32BE(4 + chunk.length, 1);
        chunk.copy(frame, 5);
        frames.push(frame);
        const type = frame[BEFORE_MESSAGE];
        if (type === 0x49 || type === 0x55 || type === 0x44) rows++;
        // The last one's Commit follows its rows.
        if (type === 0x43 && rows === backlog.changes) resolve(Buffer.concat(frames));
      });
      client
        .query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${PUBLICATION}')`)
        .catch(reject);
    });
  } finally {
    client.connection.stream.destroy();
    await dropSlot(backlog.url, slot);
  }
}

/** Where the pgoutput messages of a recording begin and end. */
export function messagesOf(recording) {
  const starts = [];
  const ends = [];
  for (let at = 0; at < recording.length;) {
    const end = at + 1 + recording.readUInt32BE(at + 1);
    starts.push(at + BEFORE_MESSAGE);
    ends.push(end);
    at = end;
  }
  return { starts, ends };
}
