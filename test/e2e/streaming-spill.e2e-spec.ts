import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { OnTableChange, OnTransaction, type Change, type Transaction } from 'nestjs-pg-listener';
import { startScript } from '../support/child.js';
import { slotToBeFree } from '../support/database.js';
import { StreamingBench } from '../support/streaming.js';
import { sleep, waitFor } from '../support/wait.js';
import { openSpillFiles } from '../unit/events/whole/captured-changes.js';

const COUNT = 3000;
const rows = (from: number): string =>
  `INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(${from}, ${from + COUNT - 1}) AS i`;
const inserts = (from: number): string[] => Array.from({ length: COUNT }, (_, at) => `insert ${from + at}`);
/** Far less than the rows are together. */
const SMALL = { limits: { bytes: 100_000 } };

describe('what is kept of transactions in progress', () => {
  let bench: StreamingBench;
  let one: pg.Client;

  beforeEach(async () => {
    bench = await StreamingBench.open();
    await bench.query(`CREATE TABLE t (a int PRIMARY KEY, b text)`);
    one = await bench.session();
  });
  afterEach(async () => {
    await one.end();
    await bench.close();
    expect(openSpillFiles(tmpdir())).toEqual([]);
  });

  const files = (count: number): Promise<unknown> =>
    waitFor(
      () => openSpillFiles(tmpdir()).length === count,
      () => `${count} files; there are ${openSpillFiles(tmpdir()).length}`,
    );
  const stateIs = async (state: string): Promise<void> => {
    await waitFor(
      () => bench.listener.status.state === state,
      () => `${state}; it is ${bench.listener.status.state}`,
    );
  };

  it('stays in memory up to limits.bytes', async () => {
    await bench.start({ limits: { bytes: 16 * 1024 * 1024 } });
    await one.query(`BEGIN; ${rows(1)}`);
    await bench.caughtUp();
    expect(openSpillFiles(tmpdir())).toEqual([]);
    await one.query('COMMIT');
    await bench.caughtUp();
    expect(bench.heard).toEqual(inserts(1));
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  });

  it('goes to a file that nobody else can read, which is gone after the commit', async () => {
    await bench.start(SMALL);
    await one.query(`BEGIN; ${rows(1)}`);
    await files(1);
    const file = statSync(openSpillFiles(tmpdir())[0]!);
    expect(file.mode & 0o777).toBe(0o600);
    await bench.caughtUp();
    const { size } = statSync(openSpillFiles(tmpdir())[0]!);
    expect(size).toBeGreaterThan(COUNT * 300 - 300_000);
    expect(bench.listener.stats().inProgress).toMatchObject({ transactions: 1, diskBytes: size });
    expect(bench.heard).toEqual([]);
    await one.query(`INSERT INTO t VALUES (0, 'last'); COMMIT`);
    await bench.caughtUp();
    await files(0);
    expect(bench.listener.stats().inProgress).toEqual({ transactions: 0, memoryBytes: 0, diskBytes: 0 });
    expect(bench.heard).toEqual([...inserts(1), 'insert 0']);
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  });

  it('is gone after a rollback; one to a savepoint drops what came behind it', async () => {
    await bench.start(SMALL);
    await one.query(`BEGIN; ${rows(1)}; SAVEPOINT s; ${rows(10_001)}; ROLLBACK TO s; ${rows(20_001)}`);
    const two = await bench.session();
    try {
      await two.query(`BEGIN; ${rows(30_001)}`);
      await files(2);
      await two.query('ROLLBACK');
      await files(1);
    } finally {
      await two.end();
    }
    await one.query('COMMIT');
    await bench.caughtUp();
    await files(0);
    expect(bench.heard).toEqual([...inserts(1), ...inserts(20_001)]);
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  });

  it('is gone after a lost connection, and comes again on the next one', async () => {
    await bench.start(SMALL);
    await one.query(`BEGIN; ${rows(1)}`);
    await files(1);
    await bench.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1`, [
      bench.db.slot('streamed'),
    ]);
    await stateIs('backing-off');
    expect(openSpillFiles(tmpdir())).toEqual([]);
    await stateIs('streaming');
    await files(1);
    await one.query('COMMIT');
    await bench.caughtUp();
    await files(0);
    expect(bench.heard).toEqual(inserts(1));
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
    expect(bench.listener.stats().reconnects).toBe(1);
  });

  it('is gone after a stop; what others have committed meanwhile is confirmed, and nothing of it is lost', async () => {
    await bench.start(SMALL);
    const [{ start }] = await bench.query('SELECT pg_current_wal_lsn()::text AS start');
    await one.query(`BEGIN; ${rows(1)}`);
    await files(1);
    await bench.caughtUp();
    await waitFor(async () => {
      const sql = `SELECT confirmed_flush_lsn > $2::pg_lsn AS moved FROM pg_replication_slots WHERE slot_name = $1`;
      return (await bench.query(sql, [bench.db.slot('streamed'), start]))[0].moved;
    }, 'the position to go on past the beginning of the transaction');
    await bench.listener.stop();
    expect(openSpillFiles(tmpdir())).toEqual([]);
    await slotToBeFree(bench.db, bench.db.slot('streamed'));
    await one.query('COMMIT');
    await bench.listener.start();
    await bench.caughtUp();
    expect(bench.heard).toEqual(inserts(1));
    expect(bench.streamed.entries).toEqual(bench.plain.entries);
  });

  it('halts the app where the disk is full, and loses nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'streaming-spec-'));
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder], { encoding: 'utf8' });
    // No small file system can be mounted everywhere: a folder that is not there is as full.
    const isFull = mount.status === 0;
    if (!isFull) rmdirSync(folder);
    const child = startScript('streaming-child', [bench.db.url, bench.db.slot('streamed'), folder]);
    const told = <T>(key: string, value?: unknown): Promise<T> =>
      waitFor(
        () => child.messages.findLast((each) => key in each && (value === undefined || each[key] === value)),
        () => `${key} ${String(value)}; ${JSON.stringify(child.messages.slice(-3))} ${child.output()}`,
      ) as Promise<T>;
    try {
      await told('state', 'streaming');
      await one.query(`BEGIN; ${rows(1)}`);
      const { error } = await told<{ error: Error }>('state', 'halted');
      expect(error).toMatchObject({ name: 'SpillError', code: 'PG_LISTENER_SPILL' });
      const place = `${folder}: ${isFull ? 'ENOSPC' : 'ENOENT'}\n  How to mend it: set TMPDIR`;
      expect(error.message).toMatch(/^Transactions in progress \(`streaming`, `twoPhase`\) are above limits\.bytes/);
      expect(error.message).toContain(place);
      if (isFull) expect(readdirSync(folder)).toEqual([]);
      child.process.send(tmpdir());
      await one.query(`COMMIT; INSERT INTO t VALUES (0, 'behind it')`);
      const { ids } = await told<{ ids: number[] }>('ids');
      expect(ids).toEqual([...Array.from({ length: COUNT }, (_, at) => at + 1), 0]);
    } finally {
      await child.kill();
      if (isFull) {
        spawnSync('umount', [folder]);
        rmdirSync(folder);
      }
    }
  });

  it('is handed over as fast as it is handled: nothing is read meanwhile, and the connection is kept', async () => {
    await bench.query(`ALTER DATABASE ${bench.db.name} SET wal_sender_timeout = '1s'`);
    let [running, most, turns] = [0, 0, 0];
    const ids: unknown[] = [];
    @Injectable()
    class Slow {
      @OnTableChange('t')
      async row(change: Change): Promise<void> {
        most = Math.max(most, ++running);
        await sleep(2);
        running--;
        ids.push('record' in change ? change.record['a'] : change.operation);
      }
    }
    const app = await bench.startOne({ limits: { bytes: 100_000, changes: 50 } }, Slow);
    const ticker = setInterval(() => turns++, 10);
    try {
      const begun = Date.now();
      await one.query(`BEGIN; ${rows(1)}; COMMIT; INSERT INTO t VALUES (0, 'behind it')`);
      await waitFor(
        () => ids.length === COUNT + 1,
        () => `all; ${ids.length} came`,
        30_000,
      );
      expect(Date.now() - begun).toBeGreaterThan(3000);
      expect(turns).toBeGreaterThan((Date.now() - begun) / 40);
    } finally {
      clearInterval(ticker);
    }
    expect(most).toBe(1);
    expect(ids).toEqual([...Array.from({ length: COUNT }, (_, at) => at + 1), 0]);
    expect(app.listener.stats().reconnects).toBe(0);
  }, 60_000);

  it('is finished by a stop in the middle of it, which hands nothing over twice', async () => {
    const ids: unknown[] = [];
    @Injectable()
    class Slow {
      @OnTableChange('t')
      async row(change: Change): Promise<void> {
        await sleep(1);
        ids.push('record' in change ? change.record['a'] : change.operation);
      }
    }
    const app = await bench.startOne({ limits: { bytes: 100_000, changes: 50 }, shutdownTimeoutMs: 25_000 }, Slow);
    await one.query(`BEGIN; ${rows(1)}; COMMIT; INSERT INTO t VALUES (0, 'behind it')`);
    await waitFor(() => ids.length > 50, 'the beginning of it');
    await app.listener.stop();
    expect(ids).toEqual(Array.from({ length: COUNT }, (_, at) => at + 1));
    await slotToBeFree(bench.db, bench.db.slot('streamed'));
    await app.listener.start();
    await waitFor(() => ids.length > COUNT, 'what is behind it');
    expect(ids.slice(COUNT)).toEqual([0]);
  }, 60_000);

  it('in the middle of its replay goes with a lost connection, and goes on where it was', async () => {
    // A paused socket does not tell of its end: status updates find out, and there are more of them then.
    await bench.query(`ALTER DATABASE ${bench.db.name} SET wal_sender_timeout = '1s'`);
    const ids: unknown[] = [];
    @Injectable()
    class Slow {
      @OnTableChange('t')
      async row(change: Change): Promise<void> {
        await sleep(1);
        ids.push('record' in change ? change.record['a'] : change.operation);
      }
    }
    const app = await bench.startOne({ limits: { bytes: 100_000, changes: 50 } }, Slow);
    await one.query(`BEGIN; ${rows(1)}; COMMIT; INSERT INTO t VALUES (0, 'behind it')`);
    await waitFor(() => ids.length > 50, 'the beginning of it');
    await bench.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1`, [
      bench.db.slot('streamed'),
    ]);
    await waitFor(() => app.listener.stats().reconnects > 0, 'the next connection');
    expect(ids.length).toBeLessThan(COUNT);
    await waitFor(() => ids.length > COUNT, 'all', 30_000);
    expect(ids).toEqual([...Array.from({ length: COUNT }, (_, at) => at + 1), 0]);
  }, 60_000);

  it('is given to @OnTransaction as a whole, and to observables', async () => {
    const seen: number[][] = [];
    @Injectable()
    class Whole {
      @OnTransaction()
      async whole(transaction: Transaction): Promise<void> {
        const ids: number[] = [];
        for await (const change of transaction.changes) if ('record' in change) ids.push(Number(change.record['a']));
        seen.push(ids);
      }
    }
    const options = { limits: { bytes: 100_000, changes: 100 }, subscriptions: ['t'] };
    const app = await bench.startOne(options, Whole);
    const sizes: number[] = [];
    app.listener.transactions().subscribe(({ size }) => sizes.push(size));
    await one.query(
      `BEGIN; ${rows(1)}; SAVEPOINT s; ${rows(10_001)}; ROLLBACK TO s; COMMIT; INSERT INTO t VALUES (0, 'x')`,
    );
    await waitFor(() => seen.length === 2, 'both');
    expect(seen).toEqual([Array.from({ length: COUNT }, (_, at) => at + 1), [0]]);
    expect(sizes).toEqual([COUNT, 1]);
  });
});
