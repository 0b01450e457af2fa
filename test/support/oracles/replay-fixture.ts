import type { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import type { RowChange } from '#lib/changes/change.js';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { PublisherBench } from '../../unit/replication/fake-sink.js';
import { plainRow, type CapturedStream, type ExpectedChange, type ExpectedWorkload } from './fixture.js';
import { ListeningSink, type HeardTransaction } from './listening-sink.js';
import type { StreamMessage } from './messages.js';

/** The types that a workload has made, from what the catalogue said. */
export function oidsOf({ domains, enums }: ExpectedWorkload['types']): OidDatabase {
  return new OidDatabase(new Map(domains), new Map(enums.map((oid) => [oid, { kind: 'enum' }])));
}

/** What handlers would be given of messages, by the decoder and the publisher. */
export function listen(
  messages: readonly StreamMessage[],
  options: CapturedStream['options'],
  oids: OidDatabase,
  isTwoPhase = false,
): HeardTransaction[] {
  const sink = new ListeningSink();
  const bench = new PublisherBench(sink);
  bench.types = { oids, format: options['binary'] === 'true' ? 'binary' : 'text' };
  bench.twoPhase = isTwoPhase;
  const connection = bench.connect();
  try {
    for (const { lsn, data } of messages) connection.send(lsn, data);
    if (connection.pace.fault !== undefined) throw connection.pace.fault;
  } finally {
    connection.publisher.streamed.close();
  }
  return sink.heard;
}

/** A change in the words that SQL's are written in. */
export function inWords(event: RowChange | LogicalMessageEvent): ExpectedChange {
  if (!('operation' in event)) return { op: 'message', prefix: event.prefix, content: event.text };
  const table = `${event.schema}.${event.table}`;
  switch (event.operation) {
    case 'insert':
      return { op: 'insert', table, record: plainRow(event.record) };
    case 'update': {
      const old = event.oldRecord === null ? null : plainRow(event.oldRecord);
      return { op: 'update', table, record: plainRow(event.record), old, unchangedToast: event.unchangedToast };
    }
    case 'delete':
      return { op: 'delete', table, old: plainRow(event.oldRecord ?? {}) };
    case 'truncate':
      return { op: 'truncate', table, cascade: event.cascade, restart: event.restartIdentity };
  }
}
