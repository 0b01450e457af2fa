import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnTransaction, type InsertChange } from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { recorderOf, TestApplications } from '../support/application.js';
import { connect, createDatabase, type TestDatabase } from '../support/database.js';
import { slotAndRecord } from '../support/own-tables.js';
import { sleep, waitFor } from '../support/wait.js';

@Injectable()
class EveryTransaction {
  static count = 0;
  @OnTransaction()
  onCommit(): void {
    EveryTransaction.count++;
  }
}

/** A server of its own: what is written to its log is looked at. */
describe('the recorded position of a slot', () => {
  let server: PostgresServer;
  let db: TestDatabase;
  const apps = new TestApplications();
  const { start } = apps;
  const state = () => slotAndRecord(db, db.slot());
  const position = async (sql: string): Promise<bigint> =>
    BigInt((await db.query(`SELECT ((${sql}) - '0/0')::text AS lsn`))[0].lsn);

  const holders = (): Promise<unknown[]> =>
    db.query('SELECT FROM pg_replication_slots WHERE active AND slot_name = $1', [db.slot()]);

  beforeAll(async () => {
    // As little as can be that is not ours. The timeout is more than a pause of this process: a stream that begins anew
    // is recorded out of turn.
    server = await startPostgres({
      settings: { wal_sender_timeout: '5s', autovacuum: 'off', checkpoint_timeout: '1h', bgwriter_delay: '10s' },
    });
  });
  beforeEach(async () => {
    db = await createDatabase(server.url);
    await db.query('CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE noise (id bigserial, filler text)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  it('never lags behind what is confirmed, and is written at most once a second', async () => {
    const recorder = recorderOf('orders');
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    const times = new Set<string>();
    const from = Date.now();
    const until = from + 4_500;
    let id = 0;
    while (Date.now() < until) {
      await db.query('INSERT INTO orders VALUES ($1)', [++id]);
      const { confirmed, recorded, recordedAt } = await state();
      expect(recorded >= confirmed).toBe(true);
      times.add(recordedAt);
    }
    const elapsed = Date.now() - from;
    const written = [...times].map((each) => Date.parse(each)).toSorted((a, b) => a - b);
    // The first is that of the take-over.
    const pauses = written.slice(2).map((each, index) => each - written[index + 1]!);
    console.log(`${id} transactions in 4.5 s: ${written.length - 1} records, pauses ${pauses.join(', ')} ms`);
    expect(written.length).toBeGreaterThanOrEqual(4);
    // By the clock of the one who writes: where the server is late to begin a record, the next one seems early. 990: a
    // timer may be a moment early.
    expect((written.length - 2) * 990).toBeLessThanOrEqual(elapsed);
    const last = await position('pg_current_wal_lsn()');
    await waitFor(() => recorder.changes.length === id, 'all changes');
    await app.close();
    const { confirmed, recorded } = await state();
    expect(recorded >= confirmed).toBe(true);
    // The last position, at the stop: not a second behind.
    expect(confirmed).toBeGreaterThan(last - 1_000n);
  });

  it('is not passed before the slot is taken over, although the stream runs already', async () => {
    const options = { connection: db.url, slot: db.slot() };
    await (await start(options, [recorderOf('orders')])).close();
    // Closing waits two seconds for the server's last word; the one that is looked for below is the next stream.
    await waitFor(async () => (await holders()).length === 0, 'the slot to be let go');
    const before = await state();
    const other = await connect(db.url);
    try {
      // Whoever takes over waits for it.
      await other.query('BEGIN');
      await other.query('SELECT FROM nestjs_pg_listener.slots FOR UPDATE');
      const { listener } = await start({ ...options, startup: { wait: false } }, [recorderOf('orders')]);
      await waitFor(async () => (await holders()).length === 1, 'the stream to be accepted');
      // Nobody wants anything of it: it could be confirmed at once.
      await db.query(`INSERT INTO noise (filler) SELECT repeat('x', 500) FROM generate_series(1, 4000)`);
      await sleep(1_500);
      const after = await state();
      expect(after.recorded).toBe(before.recorded);
      expect(after.confirmed <= after.recorded).toBe(true);
      expect(listener.status.state).toBe('connecting');
      await other.query('COMMIT');
      await waitFor(async () => (await state()).confirmed > before.recorded, 'the position to rise');
    } finally {
      await other.end();
    }
  });

  it('is in a table that our own publication does not bring, whatever it is asked for', async () => {
    const options = { connection: db.url, slot: db.slot() };
    await (await start(options, [recorderOf(['*', 'nestjs_pg_listener.*'])])).close();
    // Our tables are there by now.
    await start(options, [recorderOf(['*', 'nestjs_pg_listener.*'])]);
    const tables = await db.query('SELECT DISTINCT schemaname FROM pg_publication_tables');
    expect(tables).toEqual([{ schemaname: 'public' }]);
  });

  it('does not keep an idle listener busy, even where a publication brings our own tables', async () => {
    await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
    const recorder = recorderOf('*');
    await start({ connection: db.url, slot: db.slot(), publications: ['everything'] }, [recorder, EveryTransaction]);
    const { recorded } = await state();
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(async () => (await state()).epoch === 1 && recorder.changes.length === 1, 'the change');
    // What is handled is recorded, in its own time; what comes after that is idle.
    await waitFor(async () => (await state()).recorded > recorded, 'the record of the change');
    await sleep(2_500);
    const before = { ...(await state()), wal: await position('pg_current_wal_lsn()') };
    const transactions = EveryTransaction.count;
    await sleep(3_500);
    const after = { ...(await state()), wal: await position('pg_current_wal_lsn()') };
    console.log(`idle for 3.5 s under FOR ALL TABLES: the log grew by ${after.wal - before.wal} bytes`);
    expect(after.recordedAt).toBe(before.recordedAt);
    // Nothing, or what the server notes of running transactions.
    expect(after.wal - before.wal).toBeLessThan(200n);
    expect(transactions).toBe(1);
    expect(EveryTransaction.count).toBe(1);
  });

  it.each([['a publication of its own'], ['a publication for all tables']])(
    'rises beside foreign tables that are written, with %s',
    async (kind) => {
      const publications = kind.includes('all') ? ['everything'] : undefined;
      await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
      const options = { connection: db.url, slot: db.slot(), ...(publications && { publications }) };
      await start(options, [recorderOf('orders')]);
      const from = await state();
      for (let round = 0; round < 3; round++) {
        const before = (await state()).confirmed;
        await db.query(`INSERT INTO noise (filler) SELECT repeat('x', 500) FROM generate_series(1, 4000)`);
        await waitFor(async () => (await state()).confirmed - before > 1_048_576n, 'the position to rise');
      }
      const to = await state();
      expect(to.recorded - from.recorded).toBeGreaterThan(3n * 1_048_576n);
      expect(to.recorded >= to.confirmed).toBe(true);
    },
  );

  it('is taken from the slot where there is none yet', async () => {
    await db.query('SELECT pg_create_logical_replication_slot($1, $2)', [db.slot(), 'pgoutput']);
    await db.query(`CREATE PUBLICATION pg_listener_${db.slot()} FOR TABLE orders`);
    await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [db.slot()]);
    const app = await start({ connection: db.url, slot: db.slot() }, [recorderOf('orders')]);
    expect(app.listener.status.state).toBe('streaming');
    expect(await app.listener.gaps({ all: true })).toEqual([]);
    expect(await state()).toMatchObject({ epoch: 1 });
  });

  it('is not lost with the table: a stream that cannot record ends, and begins anew with the table made again', async () => {
    const recorder = recorderOf('orders');
    const { listener, logs } = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    await db.query('DROP SCHEMA nestjs_pg_listener CASCADE');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => listener.stats().reconnects === 1 && listener.status.state === 'streaming', 'a new stream');
    expect(logs.find('The position could not be recorded')).toBeDefined();
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(() => recorder.changes.length === 2, 'both');
    expect(recorder.changes.map((change) => (change as InsertChange).record['id'])).toEqual([1, 2]);
    expect((await state()).epoch).toBe(1);
  });
});
