import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnTableChange, type Change } from 'nestjs-pg-listener';
import { slotToBeFree } from '../support/database.js';
import { sequenceRecorder, StreamingBench } from '../support/streaming.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { sleep, waitFor } from '../support/wait.js';

const MANY = 400;
const rows = (from: number): string =>
  `INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(${from}, ${from + MANY - 1}) AS i`;
const inserts = (from: number): string[] => Array.from({ length: MANY }, (_, at) => `insert ${from + at}`);

/** Named after the tests of PostgreSQL's own subscriptions (src/test/subscription/t) whose cases they take over. */
describe('two-phase commit', () => {
  // Its own server: what is prepared holds up whoever makes a slot, in every database.
  let server: PostgresServer;
  let bench: StreamingBench;

  beforeAll(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: '10' } });
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    bench = await StreamingBench.open(server.url);
    await bench.query(`CREATE TABLE t (a int PRIMARY KEY, b text)`);
  });
  afterEach(async () => {
    for (const { gid } of await bench.query('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()'))
      await bench.query(`ROLLBACK PREPARED '${gid}'`);
    await bench.close();
  });

  // Names are those of the cluster.
  const gid = (name: string): string => `${bench.db.name} ${name}`;
  const slot = (): string => bench.db.slot('streamed');
  const expectTheSame = async (): Promise<void> => {
    await bench.caughtUp();
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  };
  const confirmed = async (): Promise<string> => {
    const sql = 'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1';
    return (await bench.query(sql, [slot()]))[0].lsn;
  };
  const isBehind = async (one: string, other: string): Promise<boolean> =>
    (await bench.query('SELECT $1::pg_lsn < $2::pg_lsn AS behind', [one, other]))[0].behind;
  const isOld = async (): Promise<boolean> =>
    (await bench.query(`SELECT current_setting('server_version_num')::int < 150000 AS old`))[0].old;

  describe.each([
    ['021 twophase', false],
    ['023 twophase stream', true],
  ])('%s', (_name, streaming) => {
    it('a plain slot brings what was prepared at COMMIT PREPARED, and never what was rolled back', async () => {
      await bench.start({}, { streaming });
      await bench.query(`BEGIN; ${rows(1)}; PREPARE TRANSACTION '${gid('one')}'`);
      await bench.query(`BEGIN; ${rows(1001)}; PREPARE TRANSACTION '${gid('two')}'`);
      await bench.query(`INSERT INTO t VALUES (5000, 'between')`);
      await bench.caughtUp();
      expect(bench.heard).toEqual(['insert 5000']);
      await bench.query(`COMMIT PREPARED '${gid('two')}'`);
      await bench.query(`ROLLBACK PREPARED '${gid('one')}'`);
      await expectTheSame();
      expect(bench.heard).toEqual(['insert 5000', ...inserts(1001)]);
    });

    it('a two-phase slot brings the same, although it gets the rows when they are prepared', async () => {
      if (await isOld()) return;
      await bench.start({}, { streaming, twoPhase: true });
      await bench.query(`
        BEGIN; ${rows(1)}; SAVEPOINT s; ${rows(1001)}; ROLLBACK TO s; UPDATE t SET b = 'y' WHERE a = 2;
        PREPARE TRANSACTION '${gid('one')}'`);
      await bench.query(`BEGIN; ${rows(2001)}; ROLLBACK`);
      await bench.query(`BEGIN; ${rows(2001)}; PREPARE TRANSACTION '${gid('two')}'`);
      await bench.query(`INSERT INTO t VALUES (5000, 'between')`);
      await bench.caughtUp();
      expect(bench.heard).toEqual(['insert 5000']);
      await bench.query(`COMMIT PREPARED '${gid('two')}'`);
      await bench.query(`COMMIT PREPARED '${gid('one')}'`);
      await bench.query(`BEGIN; ${rows(3001)}; PREPARE TRANSACTION '${gid('one')}'`);
      await bench.query(`ROLLBACK PREPARED '${gid('one')}'`);
      await bench.query(`BEGIN; PREPARE TRANSACTION '${gid('one')}'`);
      await bench.query(`COMMIT PREPARED '${gid('one')}'`);
      await expectTheSame();
      expect(bench.heard).toEqual(['insert 5000', ...inserts(2001), ...inserts(1), 'update 2']);
      const [{ two_phase }] = await bench.query('SELECT two_phase FROM pg_replication_slots WHERE slot_name = $1', [
        slot(),
      ]);
      expect(two_phase).toBe(true);
    });

    it('the position stays before what is prepared, so that a restart brings it again', async () => {
      if (await isOld()) return;
      await bench.start({}, { streaming, twoPhase: true });
      await bench.query(`BEGIN; ${rows(1)}`);
      const [{ before }] = await bench.query('SELECT pg_current_wal_insert_lsn()::text AS before');
      await bench.query(`PREPARE TRANSACTION '${gid('one')}'`);
      const [{ behind }] = await bench.query('SELECT pg_current_wal_insert_lsn()::text AS behind');
      await bench.query(`INSERT INTO t VALUES (5000, 'between')`);
      await bench.caughtUp();
      await waitFor(
        async () => !(await isBehind(await confirmed(), before)),
        'the position to come to the preparation',
      );
      await bench.listener.stop();
      await slotToBeFree(bench.db, slot());
      expect(await isBehind(await confirmed(), behind)).toBe(true);

      // Another process: what it was not told of is new to it.
      const second = sequenceRecorder();
      const options = {
        connection: bench.db.url,
        publications: ['everything'],
        slot: slot(),
        streaming,
        twoPhase: true,
      };
      await bench.apps.start(options, [second]);
      await waitFor(() => second.changes.length > 1, 'the row between');
      await bench.query(`COMMIT PREPARED '${gid('one')}'`);
      await bench.query(`INSERT INTO t VALUES (5001, 'behind')`);
      await waitFor(
        () => second.changes.length >= MANY + 3,
        () => `all; ${second.changes.length} came`,
      );
      expect(second.changes.map((change) => 'record' in change && change.record['a']).filter(Boolean)).toEqual([
        5000,
        ...Array.from({ length: MANY }, (_, at) => at + 1),
        5001,
      ]);
      await waitFor(async () => !(await isBehind(await confirmed(), behind)), 'the position to go past the commit');
    });
  });

  it('what a table was when a row was prepared is what it is read by', async () => {
    if (await isOld()) return;
    await bench.query('CREATE PUBLICATION columns FOR TABLE t; CREATE TABLE other (a int PRIMARY KEY)');
    const publications = ['columns'];
    await bench.start({ publications }, { streaming: false, twoPhase: true });
    await bench.query(`BEGIN; INSERT INTO t VALUES (1, 'x'); PREPARE TRANSACTION '${gid('one')}'`);
    // It takes no lock that the prepared one has.
    await bench.query('ALTER PUBLICATION columns SET TABLE t (a), markers');
    await bench.query(`INSERT INTO t VALUES (2, 'y')`);
    await bench.query(`COMMIT PREPARED '${gid('one')}'`);
    await bench.query(`INSERT INTO t VALUES (3, 'z')`);
    await bench.caughtUp();
    const records = bench.streamed.changes.slice(0, -1).map((change) => 'record' in change && change.record);
    expect(records).toEqual([{ a: 2 }, { a: 1, b: 'x' }, { a: 3 }]);
  });

  it('what was prepared before the slot could send it comes with its commit, and takes the position nowhere back', async () => {
    if (await isOld()) return;
    // A slot is made of what begins after some have ended, and sends two-phase from where others have.
    const [first, second, maker] = [await bench.session(), await bench.session(), await bench.session()];
    const waiting = async (waitsFor: unknown): Promise<void> => {
      const sql = `SELECT FROM pg_locks WHERE NOT granted AND pid = $1 AND transactionid::text = $2`;
      await waitFor(async () => (await bench.query(sql, [makerPid, waitsFor])).length > 0, 'the slot to wait');
    };
    const xid = async (client: typeof first): Promise<unknown> =>
      (await client.query('SELECT pg_current_xact_id()::text AS xid')).rows[0].xid;
    const makerPid = (await maker.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
    try {
      await first.query('BEGIN');
      const firstXid = await xid(first);
      const making = maker.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, true)`, [slot()]);
      await waiting(firstXid);
      await second.query('BEGIN');
      const secondXid = await xid(second);
      await first.query('COMMIT');
      await waiting(secondXid);
      await bench.query(`BEGIN; INSERT INTO t VALUES (1, 'late'); PREPARE TRANSACTION '${gid('late')}'`);
      await second.query('COMMIT');
      await making;
    } finally {
      await Promise.all([first.end(), second.end(), maker.end()]);
    }
    await bench.query(`ALTER DATABASE ${bench.db.name} SET wal_sender_timeout = '1s'`);
    const seen: unknown[] = [];
    let release = (): void => undefined;
    @Injectable()
    class Slow {
      @OnTableChange('t')
      async row(change: Change): Promise<void> {
        seen.push('record' in change && change.record['a']);
        if (seen.length === 2) await new Promise<void>((resolve) => (release = resolve));
      }
    }
    const { listener } = await bench.startOne({ twoPhase: true }, Slow);
    await bench.query(`INSERT INTO t VALUES (2, 'before')`);
    const [{ behind }] = await bench.query('SELECT pg_current_wal_insert_lsn()::text AS behind');
    await waitFor(async () => !(await isBehind(listener.stats().confirmedLsn ?? '0/0', behind)), 'the position');
    await bench.query(`COMMIT PREPARED '${gid('late')}'`);
    await waitFor(() => seen.length === 2, 'what was prepared');
    // Three status updates.
    await sleep(1_000);
    expect(await isBehind(listener.stats().confirmedLsn!, behind)).toBe(false);
    release();
    await bench.query(`INSERT INTO t VALUES (3, 'after')`);
    await waitFor(() => seen.length === 3, 'the last');
    expect(seen).toEqual([2, 1, 3]);
  });

  it('a slot of the other kind stops the boot, with the mend', async () => {
    if (await isOld()) {
      await expect(bench.start({}, { twoPhase: true })).rejects.toMatchObject({
        code: 'PG_LISTENER_SERVER_SETUP',
        message: expect.stringContaining('`twoPhase` needs PostgreSQL 15'),
      });
      const temporary = { connection: bench.db.url, slot: 'temporary', twoPhase: true };
      await expect(bench.apps.start(temporary, [sequenceRecorder()])).rejects.toThrow('needs PostgreSQL 15');
      return;
    }
    await bench.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, true)`, [
      bench.db.slot('streamed'),
    ]);
    await expect(bench.start()).rejects.toMatchObject({
      code: 'PG_LISTENER_SLOT',
      message: expect.stringContaining('has two-phase decoding on, which nobody asked for'),
    });
    await expect(
      bench.apps.start({ connection: bench.db.url, slot: bench.db.slot('plain'), twoPhase: true }, [
        sequenceRecorder(),
      ]),
    ).rejects.toMatchObject({
      code: 'PG_LISTENER_SLOT',
      message: expect.stringMatching(/`twoPhase` is set, but the slot .* was made without it/),
    });
  });

  it('a preparation that the slot was moved past is told, not passed over', async () => {
    if (await isOld()) return;
    await bench.start({}, { twoPhase: true });
    await bench.query(`BEGIN; ${rows(1)}; PREPARE TRANSACTION '${gid('one')}'`);
    await bench.caughtUp();
    await bench.listener.stop();
    await slotToBeFree(bench.db, slot());
    await bench.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot()]);
    await bench.query(`COMMIT PREPARED '${gid('one')}'`);
    await bench.listener.start().catch(() => undefined);
    await waitFor(() => bench.listener.status.state === 'halted', 'the app to halt');
    expect(String((bench.listener.status as { error?: Error }).error)).toMatch(
      /GapError|comes without its rows: the slot was moved past its preparation/,
    );
  });
});
