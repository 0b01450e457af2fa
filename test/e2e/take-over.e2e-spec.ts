import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { InsertChange } from 'nestjs-pg-listener';
import { recorderOf, startApplication, TestApplications, type TestApplication } from '../support/application.js';
import { startChild, type ChildApplication } from '../support/child.js';
import { connect, createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { betweenLookAndStream, slotAndRecord } from '../support/own-tables.js';
import { holdSlot } from '../support/slot-holder.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { sleep, waitFor } from '../support/wait.js';

/** When the slot was let go, where it stood then, and how long nobody had it. */
interface Handover {
  readonly confirmed: string;
  readonly gapMs: number;
}

interface SlotLook {
  readonly pid: number | null;
  readonly lsn: string;
}

describe('two processes of one application', () => {
  let db: TestDatabase;
  let isWriting = false;
  let writing: Promise<number> | undefined;
  const children: ChildApplication[] = [];
  const apps = new TestApplications();
  let proxy: FaultProxy | undefined;

  beforeEach(async () => {
    db = await createDatabase();
    // More than a pause of a process: else one that is merely slow loses its slot, and the two change their parts.
    await db.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '5s'`);
    await db.query(`CREATE TABLE events (writer int, id int, PRIMARY KEY (writer, id));
      CREATE TABLE journal (seq bigserial PRIMARY KEY, process int, writer int, id int, lsn pg_lsn, idx int);`);
  });
  afterEach(async () => {
    isWriting = false;
    await writing;
    await Promise.all(children.splice(0).map((child) => child.kill()));
    await apps.close();
    await proxy?.close();
    proxy = undefined;
    await db.drop();
  });

  /** One row a transaction, in order. @returns how many */
  async function write(): Promise<number> {
    isWriting = true;
    const client = await connect(db.url);
    let id = 0;
    while (isWriting) {
      await client.query('INSERT INTO events VALUES (1, $1)', [++id]);
      await sleep(5);
    }
    await client.end();
    return id;
  }

  async function child(state: 'streaming' | 'standby'): Promise<ChildApplication> {
    const started = startChild(db.url, db.slot(), 'journal');
    children.push(started);
    await reach(started, state);
    return started;
  }

  const reach = (each: ChildApplication, state: string, from = 0): Promise<unknown> =>
    waitFor(
      () => each.messages.slice(from).some((message) => message['state'] === state),
      () => `${state} of a child; ${JSON.stringify(each.messages)} ${each.output()}`,
      30_000,
    );

  /** Knows who holds the slot when it resolves, and watches from there on until the next one does. */
  async function watch(): Promise<{ readonly handover: Promise<Handover> }> {
    const client = await connect(db.url);
    const look = async (): Promise<SlotLook> =>
      (
        await client.query(
          'SELECT active_pid AS pid, confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1',
          [db.slot()],
        )
      ).rows[0];
    const holder = await look();
    return { handover: passing(holder, look).finally(() => client.end()) };
  }

  async function passing(holder: SlotLook, look: () => Promise<SlotLook>): Promise<Handover> {
    let held = holder;
    const free = await waitFor(
      async () => {
        const now = await look();
        if (now.pid !== holder.pid) return now;
        held = now;
        return null;
      },
      'the slot to be let go',
      30_000,
    );
    const freeAt = Date.now();
    await waitFor(async () => (await look()).pid !== null, 'the next holder');
    // Where the next one has it before we look, it may have confirmed what it was delivered again.
    return { confirmed: free.pid === null ? free.lsn : held.lsn, gapMs: Date.now() - freeAt };
  }

  const journaled = async (where: string): Promise<number> =>
    (await db.query(`SELECT count(*)::int AS n FROM journal WHERE ${where}`))[0].n;

  /** Nothing is lost, nothing confirmed comes again, and the order holds in each process. */
  async function expectWhole(total: number, confirmed: string): Promise<number> {
    await waitFor(
      async () => (await db.query('SELECT count(DISTINCT id)::int AS n FROM journal'))[0].n === total,
      'everything in the journal',
      30_000,
    );
    const both = 'SELECT id FROM journal GROUP BY id HAVING count(DISTINCT process) > 1';
    expect(await journaled(`id IN (${both}) AND lsn < '${confirmed}'`)).toBe(0);
    const [{ backwards }] = await db.query(
      `SELECT count(*)::int AS backwards FROM (
         SELECT id <= lag(id) OVER (PARTITION BY process ORDER BY seq) AS wrong FROM journal) s WHERE wrong`,
    );
    expect(backwards).toBe(0);
    return (await db.query(`SELECT count(*)::int AS n FROM (${both}) s`))[0].n;
  }

  const stopWriting = async (): Promise<number> => {
    isWriting = false;
    return writing!;
  };

  it('one is killed: the other streams within 5 s of the slot’s release, nothing is lost, nothing confirmed comes twice', async () => {
    const holder = await child('streaming');
    await child('standby');
    writing = write();
    await waitFor(async () => (await journaled('true')) > 200, 'the holder to be at work');
    const { handover } = await watch();
    await holder.kill();
    const { confirmed, gapMs } = await handover;
    await sleep(1_000);
    const total = await stopWriting();
    const twice = await expectWhole(total, confirmed);
    console.log(`killed: the next one held the slot ${gapMs} ms after its release; ${twice} of ${total} handled twice`);
    expect(gapMs).toBeLessThan(5_000);
    expect(await slotAndRecord(db, db.slot())).toMatchObject({ epoch: 2 });
  }, 60_000);

  it('one is frozen: the other takes over, and what wakes up stands by and writes no position any more', async () => {
    const holder = await child('streaming');
    const next = await child('standby');
    writing = write();
    await waitFor(async () => (await journaled('true')) > 200, 'the holder to be at work');
    const { handover } = await watch();
    holder.process.kill('SIGSTOP');
    const { confirmed, gapMs } = await handover;
    await reach(next, 'streaming');
    const known = holder.messages.length;
    holder.process.kill('SIGCONT');
    await reach(holder, 'standby', known);
    const before = await slotAndRecord(db, db.slot());
    await sleep(2_000);
    const total = await stopWriting();
    const twice = await expectWhole(total, confirmed);
    console.log(`frozen: the next one held the slot ${gapMs} ms after its release; ${twice} of ${total} handled twice`);
    expect(gapMs).toBeLessThan(5_000);
    const after = await slotAndRecord(db, db.slot());
    expect(after.epoch).toBe(2);
    expect(after.recorded >= after.confirmed && after.recorded >= before.recorded).toBe(true);
    expect(next.messages.findLast((message) => message['state'])).toEqual({ state: 'streaming' });
  }, 60_000);

  it('one is cut off: the other takes over, and the first one stands by when it comes back', async () => {
    proxy = await startProxy(new URL(db.url));
    const [first, second] = [recorderOf('events'), recorderOf('events')];
    const cutOff = await apps.start({ connection: proxy.through(db.url), slot: db.slot() }, [first]);
    await apps.start({ connection: db.url, slot: db.slot() }, [second]);
    await db.query('INSERT INTO events VALUES (1, 1)');
    await waitFor(() => first.changes.length === 1, 'the first process');
    await waitFor(async () => (await slotAndRecord(db, db.slot())).recordedAt, 'the record');
    const { handover } = await watch();
    proxy.freeze();
    await db.query('INSERT INTO events VALUES (1, 2)');
    const { gapMs } = await handover;
    await waitFor(() => second.changes.length >= 1, 'the second process');
    await waitFor(() => cutOff.listener.status.state !== 'streaming', 'the silence to be noticed');
    proxy.cut();
    await waitFor(() => cutOff.listener.status.state === 'standby', 'the first process to stand by');
    await db.query('INSERT INTO events VALUES (1, 3)');
    await waitFor(() => second.changes.some((change) => (change as InsertChange).record['id'] === 3), 'the rest');
    console.log(`cut off: the next one held the slot ${gapMs} ms after its release`);
    expect(gapMs).toBeLessThan(5_000);
    expect(first.changes).toHaveLength(1);
    expect(second.changes.map((change) => (change as InsertChange).record['id']).slice(-2)).toEqual([2, 3]);
    expect((await slotAndRecord(db, db.slot())).epoch).toBe(2);
  }, 60_000);

  it('one that loses the race for the slot, which it had found free, stands by: that is no failure', async () => {
    // `holdSlot` answers nothing: the server would let it go after that time.
    await db.query(`ALTER DATABASE ${db.name} RESET wal_sender_timeout`);
    const options = { connection: db.url, slot: db.slot() };
    await (await startApplication(options, [recorderOf('events')])).close();
    await slotToBeFree(db, db.slot());
    const states: string[] = [];
    let app!: TestApplication;
    let holder!: Awaited<ReturnType<typeof holdSlot>>;
    await betweenLookAndStream(
      db,
      async () => {
        app = await apps.start({ ...options, startup: { wait: false } }, [recorderOf('events')]);
        app.listener.status$.subscribe(({ state }) => states.push(state));
      },
      async () => (holder = await holdSlot(db.url, db.slot())),
    );
    await waitFor(() => app.listener.status.state === 'standby', 'the standby');
    expect(states).toEqual(['connecting', 'standby']);
    await holder.release();
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    expect(states).not.toContain('backing-off');
  });

  it('one whose handler waits for its next try when the other takes over does not try again behind its back', async () => {
    let fails = true;
    const tried: string[] = [];
    const handlerOf = (process: string): ReturnType<typeof recorderOf> =>
      recorderOf('events', () => {
        tried.push(process);
        if (process === 'first' && fails) throw new Error('not on this machine');
      });
    proxy = await startProxy(new URL(db.url));
    const options = { slot: db.slot(), retry: { minDelayMs: 300, maxDelayMs: 300 } };
    const first = await apps.start({ connection: proxy.through(db.url), ...options }, [handlerOf('first')]);
    await apps.start({ connection: db.url, ...options }, [handlerOf('second')]);
    await db.query('INSERT INTO events VALUES (1, 1)');
    await waitFor(() => tried.length > 1, 'the first tries');
    proxy.freeze();
    await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
      db.slot(),
    ]);
    await waitFor(() => tried.includes('second'), 'the other process');
    proxy.cut();
    await waitFor(() => first.listener.status.state === 'standby', 'the first to stand by');
    fails = false;
    const before = tried.length;
    await sleep(700);
    expect(tried.slice(before)).toEqual([]);
    expect(first.listener.health().status).toBe('up');
  });

  it('a holder whose row was taken over without its noticing stands by at its next record', async () => {
    const recorder = recorderOf('events');
    const app = await apps.start({ connection: db.url, slot: db.slot() }, [recorder]);
    await db.query('UPDATE nestjs_pg_listener.slots SET epoch = epoch + 1');
    const before = await slotAndRecord(db, db.slot());
    await db.query('INSERT INTO events VALUES (1, 1)');
    await waitFor(() => app.listener.stats().reconnects === 1, 'the stream to begin anew');
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    const after = await slotAndRecord(db, db.slot());
    expect(after.epoch).toBe(before.epoch + 1);
    expect(recorder.changes).toHaveLength(1);
  });
});
