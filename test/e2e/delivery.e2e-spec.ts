import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { of, delay } from 'rxjs';
import {
  OnTableChange,
  OnTransaction,
  type Change,
  type InsertChange,
  type PgListenerContext,
  type Transaction,
} from 'nestjs-pg-listener';
import { parseLsn } from '#lib/protocol/lsn.js';
import { recorderOf, TestApplications } from '../support/application.js';
import { connect, createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';
import { sleep, waitFor } from '../support/wait.js';

const idOf = (change: Change): number => Number((change as InsertChange).record['id']);

describe('delivery: at least once, in order, position held by unfinished work', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  const { start } = apps;

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, status text)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  const confirmed = async (): Promise<string> =>
    (
      await db.query('SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1', [
        db.slot(),
      ])
    )[0].lsn;
  const endWalsender = (): Promise<unknown> =>
    db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [db.slot()]);

  it('confirms the exact end of a commit: an adjacent second commit arrives after a reconnect', async () => {
    // Each try boots two applications and waits for a confirmation: ten may take longer than Jest's own limit.
    for (let attempt = 0; attempt < 10; attempt++) {
      const id = attempt * 2 + 1;
      let seen = 0;
      // Which of the two commits first is up to the machine: the later one is held.
      const first = recorderOf('orders', (change) =>
        idOf(change) >= id && ++seen === 2 ? new Promise(() => undefined) : undefined,
      );
      const app = await start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 0 }, [first]);
      const [one, two] = await Promise.all([connect(db.url), connect(db.url)]);
      await one.query('BEGIN');
      await two.query('BEGIN');
      await one.query('INSERT INTO orders VALUES ($1)', [id]);
      await two.query('INSERT INTO orders VALUES ($1)', [id + 1]);
      await Promise.all([one.query('COMMIT'), sleep(1).then(() => two.query('COMMIT'))]);
      await Promise.all([one.end(), two.end()]);
      // That of the try before may come once more, where its confirmation was late.
      const ofThisTry = (): Change[] => first.changes.filter((change) => idOf(change) >= id);
      await waitFor(() => ofThisTry().length >= 2, 'both changes');
      const [before, blocked] = ofThisTry();
      expect(new Set([idOf(before!), idOf(blocked!)])).toEqual(new Set([id, id + 1]));
      await waitFor(
        async () => parseLsn(await confirmed()) > parseLsn(before!.lsn),
        'the first commit to be confirmed',
      );
      const isAdjacent = (await confirmed()) === blocked!.lsn;
      await app.close();
      const second = recorderOf('orders');
      const again = await start({ connection: db.url, slot: db.slot() }, [second]);
      await waitFor(() => second.changes.length > 0, 'the second commit again');
      expect(second.changes.map((change) => change.id)).toEqual([blocked!.id]);
      if (isAdjacent) return;
      await again.close();
    }
    throw new Error('No two commit records lay side by side in ten tries');
  }, 120_000);

  it('awaits asynchronous handlers one after the other, in discovery order, for each change', async () => {
    const seen: string[] = [];
    @Injectable()
    class First {
      @OnTableChange('orders', 'insert')
      async slow(change: InsertChange): Promise<void> {
        seen.push(`first begins ${idOf(change)}`);
        await sleep(idOf(change) === 1 ? 20 : 1);
        seen.push(`first ends ${idOf(change)}`);
      }
    }
    @Injectable()
    class Second {
      @OnTableChange('orders', 'insert')
      observable(change: InsertChange): unknown {
        seen.push(`second begins ${idOf(change)}`);
        return of(1).pipe(delay(1));
      }
      @OnTableChange('orders', 'insert')
      synchronous(change: InsertChange): void {
        seen.push(`third ${idOf(change)}`);
      }
    }
    await start({ connection: db.url, slot: db.slot() }, [First, Second]);
    await db.query('INSERT INTO orders VALUES (1), (2)');
    await waitFor(
      () => seen.length === 8,
      () => seen.join(),
    );
    const each = (id: number): string[] => [
      `first begins ${id}`,
      `first ends ${id}`,
      `second begins ${id}`,
      `third ${id}`,
    ];
    expect(seen).toEqual([...each(1), ...each(2)]);
  });

  it('tries a failing handler again, holding the position, then goes on; the others do not see the change again', async () => {
    const attempts: number[] = [];
    const before = recorderOf('orders');
    @Injectable()
    class Flaky {
      @OnTableChange('orders', 'insert', { retry: { minDelayMs: 5, maxDelayMs: 10, attempts: 2 } })
      async handle(change: InsertChange, context: PgListenerContext): Promise<void> {
        if (idOf(change) !== 2) return;
        attempts.push(context.attempt);
        if (context.attempt < 5) throw new Error('not yet');
      }
    }
    const app = await start({ connection: db.url, slot: db.slot() }, [before, Flaky]);
    const looked: number[] = [];
    app.listener.changes('orders').subscribe((change) => looked.push(idOf(change as Change)));
    await db.query('INSERT INTO orders VALUES (1), (2), (3)');
    await waitFor(() => before.changes.length === 3, 'all changes');
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
    expect(before.changes.map(idOf)).toEqual([1, 2, 3]);
    expect(looked).toEqual([1, 2, 3]);
    expect(
      app.logs.find(/Handler Flaky.handle failed on insert of public.orders .*attempt 2.*holds until/),
    ).toBeDefined();
    // Beyond this very commit: other databases' log moves the position, too.
    const commit = parseLsn(before.changes[2]!.lsn);
    await waitFor(async () => parseLsn(await confirmed()) > commit, 'the position to move on');
    expect(app.listener.stats()).toMatchObject({ failures: 4, unsettledTransactions: 0 });
  });

  it('holds the position and says so in its health while a handler keeps failing', async () => {
    @Injectable()
    class Broken {
      static lsn = '';
      @OnTableChange('orders', 'insert', { retry: { minDelayMs: 1, maxDelayMs: 5, attempts: 2 } })
      handle(change: Change): void {
        Broken.lsn = change.lsn;
        throw new Error('always');
      }
    }
    const app = await start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 100 }, [Broken]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => app.listener.health().status === 'down', 'health to go down');
    expect(app.listener.health()).toMatchObject({
      state: 'streaming',
      reason: expect.stringContaining('Broken.handle'),
    });
    // More than is recorded at a time of what nobody handles.
    await db.query(`SELECT pg_logical_emit_message(false, 'noise', repeat('x', 50000)) FROM generate_series(1, 100)`);
    await sleep(1_200);
    // It may have moved with other databases' log up to the change that fails, and not beyond.
    const failing = Broken.lsn;
    const [{ held }] = await db.query('SELECT $1::pg_lsn <= $2::pg_lsn AS held', [await confirmed(), failing]);
    expect(held).toBe(true);
  });

  it('does not deliver again in one process what was handed over before the connection broke', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((done) => (release = done));
    const recorder = recorderOf('orders', (change) => (idOf(change) === 500 ? gate : undefined));
    const transactions: number[] = [];
    @Injectable()
    class Whole {
      @OnTransaction()
      async handle(transaction: Transaction): Promise<void> {
        for await (const change of transaction.changes) transactions.push(idOf(change));
      }
    }
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder, Whole]);
    const looked: number[] = [];
    app.listener.changes('orders').subscribe((change) => looked.push(idOf(change as Change)));
    // COPY puts many rows into one WAL record: they share an LSN, and only their ordinal tells them apart.
    await db.query(`COPY orders (id) FROM PROGRAM 'seq 1 1000'`);
    await waitFor(() => recorder.changes.length === 500, 'the gate');
    await endWalsender();
    await waitFor(() => app.listener.stats().reconnects === 1, 'a reconnect');
    await waitFor(() => app.listener.stats().pendingChanges > 400, 'the rest of the transaction to come again');
    expect(recorder.changes).toHaveLength(500);
    release();
    await waitFor(() => transactions.length >= 1000, 'the whole transaction');
    const all = Array.from({ length: 1000 }, (_, index) => index + 1);
    expect(recorder.changes.map(idOf)).toEqual(all);
    expect(looked).toEqual(all);
    expect(transactions).toEqual(all);
    expect(recorder.changes.map((change) => change.index)).toEqual(all.map((id) => id - 1));
    await waitFor(() => app.listener.stats().unsettledTransactions === 0, 'everything to settle');
  });

  it('goes on after its walsender was ended again and again, without losing or repeating a change', async () => {
    const recorder = recorderOf('orders', async () => undefined);
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    for (let round = 0; round < 5; round++) {
      await db.query('INSERT INTO orders SELECT generate_series($1::int, $2::int)', [
        round * 100 + 1,
        round * 100 + 50,
      ]);
      await endWalsender();
      await db.query('INSERT INTO orders SELECT generate_series($1::int, $2::int)', [
        round * 100 + 51,
        round * 100 + 100,
      ]);
      await waitFor(
        () => recorder.changes.length === (round + 1) * 100,
        () => `${recorder.changes.length} changes`,
      );
    }
    expect(recorder.changes.map(idOf)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    expect(app.listener.stats().reconnects).toBeGreaterThanOrEqual(5);
  });

  it('finishes the transaction in hand when the application closes, confirms it, and leaves the rest for later', async () => {
    const recorder = recorderOf('orders', () => sleep(5));
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    await db.query('INSERT INTO orders SELECT generate_series(1, 20)');
    await db.query('INSERT INTO orders SELECT generate_series(21, 40)');
    await waitFor(() => recorder.changes.length >= 3, 'a handler to run');
    await app.close();
    expect(recorder.changes.map(idOf)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    await slotToBeFree(db, db.slot());
    const next = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot() }, [next]);
    await waitFor(() => next.changes.length >= 20, 'the rest');
    expect(next.changes.map(idOf)).toEqual(Array.from({ length: 20 }, (_, index) => index + 21));
  });

  it('aborts the signal of a handler that does not finish in time, and delivers its change again', async () => {
    let aborted = false;
    const stuck = recorderOf('orders');
    @Injectable()
    class Stuck {
      @OnTableChange('orders')
      async handle(_change: Change, context: PgListenerContext): Promise<void> {
        await new Promise((done) => context.signal.addEventListener('abort', done));
        aborted = true;
        throw new Error('gave up');
      }
    }
    const app = await start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 50 }, [stuck, Stuck]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => stuck.changes.length === 1, 'the change');
    const began = Date.now();
    await app.close();
    // The log tells which timeout it was; the clock, which a busy machine stretches, only that it was not the default one.
    expect(app.logs.find('Handlers have not finished within 50 ms')).toBeDefined();
    expect(Date.now() - began).toBeLessThan(10_000);
    await waitFor(() => aborted, 'the signal');
    expect(app.logs.find('failed on')).toBeUndefined();
    const next = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot() }, [next]);
    await waitFor(() => next.changes.length === 1, 'the change again');
  });

  it('lets a handler finish when the application closes while the server cannot be reached', async () => {
    let outcome = 'none';
    const slow = recorderOf('orders');
    @Injectable()
    class Slow {
      @OnTableChange('orders')
      async handle(_change: Change, { signal }: PgListenerContext): Promise<void> {
        outcome = 'running';
        await sleep(1_500, undefined, { signal });
        outcome = 'finished';
      }
    }
    const proxy = await startProxy(new URL(db.url));
    const app = await start({ connection: proxy.through(db.url), slot: db.slot() }, [slow, Slow]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => outcome === 'running', 'the handler');
    await proxy.close();
    await waitFor(() => app.listener.status.state === 'backing-off', 'the loss');
    await app.close();
    expect(outcome).toBe('finished');
    const next = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot() }, [next]);
    await waitFor(() => next.changes.length === 1, 'the change again');
  });

  it('streams on after stop() and start(), from where it was', async () => {
    const recorder = recorderOf('orders');
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    let completed = false;
    const looked: number[] = [];
    app.listener
      .changes('orders')
      .subscribe({ next: (change) => looked.push(idOf(change as Change)), complete: () => (completed = true) });
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the first');
    await app.listener.stop();
    expect(app.listener.status.state).toBe('stopped');
    await db.query('INSERT INTO orders VALUES (2)');
    await sleep(100);
    expect(recorder.changes).toHaveLength(1);
    expect(completed).toBe(false);
    await app.listener.start();
    await waitFor(() => recorder.changes.length === 2, 'the second');
    expect(looked).toEqual([1, 2]);
    await app.close();
    expect(completed).toBe(true);
    await app.listener.stop();
  });

  it('bounds what is received and unfinished, and keeps the connection while a handler is slow', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((done) => (release = done));
    const recorder = recorderOf('orders', () => gate);
    const limits = { changes: 100, bytes: 1024 * 1024 };
    const app = await start({ connection: db.url, slot: db.slot(), limits }, [recorder]);
    await db.query(`INSERT INTO orders SELECT id, repeat('x', 1000) FROM generate_series(1, 20000) AS id`);
    await waitFor(() => app.listener.stats().pendingChanges >= 100, 'the limit');
    await sleep(300);
    // One read of at most 64 KiB may come on top of the limit.
    expect(app.listener.stats().pendingChanges).toBeLessThan(100 + 70);
    release();
    await waitFor(
      () => recorder.changes.length === 20_000,
      () => `${recorder.changes.length} changes`,
    );
    expect(recorder.changes.every((change, index) => idOf(change) === index + 1)).toBe(true);
    expect(app.listener.stats()).toMatchObject({ pendingChanges: 0, pendingBytes: 0, reconnects: 0 });
  });
});
