import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import postgres from 'postgres';

export const PUBLICATION = 'peers';

const FLOW_CONTROL = { acknowledge: { auto: true, timeoutSeconds: 10 }, flowControl: { enabled: true } };
const BY_HAND = { acknowledge: { auto: false, timeoutSeconds: 0 } };

/** The peers, each in the ways that its own README shows. */
export const SUBJECTS = {
  'pg-logical-replication': {
    settings:
      'defaults: acknowledges by itself, does not wait for handlers; subscribes again 100 ms after an error, as its README does',
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(undefined, ...parameters),
  },
  'pg-logical-replication, flow control': {
    settings: "`flowControl: { enabled: true }`, as its README's section 3-4 has it; the rest as above",
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(FLOW_CONTROL, ...parameters),
  },
  'pg-logical-replication, by hand': {
    settings:
      "`acknowledge: { auto: false, timeoutSeconds: 0 }`, and `acknowledge(lsn)` after each handler that succeeds, as its README's section 3-3 has it",
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(BY_HAND, ...parameters),
  },
  'postgres subscribe': {
    settings: "`sql.subscribe('*', …)`, as its README has it; it makes a temporary slot for each connection",
    needsSlot: false,
    consume: postgresSubscribe,
  },
};

async function pgLogicalReplication(config, { url, slot }, handle, streaming) {
  const isByHand = config === BY_HAND;
  const service = new LogicalReplicationService({ connectionString: url }, config);
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [PUBLICATION] });
  service.on('start', streaming);
  service.on('error', (error) => console.error('error event:', error.message));
  service.on('data', async (lsn, { tag, relation, new: after, key, old }) => {
    try {
      if (tag === 'insert' || tag === 'update') await handle(relation.name, tag, after, lsn);
      else if (tag === 'delete') await handle(relation.name, tag, key ?? old, lsn);
      if (isByHand) await service.acknowledge(lsn);
    } catch (error) {
      console.error('handler:', error.message);
    }
  });
  (function proc() {
    service
      .subscribe(plugin, slot)
      .catch((error) => console.error('subscribe:', error.message))
      .then(() => setTimeout(proc, 100));
  })();
}

async function postgresSubscribe({ url }, handle, streaming) {
  const sql = postgres(url, { publications: PUBLICATION });
  await sql.subscribe(
    '*',
    (row, { command, relation }) => {
      handle(relation.table, command, row, '0/0').catch((error) => console.error('handler:', error.message));
    },
    streaming,
    (error) => console.error('subscribe:', error?.message),
  );
}
