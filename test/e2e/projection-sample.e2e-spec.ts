import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Random } from '../faults/random.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { leftovers, sendAsWritten, tidyUpAsWritten } from '../support/sample-readme.js';
import { startSample, type SampleProcess } from '../support/sample.js';
import { OrderLoad } from '../support/order-load.js';
import { sleep, waitFor } from '../support/wait.js';

const KILLS = 6;
const WRITERS = 2;

interface Totals {
  readonly customer: string;
  readonly orders: number;
  readonly lines: number;
  readonly amount: string;
}

/** What the read model should have: from the write model alone. */
const TRUTH = `
  SELECT orders.customer, count(DISTINCT id)::int AS orders, count(line)::int AS lines,
    coalesce(sum(quantity * price), 0)::numeric(14, 2)::text AS amount
  FROM orders LEFT JOIN order_lines ON order_id = id
  GROUP BY orders.customer ORDER BY orders.customer`;

/** The sample as a user runs it: compiled, a process of its own, its tables written to from outside. */
describe('the sample projection', () => {
  let db: TestDatabase;
  let sample: SampleProcess;
  let address: string;

  beforeEach(async () => {
    db = await createDatabase();
  });
  afterEach(async () => {
    await sample?.kill();
    await db?.drop();
  });

  async function start(environment: Record<string, string | undefined> = {}): Promise<void> {
    sample = startSample('projection', { DATABASE_URL: db.url, PORT: '0', ...environment });
    address = await sample.url();
  }
  async function stop(): Promise<void> {
    sample.signal('SIGTERM');
    expect(await sample.exited).toEqual({ code: 0, signal: null });
    const others = `SELECT FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`;
    await waitFor(async () => (await db.query(others, [db.name])).length === 0, 'the end of every connection');
  }
  const get = async (path: string): Promise<any> => (await fetch(`${address}/${path}`)).json();
  const truth = () => db.query<Totals>(TRUTH);
  /** A customer without orders keeps a row of nothing. */
  const totals = () =>
    db.query<Totals>(
      `SELECT customer, orders, lines, amount::text FROM customer_totals
       WHERE (orders, lines, amount) <> (0, 0, 0) ORDER BY customer`,
    );
  const isRight = async (): Promise<boolean> => JSON.stringify(await totals()) === JSON.stringify(await truth());
  /**
   * Waits until the position has passed all that is written now, and looks then: totals that are right may still be spoilt by
   * what comes again.
   */
  async function expectRight(): Promise<void> {
    const [{ lsn }] = (await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn')) as [
      { lsn: string },
    ];
    await db.query(`INSERT INTO orders (customer) VALUES ('Last')`);
    const passed = `SELECT FROM pg_replication_slots WHERE slot_name = 'projection' AND confirmed_flush_lsn > $1::pg_lsn`;
    await waitFor(
      async () => (await db.query(passed, [lsn])).length > 0,
      () => sample.output(),
      60_000,
    );
    await waitFor(isRight, '', 2_000).catch(() => undefined);
    expect(await totals()).toEqual(await truth());
  }

  /** Kills it while a call of a handler waits for a row of the read model. */
  async function killInTheMiddle(): Promise<void> {
    await withClient(db.url, async (rival) => {
      await rival.query('BEGIN');
      await rival.query('SELECT FROM customer_totals LIMIT 1 FOR UPDATE');
      const { rows } = await rival.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const blocked = 'SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
      await waitFor(async () => (await db.query(blocked, [rows[0]!.pid])).length > 0, 'a call that waits for the row');
      await sample.kill();
      // What the dead process has asked for goes on now.
      await rival.query('ROLLBACK');
    });
  }

  it('has the totals of what is written, changed, handed over, deleted and truncated', async () => {
    await start();
    await db.query(`INSERT INTO orders (customer) VALUES ('Ada'), ('Bob'), ('Ada')`);
    await db.query(
      `INSERT INTO order_lines VALUES (1, 1, 'Ada', 2, 10.10), (1, 2, 'Ada', 1, 0.05), (2, 1, 'Bob', 1, 5), (3, 1, 'Ada', 3, 1)`,
    );
    await waitFor(isRight, () => sample.output());
    expect(await totals()).toEqual([
      { customer: 'Ada', orders: 2, lines: 3, amount: '23.25' },
      { customer: 'Bob', orders: 1, lines: 1, amount: '5.00' },
    ]);
    await db.query('UPDATE order_lines SET quantity = 4, price = 0.50 WHERE (order_id, line) = (1, 1)');
    await db.query(`UPDATE orders SET customer = 'Bob' WHERE id = 3`);
    await db.query('BEGIN; DELETE FROM orders; ROLLBACK');
    await waitFor(isRight, () => sample.output());
    expect(await totals()).toEqual([
      { customer: 'Ada', orders: 1, lines: 2, amount: '2.05' },
      { customer: 'Bob', orders: 2, lines: 2, amount: '8.00' },
    ]);
    await db.query('DELETE FROM orders WHERE id = 2');
    await waitFor(isRight, () => sample.output());
    expect(await totals()).toMatchObject([
      { customer: 'Ada' },
      { customer: 'Bob', orders: 1, lines: 1, amount: '3.00' },
    ]);
    await db.query('TRUNCATE orders, order_lines');
    await db.query(`INSERT INTO orders (customer) VALUES ('Cid')`);
    await waitFor(isRight, () => sample.output());
    expect(await totals()).toEqual([{ customer: 'Cid', orders: 1, lines: 0, amount: '0.00' }]);
    expect(await get('check')).toEqual({ right: true, repeats: 0, wrong: [] });
    // What somebody else does to the read model is told.
    await db.query(`UPDATE customer_totals SET orders = 2 WHERE customer = 'Cid'`);
    expect(await get('check')).toMatchObject({ right: false, wrong: [{ customer: 'Cid' }] });
    await stop();
    await tidyUpAsWritten('projection', db);
    expect(await leftovers(db)).toEqual([]);
    expect(await db.query('SELECT handler FROM nestjs_pg_listener.progress')).toEqual([]);
  });

  it(`equals an aggregate of its source after ${KILLS} kills at random points under load`, async () => {
    const seed = Number(process.env['PG_LISTENER_SEED'] ?? Date.now() % 1_000_000);
    const random = new Random(seed);
    await start();
    const load = new OrderLoad(db.url, random.fork());
    let behind = 0;
    let repeats = 0;
    const running = load.run(WRITERS);
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        await sleep(random.between(100, 1_200));
        // A barrier among the lanes. Early, as it takes all that was wrong before it away.
        if (kill === 1) await load.truncate();
        if (!(await isRight())) behind++;
        repeats += (await get('check')).repeats;
        // At any moment, or while a call has written and not committed, which is a short one.
        await (kill % 2 === 0 ? sample.kill() : killInTheMiddle());
        await start();
      }
      await sleep(500);
    } finally {
      load.stop();
      await running;
    }
    await expectRight();
    const last = await get('check');
    expect(last).toMatchObject({ right: true, wrong: [] });
    repeats += last.repeats;
    console.log(
      `seed ${seed}: ${load.committed} transactions, ${load.rolledBack} rolled back; behind at ${behind} of ${KILLS} kills; ` +
        `${repeats} changes came again to those that had done them`,
    );
    expect(await truth()).not.toEqual([]);
    // Else no kill has hit anything, and doing things twice would not have shown.
    expect(behind).toBeGreaterThan(0);
    expect(repeats).toBeGreaterThan(0);
    await stop();
  }, 180_000);

  it('counts once what it was killed in the middle of', async () => {
    await start();
    await db.query(`INSERT INTO orders (customer) VALUES ('Ada')`);
    await expectRight();
    await db.query(`INSERT INTO orders (customer) VALUES ('Ada'), ('Bob')`);
    await expectRight();
    const killed = killInTheMiddle();
    await db.query(`INSERT INTO orders (customer) SELECT unnest('{Ada,Bob,Ada,Bob}'::text[])`);
    await killed;
    await start();
    await expectRight();
    expect(await totals()).toMatchObject([
      { customer: 'Ada', orders: 4 },
      { customer: 'Bob', orders: 3 },
      { customer: 'Last', orders: 3 },
    ]);
    await stop();
  });

  it('starts a PostgreSQL without any set-up, comes out right after a rush, and leaves nothing behind', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'projection-'));
    // Where the tests run as root, the server runs as another user.
    chmodSync(temporary, 0o755);
    try {
      await start({ DATABASE_URL: undefined, TMPDIR: temporary });
      expect(await sendAsWritten('projection', { 3005: address })).toEqual([
        'POST /rush 200',
        'GET /totals 200',
        'GET /check 200',
      ]);
      await waitFor(
        async () => (await get('check')).right,
        () => sample.output(),
      );
      expect((await get('totals')).length).toBeGreaterThan(10);
      const [database] = /postgresql:\S+/.exec(sample.output())!;
      const { rows } = await withClient(database, (client) => client.query('SELECT count(*)::int AS n FROM orders'));
      expect(rows).toEqual([{ n: 200 }]);
      await stopAlone();
      expect(sample.output()).not.toContain('WARN');
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      await sample.kill();
      rmSync(temporary, { recursive: true, force: true });
    }
  }, 60_000);

  it('ends in the middle of a rush with code 0', async () => {
    await start();
    const rush = fetch(`${address}/rush`, { method: 'POST' }).catch(() => undefined);
    await waitFor(
      async () => (await totals()).length > 0,
      () => sample.output(),
    );
    await stop();
    await rush;
    expect(sample.output()).not.toContain('ERROR');
    await start();
    await expectRight();
    await stop();
  });

  async function stopAlone(): Promise<void> {
    sample.signal('SIGINT');
    expect(await sample.exited).toEqual({ code: 0, signal: null });
  }
});
