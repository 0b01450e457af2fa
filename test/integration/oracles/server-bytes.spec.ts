import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { PgListenerOptions } from 'nestjs-pg-listener';
import { OidDatabase } from '#lib/decoder/oid-database.js';
import { TestApplications } from '../../support/application.js';
import { createDatabase, type TestDatabase } from '../../support/database.js';
import { plainRow } from '../../support/oracles/fixture.js';
import { peek, type PluginOptions, type StreamMessage } from '../../support/oracles/messages.js';
import { listen } from '../../support/oracles/replay-fixture.js';
import { DecoderTap } from '../../support/oracles/tap.js';
import { Workload, WORKLOAD_DDL, type WorkloadOptions } from '../../support/oracles/workload.js';
import { sequenceRecorder } from '../../support/streaming.js';
import { printSeed, SEED } from '../../support/values/property.js';
import { startPostgres, type PostgresServer } from '../../support/versioned-postgres.js';
import { waitFor } from '../../support/wait.js';

printSeed('server bytes');

const TRANSACTIONS = 60;
const MARKER = 'the end of the workload';
const STREAM_ABORT = 0x41; // A
const isBegin = ({ data }: StreamMessage): boolean => data[0] === 0x42 || data[0] === 0x62;

/** Up to the end of the transaction that has the marker. */
function upToMarker(messages: readonly StreamMessage[]): StreamMessage[] {
  const marked = messages.findLastIndex(({ data }) => data[0] === 0x4d && data.includes(MARKER));
  const end = messages.findIndex(({ data }, index) => index > marked && (data[0] === 0x43 || data[0] === 0x63));
  return marked < 0 || end < 0 ? [] : messages.slice(0, end + 1);
}

/**
 * Without descriptions that say what has been said: the server repeats one whenever anybody has touched what it keeps in
 * mind of the catalogue, sooner on one connection than on another. And without what 18 tells, unasked, of the end of a large
 * transaction that was rolled back, where it came upon its beginning in time.
 */
function withoutRepetition(messages: readonly StreamMessage[]): StreamMessage[] {
  const said = new Map<string, Buffer>();
  return messages.filter(({ data }) => {
    if (data[0] === STREAM_ABORT) return false;
    if (data[0] !== 0x52 && data[0] !== 0x59) return true;
    const of = data.toString('hex', 0, 5);
    if (said.get(of)?.equals(data)) return false;
    said.set(of, data);
    return true;
  });
}

/**
 * What the server itself says over SQL that a slot would send (manual, section 9.28.6) is held against what our stream
 * brings from a slot of the same position.
 */
