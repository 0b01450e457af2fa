import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { startScript, type ChildApplication } from '../support/child.js';
import { connect, createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { sleep, waitFor } from '../support/wait.js';

const KILLS = 12;
const IDS = 12;
const PARKED = 'nestjs_pg_listener.parked';

// Several children boot in each test, and what is waited for below has more patience than Jest has by default.
jest.setTimeout(120_000);

const WHOLE_TABLE = `LOCK TABLE ${PARKED} IN ACCESS EXCLUSIVE MODE`;

/** What an application that parks loses when it is killed: nothing. The journal is in PostgreSQL itself. */
describe('kill -9 of an application that parks', () => {
  let db: TestDatabase;
  let slot: string;
  let child: ChildApplication;
  let tests = 0;

  beforeAll(async () => {
    db = await createDatabase();
    await db.query(`
      CREATE TABLE accounts (id int PRIMARY KEY, version int NOT NULL);
      CREATE TABLE poison (id int PRIMARY KEY);
      CREATE TABLE journal (seq bigserial PRIMARY KEY, process int, id int, version int);`);
  });
  afterAll(() => db?.drop());

  beforeEach(async () => {
    slot = db.slot(`kill${tests++}`);
    await db.query(`TRUNCATE accounts, poison, journal`);
    await boot();
  });
  afterEach(() => child?.kill());

  async function boot(): Promise<void> {
    child = startScript('parking-child', [db.url, slot]);
    await told('ready');
  }

  async function told(what: string, timeoutMs = 30_000): Promise<Record<string, unknown>> {
    return waitFor(
      () => child.messages.find((message) => what in message),
      () => `the child to be ${what}; ${child.output()}`,
      timeoutMs,
    );
  }

  /** The next version of an account: its first one is an insert. */
  async function write(...ids: number[]): Promise<void> {
    for (const id of ids) {
      await db.query(
        `INSERT INTO accounts VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET version = accounts.version + 1`,
        [id],
      );
    }
  }

  async function isParked(count: number): Promise<void> {
    await waitFor(
      async () =>
        (await db.query(`SELECT count(*)::int AS n FROM ${PARKED} WHERE slot_name = $1`, [slot]))[0].n >= count,
      () => `${count} parked; ${child.output()}`,
    );
  }

  /** Does something while another session holds a lock, and kills the child when a statement of it waits for that. */
  async function whileLocked(
    lock: string,
    waiting: RegExp,
    work: () => Promise<void>,
    kill: () => Promise<void> = () => child.kill(),
  ): Promise<void> {
    const locker = await connect(db.url);
    await locker.query(`BEGIN; ${lock}`);
    try {
      await work();
      await waitFor(async () => {
        const rows = await db.query<{ query: string }>(
          `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return rows.some(({ query }) => waiting.test(query));
      }, `a statement that waits: ${waiting}`);
      await kill();
    } finally {
      await locker.end();
    }
  }

  /**
   * Does something while the child cannot record a position, and so confirms none, however long it takes: that is tried
   * every second. A lock that parking shares.
   */
  async function whileUnconfirmed(work: () => Promise<void>): Promise<void> {
    const locker = await connect(db.url);
    await locker.query('BEGIN');
    const sql = 'SELECT FROM nestjs_pg_listener.slots WHERE slot_name = $1 FOR SHARE';
    expect((await locker.query(sql, [slot])).rowCount).toBe(1);
    try {
      await work();
    } finally {
      await locker.end();
    }
  }

  async function confirmedAfterParked(): Promise<boolean> {
    const [row] = await db.query<{ isAfter: boolean }>(
      `SELECT (SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1) > min(commit_lsn) AS "isAfter"
         FROM ${PARKED} WHERE slot_name = $1`,
      [slot],
    );
    return row!.isAfter;
  }

  /** Heals everything, has it tried again, and looks into the journal. */
  async function expectNothingLost(): Promise<void> {
    await db.query('TRUNCATE poison');
    // The last of the stream: once it is in the journal, what came again before it is there, too, and adds nothing later.
    await write(IDS + 1);
    await waitFor(
      async () => {
        child.messages.length = 0;
        child.process.send('retry');
        const { outcome } = await told('outcome', 90_000);
        if (typeof outcome === 'string') throw new Error(outcome);
        const [{ missing }] = await db.query<{ missing: number }>(
          `SELECT count(*)::int AS missing FROM accounts a CROSS JOIN generate_series(1, a.version) v
          WHERE NOT EXISTS (SELECT FROM journal j WHERE j.id = a.id AND j.version = v)`,
        );
        const [{ parked }] = await db.query(`SELECT count(*)::int AS parked FROM ${PARKED} WHERE slot_name = $1`, [
          slot,
        ]);
        return missing === 0 && parked === 0;
      },
      () => `every version in the journal; ${child.output()}`,
      90_000,
    );
    const versions = new Map<number, number[]>();
    for (const { id, version } of await db.query('SELECT id, version FROM journal ORDER BY seq')) {
      versions.set(id, [...(versions.get(id) ?? []), version]);
    }
    for (const { id, version } of await db.query('SELECT id, version FROM accounts')) {
      const seen = versions.get(id)!;
      const firsts = [...new Set(seen)];
      expect({ id, firsts }).toEqual({ id, firsts: [...firsts].sort((a, b) => a - b) });
      expect({ id, last: seen.at(-1) }).toEqual({ id, last: version });
    }
  }

  it('before the change is parked', async () => {
    await db.query('INSERT INTO poison VALUES (1)');
    await write(1, 2, 1);
    await told('throwing');
    await child.kill();
    await boot();
    await isParked(2);
    await expectNothingLost();
  });

  it('while it is written into the table, which goes on without the process', async () => {
    await db.query('INSERT INTO poison VALUES (1)');
    await whileLocked(WHOLE_TABLE, /INSERT INTO nestjs_pg_listener.parked/, () => write(2, 1, 1, 2));
    await isParked(1);
    await boot();
    await isParked(2);
    await expectNothingLost();
  });

  it('while it is written into the table, and the write is lost with the process', async () => {
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '500ms'`);
    await child.kill();
    // One that stands by is ready, too; it would stop at the lock, before it streams and has anything to park.
    await slotToBeFree(db, slot);
    await boot();
    await db.query('INSERT INTO poison VALUES (1)');
    await whileLocked(
      WHOLE_TABLE,
      /INSERT INTO nestjs_pg_listener.parked/,
      () => write(2, 1, 1, 2),
      async () => {
        // Time for a position to be confirmed that must not be.
        await sleep(1_000);
        await child.kill();
        await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`);
      },
    );
    await db.query(`ALTER DATABASE ${db.name} RESET wal_sender_timeout`);
    expect(await db.query(`SELECT FROM ${PARKED} WHERE slot_name = $1`, [slot])).toEqual([]);
    await boot();
    await isParked(2);
    await expectNothingLost();
  });

  it('after that, and before anything of it is confirmed, where an earlier change of its key comes again too', async () => {
    await whileUnconfirmed(async () => {
      await write(1, 1);
      await waitFor(async () => (await db.query('SELECT FROM journal')).length === 2, 'two versions');
      await db.query('INSERT INTO poison VALUES (1)');
      await write(1);
      await isParked(1);
      await child.kill();
    });
    expect(await confirmedAfterParked()).toBe(false);
    await boot();
    // The two before it come again, and wait: the last state of the account must be that of the change behind them.
    await isParked(3);
    await write(2);
    await expectNothingLost();
  });

  it('while changes wait behind it, after it was confirmed', async () => {
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '500ms'`);
    await child.kill();
    await boot();
    await db.query('INSERT INTO poison VALUES (1)');
    await write(1, 1, 2, 1);
    await isParked(3);
    await waitFor(confirmedAfterParked, 'the position to move past it');
    await child.kill();
    await db.query(`ALTER DATABASE ${db.name} RESET wal_sender_timeout`);
    await write(1, 2);
    await boot();
    await isParked(4);
    await expectNothingLost();
  });

  it('in the middle of a redrive, after the handler and before the row is gone', async () => {
    await db.query('INSERT INTO poison VALUES (1)');
    await write(1, 1, 2, 1);
    await isParked(3);
    await db.query('TRUNCATE poison');
    // The rows, not the table: the child looks for requests every second, and would stop at that before the redrive.
    await whileLocked(`SELECT FROM ${PARKED} FOR UPDATE`, /DELETE FROM nestjs_pg_listener.parked/, async () => {
      child.process.send('retry');
      await waitFor(async () => (await db.query('SELECT FROM journal WHERE id = 1')).length > 0, 'the redrive');
    });
    await write(1);
    await boot();
    await isParked(3);
    await expectNothingLost();
  });

  it(`at random, ${KILLS} times, while accounts are poisoned and healed, and tried again`, async () => {
    let isWriting = true;
    const writer = await connect(db.url);
    const writing = (async () => {
      while (isWriting) {
        const ids = Array.from(
          { length: 1 + Math.floor(Math.random() * 4) },
          () => 1 + Math.floor(Math.random() * IDS),
        );
        await writer.query(
          `INSERT INTO accounts SELECT DISTINCT unnest($1::int[]), 1
           ON CONFLICT (id) DO UPDATE SET version = accounts.version + 1`,
          [ids],
        );
        const id = Math.ceil(Math.random() * IDS);
        const isPoisoning = Math.random() < 0.5;
        await writer.query(
          isPoisoning ? 'INSERT INTO poison VALUES ($1) ON CONFLICT DO NOTHING' : 'DELETE FROM poison WHERE id = $1',
          [id],
        );
        await sleep(Math.random() * 80);
      }
      await writer.end();
    })();
    for (let kill = 0; kill < KILLS; kill++) {
      for (let round = Math.floor(Math.random() * 3); round >= 0; round--) {
        child.process.send('retry');
        await sleep(Math.random() * 400);
      }
      await child.kill();
      await boot();
    }
    isWriting = false;
    await writing;
    await expectNothingLost();
    const [{ written, handled }] = await db.query(
      `SELECT (SELECT sum(version)::int FROM accounts) AS written, (SELECT count(*)::int FROM journal) AS handled`,
    );
    console.log(`${written} changes over ${KILLS} kills with parking: handled ${handled} times, none lost`);
  }, 180_000);
});
