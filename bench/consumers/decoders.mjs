import { PgoutputPlugin } from 'pg-logical-replication';
import { pgconnection } from 'pgwire';
import { messagesOf } from '../support/recording.mjs';
import { deliver } from './delivery.mjs';
import { ENHANCERS, enhancedHandler } from './enhanced-handler.mjs';
import { OidDatabase } from '../../dist/decoder/oid-database.js';
import { PgOutputDecoder } from '../../dist/decoder/pgoutput.decoder.js';
import { RelationCache } from '../../dist/decoder/relation-cache.js';

/** By name: takes a recording, gives a function that decodes all of it once and reads every column. */
export const DECODERS = {
  'ours, decoded': (recording) => {
    const { starts, ends } = messagesOf(recording);
    return () => {
      const rows = new Rows();
      const oids = new OidDatabase();
      const decoder = new PgOutputDecoder(new RelationCache({ oids }), oids, rows, rows);
      for (let index = 0; index < starts.length; index++) decoder.decode(recording, starts[index], ends[index]);
      return rows;
    };
  },
  'ours, delivered': (recording) => async () => {
    const rows = new Rows();
    await deliver(recording, ({ record }) => rows.read(record));
    return rows;
  },
  'ours, delivered to an async handler': (recording) => async () => {
    const rows = new Rows();
    await deliver(recording, async ({ record }) => rows.read(record));
    return rows;
  },
  'ours, delivered in 8 lanes': (recording) => async () => {
    const rows = new Rows();
    await deliver(recording, async ({ record }) => rows.read(record), { concurrency: 8 });
    return rows;
  },
  'ours, delivered through nothing, by Nest': (recording) => enhanced(recording, []),
  'ours, delivered through a guard': (recording) => enhanced(recording, ['guard']),
  'ours, delivered through all enhancers': (recording) => enhanced(recording, Object.keys(ENHANCERS)),
  'ours, delivered through a schema': (recording) => enhanced(recording, [], { schema: PASSING }),
  'pg-logical-replication': (recording) => {
    const { starts, ends } = messagesOf(recording);
    const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['bench'] });
    return () => {
      const rows = new Rows();
      for (let index = 0; index < starts.length; index++) {
        const message = plugin.parse(recording.subarray(starts[index], ends[index]));
        if (message.tag === 'insert') rows.read(message.new);
      }
      return rows;
    };
  },
  pgwire: (recording) => {
    const { starts, ends } = messagesOf(recording);
    // Its decoder reads any stream of chunks with messages. One for all laps: each would make a class for the relation.
    const { pgoutputDecode } = pgconnection({ user: 'nobody' }).logicalReplication({ slot: 'none' });
    const decoded = pgoutputDecode.call(endless(recording, starts, ends));
    const chunksOfALap = Math.ceil(starts.length / MESSAGES_OF_A_CHUNK);
    return async () => {
      const rows = new Rows();
      for (let chunk = 0; chunk < chunksOfALap; chunk++) {
        const { value } = await decoded.next();
        for (const { tag, after } of value.messages) if (tag === 'insert') rows.read(after);
      }
      return rows;
    };
  },
};

/** Takes every row, and makes another of it: what is measured is what is around it. */
const PASSING = {
  '~standard': { version: 1, vendor: 'bench', validate: (row) => ({ value: { ...row } }) },
};

/** To a handler that the package has found in an application. */
async function enhanced(recording, enhancers, options) {
  let rows;
  const handler = await enhancedHandler(({ record }) => rows.read(record), enhancers, options);
  return async () => {
    rows = new Rows();
    await deliver(recording, handler);
    return rows;
  };
}

/** As many as a read of 64 KiB brings. */
const MESSAGES_OF_A_CHUNK = 800;
const RELATION = 0x52;

/** The recording over and over, its relation the first time only, as a connection has it. */
async function* endless(recording, starts, ends) {
  for (let lap = 0; ; lap++) {
    for (let from = 0; from < starts.length; from += MESSAGES_OF_A_CHUNK) {
      const messages = [];
      for (let index = from; index < Math.min(from + MESSAGES_OF_A_CHUNK, starts.length); index++) {
        if (lap > 0 && recording[starts[index]] === RELATION) continue;
        messages.push({ tag: 'XLogData', data: recording.subarray(starts[index], ends[index]) });
      }
      yield { messages };
    }
  }
}

/** Counts rows, and reads what they hold. */
class Rows {
  count = 0;
  sum = 0;

  read({ id, customer, amount, status }) {
    this.count++;
    this.sum += Number(id) + Number(customer) + String(amount).length + status.length;
  }

  // As the visitor of our decoder.
  begin() {}
  commit() {}
  relation(cached) {
    cached.interest = { mask: 1 };
  }
  insert(_relation, record) {
    this.read(record);
  }
}
