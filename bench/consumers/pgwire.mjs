import { readFileSync } from 'node:fs';
import { pgconnection } from 'pgwire';

const AUTHORITY = new URL('../../test/fixtures/tls/server.crt', import.meta.url);

export async function consume({ target, slot, publication }, tally) {
  const { transport, host, port, user, database } = target;
  const connection = pgconnection({
    // It always checks the certificate, which is for `localhost`.
    host: transport === 'tls' ? 'localhost' : host,
    port: String(port),
    user,
    database,
    replication: 'database',
    ...(transport === 'tls' && { sslmode: 'require', sslrootcert: readFileSync(AUTHORITY, 'utf8') }),
  });
  const stream = connection.logicalReplication({
    slot,
    options: { proto_version: '1', publication_names: publication },
  });
  let isStopped = false;
  const reading = read(stream, tally).then(() => {
    if (!isStopped) throw new Error('The stream ended');
  });
  return {
    stop: async () => {
      isStopped = true;
      connection.destroy();
      await reading.catch(() => undefined);
    },
  };
}

async function read(stream, tally) {
  for await (const { messages, lastLsn } of stream.pgoutputDecode()) {
    for (const message of messages) {
      switch (message.tag) {
        case 'insert':
        case 'update':
          if (message.relation.name === 'orders') tally.row(message.after);
          break;
        case 'delete':
          if (message.relation.name === 'orders') tally.row(message.before);
      }
    }
    stream.ack(lastLsn);
  }
}
