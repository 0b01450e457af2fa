import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnTableChange,
  type DeleteChange,
  type InsertChange,
  type UpdateChange,
  type RetryOptions,
} from 'nestjs-pg-listener';
import { startApplication, type TestApplication } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { KEYED_ROWS, RowMirror, writeKeyedRows } from '../support/keyed-rows.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

/** A handler of the table `rows`. */
function rowHandler(options: { concurrency: number; retry?: RetryOptions }, run: (change: any) => unknown): Type {
  @Injectable()
  class RowHandler {
    @OnTableChange('rows', ['insert', 'update', 'delete'], options)
    handle(change: InsertChange | UpdateChange | DeleteChange): unknown {
      return run(change);
    }
  }
  return RowHandler;
}

/** As long as a query takes, or a call to somebody else. */
function randomDelay(): Promise<void> {
  return sleep(1 + Math.random() * 4);
}

describe('concurrency', () => {
  let db: TestDatabase;
  let app: TestApplication | undefined;
  let proxy: FaultProxy | undefined;
  beforeEach(async () => {
    db = await createDatabase();
    // A short timeout makes for frequent confirmations.
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '600ms'`);
    await db.query(KEYED_ROWS);
  });
  afterEach(async () => {
    await app?.close();
    await proxy?.close();
    app = proxy = undefined;
    await db.drop();
  });

  /** Whether the server has been told that the transaction committed there is done. */
  const isConfirmed = async (commitLsn: string | undefined): Promise<boolean> => {
    const [row] = await db.query(
      'SELECT confirmed_flush_lsn > $2::pg_lsn AS is FROM pg_replication_slots WHERE database = $1',
      [db.name, commitLsn],
    );
    return row.is;
  };

  async function expectMirrored(mirror: RowMirror, total: number): Promise<void> {
    await waitForCount(
      () => mirror.handled,
      total,
      () => `changes, with ${mirror.faults.slice(0, 3).join('; ')}; ${app!.logs.lines.slice(-5).join('\n')}`,
    );
    expect(mirror.faults.slice(0, 10)).toEqual([]);
    const rows = await db.query<{ id: number; version: number }>('SELECT id, version FROM rows ORDER BY id');
    expect([...mirror.rows].toSorted(([one], [two]) => one - two)).toEqual(
      rows.map(({ id, version }) => [id, version]),
    );
    expect(mirror.handled).toBe(total);
  }

  it('keeps the order of each of 10,000 keys in 16 lanes, with keys that change, and rows that go and come back', async () => {
    const mirror = new RowMirror();
    const lsns = new Set<string>();
    const handler = rowHandler({ concurrency: 16 }, (change) => {
      lsns.add(change.lsn);
      return mirror.apply(change, randomDelay);
    });
    app = await startApplication({ connection: db.url, slot: db.slot() }, [handler]);
    const writers = [0, 1, 2, 3].map((writer) =>
      writeKeyedRows(db.url, { first: writer * 2_500, count: 2_500, others: 100_000 + writer * 2_500 }, 300),
    );
    const total = (await Promise.all(writers)).reduce((sum, changes) => sum + changes, 0);
    await expectMirrored(mirror, total);
    expect(total).toBeGreaterThan(14_000);
    expect(mirror.mostRunning).toBe(16);
    const [{ last }] = await db.query('SELECT max(lsn::pg_lsn)::text AS last FROM unnest($1::text[]) lsn', [[...lsns]]);
    await waitFor(() => isConfirmed(last), 'the position to come to the end');
  }, 60_000);

  it('grows with the lanes', async () => {
    // The server must not take a pause of this process for its end.
    await db.query(`ALTER DATABASE ${db.name} RESET wal_sender_timeout`);
    const ROWS = 1_500;
    const STEP = 100;
    /** Changes a second. */
    const rate = async (lanes: number): Promise<number> => {
      let handled = 0;
      /** When each further hundred was done. */
      const marks: number[] = [];
      const handler = rowHandler({ concurrency: lanes }, async () => {
        await randomDelay();
        if (++handled % STEP === 0) marks.push(performance.now());
      });
      const mine = await startApplication({ connection: db.url, slot: db.slot(`lanes${lanes}`) }, [handler]);
      await db.query('INSERT INTO rows SELECT n, 1 FROM generate_series($1::int, $2::int) n', [
        lanes * 100_000,
        lanes * 100_000 + ROWS - 1,
      ]);
      while (handled < ROWS) await sleep(2);
      await mine.close();
      // The median: a pause of this process, which falls into one of them, tells nothing of the lanes.
      const times = marks.slice(1).map((mark, index) => mark - marks[index]!);
      const median = times.toSorted((one, two) => one - two)[Math.floor(times.length / 2)]!;
      return (STEP / median) * 1_000;
    };
    const [one, four, sixteen] = [await rate(1), await rate(4), await rate(16)];
    const told = [one, four, sixteen].map((each) => Math.round(each)).join(', ');
    console.log(`changes a second with handlers of 1 to 5 ms, in 1, 4 and 16 lanes: ${told}`);
    expect(four / one).toBeGreaterThan(2.5);
    expect(sixteen / one).toBeGreaterThan(6);
  }, 60_000);

  it('holds the position before a key that is blocked while others are done, and the next process gets it', async () => {
    const seen: number[] = [];
    const lsns = new Map<number, string>();
    const blocking = rowHandler(
      { concurrency: 4, retry: { attempts: 2, minDelayMs: 20, maxDelayMs: 100 } },
      async ({ lsn, record: { id } }) => {
        lsns.set(id, lsn);
        if (id === 7) throw new Error('not this one');
        seen.push(id);
      },
    );
    const slot = db.slot();
    app = await startApplication({ connection: db.url, slot }, [blocking]);
    await db.query('INSERT INTO rows VALUES (1, 1)');
    await db.query('INSERT INTO rows VALUES (7, 1)');
    for (let id = 100; id < 200; id++) await db.query('INSERT INTO rows VALUES ($1, 1)', [id]);
    await waitFor(() => seen.length === 101, 'the others');
    await waitFor(
      () => app!.listener.health().status === 'down' || app!.listener.stats().failures > 2,
      'a blocked key',
    );
    await waitFor(() => isConfirmed(lsns.get(1)), 'the position to pass what is done');
    // Several confirmations later.
    for (let look = 0; look < 15; look++) {
      expect(await isConfirmed(lsns.get(7))).toBe(false);
      await sleep(50);
    }
    await app.close();
    expect(await isConfirmed(lsns.get(7))).toBe(false);

    const next: number[] = [];
    const mended = rowHandler({ concurrency: 4 }, async ({ record: { id } }) => void next.push(id));
    app = await startApplication({ connection: db.url, slot }, [mended]);
    await waitFor(() => next.includes(7) && next.includes(199), 'what was blocked, and what was ahead of it');
    expect(next).not.toContain(1);
    await waitFor(() => isConfirmed(lsns.get(7)), 'the position to move on');
  });

  it('hands nothing over twice and loses nothing in one process where the connection is cut', async () => {
    // The only cuts are those made here, see above.
    await db.query(`ALTER DATABASE ${db.name} RESET wal_sender_timeout`);
    proxy = await startProxy(new URL(db.url));
    const mirror = new RowMirror();
    const handler = rowHandler({ concurrency: 8 }, (change) => mirror.apply(change, randomDelay));
    app = await startApplication({ connection: proxy.through(db.url), slot: db.slot() }, [handler]);
    const writing = writeKeyedRows(db.url, { first: 0, count: 500, others: 100_000 }, 1_000);
    for (let cut = 0; cut < 4; cut++) {
      const reached = mirror.handled;
      await waitFor(() => app!.listener.stats().reconnects === cut && mirror.handled > reached + 100, 'busy lanes');
      proxy.cut();
    }
    await expectMirrored(mirror, await writing);
    // What was in hand at the last cut may be all that was left: it is handled without a new stream.
    await waitFor(() => app!.listener.stats().reconnects >= 4, 'the last new stream');
    expect(app.listener.stats().reconnects).toBe(4);
  }, 60_000);

  it('of synchronous handlers starves no timer', async () => {
    // Less than all handlers take together; more than a pause of this process.
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '3s'`);
    const HANDLER_MS = 0.5;
    const ROWS = 8_000;
    let handled = 0;
    const handler = rowHandler({ concurrency: 4 }, () => {
      handled++;
      const end = performance.now() + HANDLER_MS;
      while (performance.now() < end);
    });
    app = await startApplication({ connection: db.url, slot: db.slot() }, [handler]);
    await db.query('INSERT INTO rows SELECT n, 1 FROM generate_series(1, $1::int) n', [ROWS]);
    await waitFor(() => handled > 0, 'the first');
    // Counted in handlers, not in time: a pause of this process is no doing of theirs.
    let most = 0;
    let before = handled;
    const timer = setInterval(() => {
      most = Math.max(most, handled - before);
      before = handled;
    }, 5);
    await waitForCount(
      () => handled,
      ROWS,
      () => app!.logs.lines.join('\n'),
    );
    clearInterval(timer);
    expect(most * HANDLER_MS).toBeLessThan(300);
    expect(app.listener.stats().reconnects).toBe(0);
  });
});
