import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { pgOptions } from '../support/client-options.mjs';

/** As its README has it; `mode: 'fastest'` confirms nothing. */
export async function consume({ target, slot, publication, consumer }, tally) {
  const isFastest = consumer.mode === 'fastest';
  const service = new LogicalReplicationService(
    pgOptions(target),
    isFastest ? { acknowledge: { auto: false, timeoutSeconds: 0 } } : undefined,
  );
  service.on('data', (_lsn, message) => {
    switch (message.tag) {
      case 'insert':
      case 'update':
        if (message.relation.name === 'orders') tally.row(message.new);
        break;
      case 'delete':
        if (message.relation.name === 'orders') tally.row(message.key ?? message.old);
    }
  });
  const started = new Promise((resolve, reject) => {
    service.once('start', resolve);
    service.once('error', reject);
  });
  service
    .subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot)
    .catch((error) => service.emit('error', error));
  await started;
  service.on('error', (error) => {
    throw error;
  });
  return { stop: () => service.destroy() };
}
