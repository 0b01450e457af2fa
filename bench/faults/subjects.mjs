import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import postgres from 'postgres';

export const PUBLICATION = 'peers';

const FLOW_CONTROL = { acknowledge: { auto: true, timeoutSeconds: 10 }, flowControl: { enabled: true } };
const BY_HAND = { acknowledge: { auto: false, timeoutSeconds: 0 } };
const BOTH = { ...FLOW_CONTROL, ...BY_HAND };

/** The peers, each in the ways that its own README shows. */
export const SUBJECTS = {
  'pg-logical-replication': {
    settings:
      'defaults: acknowledges by itself, does not wait for handlers, whose errors are caught and logged; subscribes again 100 ms after an error, as its README does',
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(undefined, caught, ...parameters),
  },
  'pg-logical-replication, flow control': {
    settings:
      "`flowControl: { enabled: true }`, as its README's section 3-4 has it: errors of handlers are left to it; the rest as above",
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(FLOW_CONTROL, left, ...parameters),
  },
  'pg-logical-replication, by hand': {
    settings:
      "`acknowledge: { auto: false, timeoutSeconds: 0 }`, and `acknowledge(lsn)` after each handler that succeeds, as its README's section 3-3 has it",
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(BY_HAND, acknowledged, ...parameters),
  },
  'pg-logical-replication, both': {
    settings: 'flow control, and acknowledged by hand',
    needsSlot: true,
    consume: (...parameters) => pgLogicalReplication(BOTH, acknowledged, ...parameters),
  },
  'postgres subscribe': {
    settings:
      "`sql.subscribe('*', …)`, as its README has it, errors of handlers caught and logged; it makes a temporary slot for each connection",
    needsSlot: false,
    consume: postgresSubscribe,
  },
};

async function pgLogicalReplication(config, onData, { url, slot }, handle, streaming) {
  const service = new LogicalReplicationService({ connectionString: url }, config);
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [PUBLICATION] });
  let isOver = false;
  service.on('start', streaming);
  service.on('error', (error) => console.error('error event:', error.message));
  service.on('data', (lsn, message) => onData(service, lsn, () => handled(message, lsn, handle)));
  (function proc() {
    if (isOver) return;
    service
      .subscribe(plugin, slot)
      .catch((error) => console.error('subscribe:', error.message))
      .then(() => setTimeout(proc, 100));
  })();
  return () => {
    isOver = true;
    return service.stop();
  };
}

async function handled({ tag, relation, new: after, key, old }, lsn, handle) {
  if (tag === 'insert' || tag === 'update') await handle(relation.name, tag, after, lsn);
  else if (tag === 'delete') await handle(relation.name, tag, key ?? old, lsn);
}

const left = (_service, _lsn, call) => call();

async function caught(_service, _lsn, call) {
  await call().catch((error) => console.error('handler:', error.message));
}

async function acknowledged(service, lsn, call) {
  try {
    await call();
    await service.acknowledge(lsn);
  } catch (error) {
    console.error('Failed to process, skipping ack:', error.message);
  }
}

async function postgresSubscribe({ url }, handle, streaming) {
  const sql = postgres(url, { publications: PUBLICATION });
  const { unsubscribe } = await sql.subscribe(
    '*',
    (row, { command, relation }) => {
      handle(relation.table, command, row, '0/0').catch((error) => console.error('handler:', error.message));
    },
    streaming,
    (error) => console.error('subscribe:', error?.message),
  );
  return unsubscribe;
}