describe('the bytes of the stream', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  let tap: DecoderTap;
  let version: number;
  const apps = new TestApplications();

  beforeAll(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: '10', autovacuum: 'off' } });
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    tap = new DecoderTap();
    db = await createDatabase(server.url);
    await db.query(`${WORKLOAD_DDL}; CREATE PUBLICATION pub FOR TABLE plain, whole, keyed, toasted, leaf, "Odd Name"`);
    await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
    version = (await db.query(`SELECT current_setting('server_version_num')::int AS version`))[0].version;
  });
  afterEach(async () => {
    tap.close();
    await apps.close();
    await db.drop();
  });

  /** Runs a workload under an app; the other slot begins where that one's does. */
  async function run(options: Partial<PgListenerOptions>, workload: Partial<WorkloadOptions> = {}) {
    const [slot, copy] = [db.slot('original'), db.slot('copy')];
    const recorder = sequenceRecorder();
    const app = { connection: db.url, slot, publications: ['pub'], ...options };
    await apps.start(app as PgListenerOptions, [recorder]);
    const sql =
      workload.rollsBack === false
        ? `SELECT pg_create_logical_replication_slot($2, 'pgoutput', false, true), $1::text`
        : 'SELECT pg_copy_logical_replication_slot($1, $2)';
    await db.query(sql, [slot, copy]);
    await new Workload(db.client, { seed: SEED, transactions: TRANSACTIONS, ...workload }).run();
    await db.query(`SELECT pg_logical_emit_message(true, 'outbox', '${MARKER}')`);
    await waitFor(() => hasEnded(slot), 'the marker', 30_000);
    const ours = tap.of(slot);
    return { ours: upToMarker(ours.messages), parts: ours.parts, options: ours.options, recorder, copy };
  }
  const hasEnded = (slot: string): boolean => upToMarker(tap.of(slot).messages).length > 0;

  /** On the wire, what comes with another message behind it has no place of its own. */
  function expectTheSameBytes(ours: readonly StreamMessage[], theirs: readonly StreamMessage[]): void {
    const first = theirs.find(isBegin)!;
    const begin = ours.findIndex((message) => isBegin(message) && message.data.equals(first.data));
    expect(begin).toBeGreaterThanOrEqual(0);
    const mine = withoutRepetition(ours.slice(begin));
    const others = withoutRepetition(theirs.slice(theirs.indexOf(first)));
    const text = ({ data }: StreamMessage): string => data.toString('latin1');
    expect(mine.length).toBeGreaterThan(100);
    expect(mine.map(text)).toEqual(others.map(text));
    const misplaced = mine.filter(({ lsn, data }, index) => {
      const isAlone = !'RYBb'.includes(String.fromCharCode(data[0]!));
      return lsn !== others[index]!.lsn && (isAlone || lsn !== 0n);
    });
    expect(misplaced).toEqual([]);
  }

  describe.each(['text', 'binary'] as const)('in %s', (format) => {
    const binary = format === 'binary';

    it('are those that the server tells over SQL, message by message', async () => {
      const { ours, options, copy } = await run({ binary });
      expect(options['binary']).toBe(binary ? 'true' : undefined);
      expectTheSameBytes(ours, upToMarker(await peek(db.client, copy, options)));
    });

    // Of one that was rolled back since, the server tells no rows any more.
    it('are those that the server tells over SQL, where transactions are prepared', async () => {
      if (version < 150_000) return process.stderr.write('not before PostgreSQL 15: two-phase commit\n') && undefined;
      const { ours, options, copy } = await run({ binary, twoPhase: true }, { gid: db.name, rollsBack: false });
      expect(ours.some(({ data }) => data[0] === 0x4b)).toBe(true);
      expectTheSameBytes(ours, upToMarker(await peek(db.client, copy, options)));
    });

    it.each([false, true])(
      'have the effects of those that come whole, where they come in parts; prepared: %s',
      async (twoPhase) => {
        if (twoPhase && version < 150_000)
          return process.stderr.write('not before PostgreSQL 15: two-phase commit\n') && undefined;
        // From 16 on, every change is a part; before, what is large.
        if (version >= 160_000 && format === 'text')
          await db.query(`ALTER DATABASE ${db.name} SET debug_logical_replication_streaming = 'immediate'`);
        const { parts, recorder } = await run(
          { binary, streaming: true, twoPhase },
          // Servers tell no more of what was rolled back than that it was, and so such a transaction comes again as a whole.
          { transactions: TRANSACTIONS * 2, ...(twoPhase ? { gid: db.name } : {}) },
        );
        expect(parts).toBeGreaterThan(0);
        tap.close();
        const whole: PluginOptions = { proto_version: '1', publication_names: '"pub"', messages: 'true' };
        const domains = await db.query('SELECT oid::int, typbasetype::int AS base FROM pg_type WHERE typtype = $1', [
          'd',
        ]);
        const oids = new OidDatabase(new Map(domains.map(({ oid, base }) => [oid, base])));
        const plain = db.slot('copy');
        const theirs = listen(upToMarker(await peek(db.client, plain, whole)), {}, oids);
        const rows = theirs.flatMap(({ events }) => events.filter((event) => 'operation' in event));
        const words = (change: object): object => {
          const { operation, table, id, xid, index, record, oldRecord, changedColumns, unchangedToast } =
            change as Record<string, any>;
          const images = [record, oldRecord].map((row) => (row === undefined || row === null ? row : plainRow(row)));
          // Binary tells of -0 and the like as text does; which bytes have changed may differ by format alone.
          return { operation, table, id, xid, index, images, changedColumns, unchangedToast };
        };
        await waitFor(
          () => recorder.changes.length >= rows.length,
          () => `${recorder.changes.length} of ${rows.length}`,
        );
        expect(recorder.changes.map(words)).toEqual(rows.map(words));
      },
    );
  });
});
