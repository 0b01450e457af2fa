import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DecodeError,
  GapError,
  OnTableChange,
  PublicationError,
  ServerSetupError,
  type InsertChange,
  type PgListenerError,
  type PgListenerStatus,
} from 'nestjs-pg-listener';
import { startPostgres } from 'nestjs-pg-listener/testing';
import { recorderOf, startApplication, TestApplications, type TestApplication } from '../support/application.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../support/database.js';
import { holdSlot } from '../support/slot-holder.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { sleep, waitFor } from '../support/wait.js';

/** The boot must fail with this class, and the text must help. */
async function bootError(...parameters: Parameters<typeof startApplication>): Promise<PgListenerError> {
  const app = await startApplication(...parameters).catch((error: unknown) => error as PgListenerError);
  if (app instanceof Error) return app;
  await (app as TestApplication).close();
  throw new Error('It booted');
}

const halted = (app: TestApplication): Promise<Error> =>
  waitFor(() => (app.listener.status.state === 'halted' ? app.listener.status.error : null), 'the halt');

describe('faults, each told apart and told how to mend', () => {
  let db: TestDatabase;
  let proxy: FaultProxy;
  const apps = new TestApplications();
  const { start } = apps;

  beforeAll(async () => {
    proxy = await startProxy(new URL(process.env['PG_LISTENER_TEST_URL']!));
  });
  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, status text)');
  });
  afterEach(async () => {
    proxy.tamper(null);
    proxy.cut();
    await apps.close();
    await db.drop();
  });
  afterAll(async () => {
    await proxy?.close();
  });

  it('halts on a malformed message with its type and offset, and loses nothing', async () => {
    const recorder = recorderOf('orders');
    const app = await start({ connection: proxy.through(db.url), slot: db.slot() }, [recorder]);
    await db.query(`INSERT INTO orders VALUES (1, 'good')`);
    await waitFor(() => recorder.changes.length === 1, 'the good one');
    // The kind byte of the column before the marker becomes one that does not exist.
    proxy.tamper((chunk) => {
      const marker = chunk.indexOf('poison');
      if (marker > 0) chunk[marker - 5] = 0x21;
      return chunk;
    });
    await db.query(`INSERT INTO orders VALUES (2, 'poison')`);
    const error = await halted(app);
    expect(error).toBeInstanceOf(DecodeError);
    expect(error).toMatchObject({ code: 'PG_LISTENER_DECODE', messageType: 'Insert', offset: expect.any(Number) });
    expect(app.listener.health().status).toBe('down');
    await app.close();
    const next = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot() }, [next]);
    await db.query(`INSERT INTO orders VALUES (3, 'after')`);
    await waitFor(() => next.changes.length >= 2, 'both');
    expect(next.changes.map((change) => (change as InsertChange).record['id'])).toEqual([2, 3]);
  });

  it('halts on a truncated message, and on an impossible length', async () => {
    for (const change of [
      (chunk: Buffer, marker: number) => void chunk.writeInt32BE(0x7fff, marker - 4),
      (chunk: Buffer) => void (chunk[0] === 0x64 && chunk.writeInt32BE(2, 1)),
    ]) {
      const app = await start({ connection: proxy.through(db.url), slot: db.slot() }, [recorderOf('orders')]);
      proxy.tamper((chunk) => {
        const marker = chunk.indexOf('poison');
        if (marker > 0) change(chunk, marker);
        return chunk;
      });
      await db.query(`INSERT INTO orders VALUES (2, 'poison') ON CONFLICT (id) DO UPDATE SET status = 'poison'`);
      const error = await halted(app);
      expect(error).toBeInstanceOf(DecodeError);
      proxy.tamper(null);
      await app.close();
    }
  });

  it('notices a connection that has died without a word, and comes back', async () => {
    const server = await startPostgres({ settings: { wal_sender_timeout: '1s' } });
    const quiet = await startProxy(new URL(server.url));
    const own = await createDatabase(server.url);
    await own.query('CREATE TABLE orders (id int PRIMARY KEY)');
    const recorder = recorderOf('orders');
    const app = await startApplication({ connection: quiet.through(own.url), slot: own.slot() }, [recorder]);
    try {
      quiet.freeze();
      await waitFor(() => app.listener.status.state !== 'streaming', 'the silence to be noticed');
      quiet.cut();
      await waitFor(() => app.listener.status.state === 'streaming', 'the stream to come back');
      await own.query('INSERT INTO orders VALUES (1)');
      await waitFor(() => recorder.changes.length === 1, 'the change');
    } finally {
      await app.close();
      await quiet.close();
      await own.client.end();
      await server.stop('immediate');
    }
  });

  it('stands by while another process holds the slot, says who, and takes over', async () => {
    const [first, second] = [recorderOf('orders'), recorderOf('orders')];
    const holder = await start({ connection: db.url, slot: db.slot() }, [first]);
    const standby = await start({ connection: db.url, slot: db.slot() }, [second]);
    expect(standby.listener.status).toMatchObject({
      state: 'standby',
      heldBy: expect.stringContaining('nestjs-pg-listener:default'),
    });
    expect(standby.listener.health().status).toBe('up');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => first.changes.length === 1, 'the holder');
    await holder.close();
    await waitFor(() => standby.listener.status.state === 'streaming', 'the take-over');
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(() => second.changes.length === 1, 'the new holder');
    expect((second.changes[0] as InsertChange).record['id']).toBe(2);
  });

  it('refuses to start without the user’s own publication, and says the SQL', async () => {
    const error = await bootError({ connection: db.url, slot: db.slot(), publications: ['shop "pub"'] });
    expect(error).toBeInstanceOf(PublicationError);
    expect(error.message).toContain('CREATE PUBLICATION "shop ""pub""" FOR TABLE');
    await db.query(`CREATE PUBLICATION "shop ""pub""" FOR TABLE orders`);
    const recorder = recorderOf('orders');
    await start({ connection: db.url, slot: db.slot(), publications: ['shop "pub"'] }, [recorder]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the change');
  });

  it('stops confirming and reports a gap when its publication is dropped while streaming', async () => {
    await db.query('CREATE PUBLICATION mine FOR TABLE orders');
    const recorder = recorderOf('orders');
    const app = await start({ connection: db.url, slot: db.slot(), publications: ['mine'] }, [recorder]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the change');
    await db.query('DROP PUBLICATION mine');
    await db.query('INSERT INTO orders VALUES (2)');
    const error = await halted(app);
    expect(error).toBeInstanceOf(GapError);
  });

  it('reports a gap when its publication was dropped and made again while it was away: what lay between is not sent', async () => {
    const slot = db.slot();
    await (await start({ connection: db.url, slot }, [recorderOf('orders')])).close();
    await db.query('INSERT INTO orders VALUES (1)');
    await db.query(`DROP PUBLICATION pg_listener_${slot}`);
    await db.query('INSERT INTO orders VALUES (2)');
    const recorder = recorderOf('orders');
    const app = await start({ connection: db.url, slot, startup: { wait: false } }, [recorder]);
    const error = await halted(app);
    expect(error).toBeInstanceOf(GapError);
    // The first was written while the publication existed.
    expect(recorder.changes.map((change) => (change as InsertChange).record['id'])).toEqual([1]);
    const position = `SELECT confirmed_flush_lsn < (SELECT max(lsn) FROM noted) AS held FROM pg_replication_slots WHERE slot_name = '${slot}'`;
    await db.query('CREATE TABLE noted AS SELECT pg_current_wal_lsn() AS lsn');
    expect(await db.query(position)).toEqual([{ held: true }]);
  });

  /** Ends the stream and drops its slot before it can come back. */
  async function dropSlotUnderIt(): Promise<void> {
    for (;;) {
      await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
        db.slot(),
      ]);
      const dropped = await db.query('SELECT pg_drop_replication_slot($1)', [db.slot()]).catch(() => null);
      if (dropped !== null) return;
    }
  }

  it('reports a gap when its slot has vanished, and does not make another one in silence', async () => {
    const app = await start({ connection: db.url, slot: db.slot() }, [recorderOf('orders')]);
    await dropSlotUnderIt();
    expect(await halted(app)).toBeInstanceOf(GapError);
    expect(await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [db.slot()])).toHaveLength(0);
  });

  it('reports a gap when its slot stands further than what was recorded: re-created, or advanced', async () => {
    const app = await start({ connection: db.url, slot: db.slot() }, [recorderOf('orders')]);
    const position = app.listener.stats().confirmedLsn;
    await db.query('INSERT INTO orders VALUES (7)');
    await waitFor(() => app.listener.stats().confirmedLsn !== position, 'the position to move');
    await app.listener.stop();
    await slotToBeFree(db, db.slot());
    await db.query('INSERT INTO orders VALUES (8)');
    await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [db.slot()]);
    await expect(app.listener.start()).rejects.toBeInstanceOf(GapError);
    expect(app.logs.find(/^error Halted: The slot .* stands at .*, beyond the last recorded position/)).toBeDefined();
  });

  it('takes over from a sibling that took over from it, again and again', async () => {
    const [first, second] = [recorderOf('orders'), recorderOf('orders')];
    const one = await start({ connection: db.url, slot: db.slot() }, [first]);
    const two = await start({ connection: db.url, slot: db.slot() }, [second]);
    for (let round = 1; round <= 3; round++) {
      const [holder, other] = round % 2 === 1 ? [one, two] : [two, one];
      await holder.listener.stop();
      await waitFor(() => other.listener.status.state === 'streaming', 'the take-over');
      await db.query('INSERT INTO orders VALUES ($1)', [round]);
      await waitFor(() => first.changes.length + second.changes.length === round, `change ${round}`);
      await holder.listener.start();
      expect(holder.listener.status.state).toBe('standby');
    }
  });

  it('names a table that does not exist, and one whose updates cannot be told, with the SQL', async () => {
    await db.query('CREATE TABLE keyless (id int); CREATE VIEW seen AS SELECT 1');
    @Injectable()
    class Handlers {
      @OnTableChange('Orders', 'insert')
      a(): void {}
      @OnTableChange('keyless', 'update')
      b(): void {}
      @OnTableChange('seen', 'insert')
      c(): void {}
    }
    const error = await bootError({ connection: db.url, slot: db.slot() }, [Handlers]);
    expect(error).toBeInstanceOf(PublicationError);
    expect(error.message).toContain('there is no table public.Orders (Handlers.a); did you mean public.orders?');
    expect(error.message).toContain('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL');
    expect(error.message).toContain('public.seen is a view');
    await expect(db.query(`UPDATE keyless SET id = 1`)).resolves.toEqual([]);
  });

  it('never breaks the user’s own UPDATE: a table without identity is published for inserts only', async () => {
    await db.query('CREATE TABLE keyless (id int)');
    const recorder = recorderOf('*');
    const app = await start({ connection: db.url, slot: db.slot() }, [recorder]);
    expect(app.logs.find('bring inserts and truncates only: public.keyless')).toBeDefined();
    await db.query('INSERT INTO keyless VALUES (1)');
    await db.query('UPDATE keyless SET id = 2');
    await db.query('DELETE FROM keyless');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 2, 'both inserts');
    expect(recorder.changes.map((change) => `${change.operation} ${change.table}`)).toEqual([
      'insert keyless',
      'insert orders',
    ]);
  });

  it('takes a first table without identity in on a later start, although the log has moved on meanwhile', async () => {
    const slot = db.slot();
    await (await start({ connection: db.url, slot }, [recorderOf('*')])).close();
    await db.query('INSERT INTO orders VALUES (1)');
    await db.query('CREATE TABLE keyless (id int)');
    await db.query('INSERT INTO orders VALUES (2)');
    const recorder = recorderOf('*');
    await start({ connection: db.url, slot }, [recorder]);
    await db.query('INSERT INTO keyless VALUES (3)');
    await waitFor(() => recorder.changes.length === 3, 'all three');
    expect(recorder.changes.map((change) => (change as InsertChange).record['id'])).toEqual([1, 2, 3]);
  });

  it('says where a new slot begins, and warns where an earlier one must have been dropped', async () => {
    const slot = db.slot();
    const first = await start({ connection: db.url, slot }, [recorderOf('orders')]);
    expect(
      first.logs.find(/^log Created slot .*the stream begins at [0-9A-F]+\/[0-9A-F]+; what was committed before/),
    ).toBeDefined();
    await first.close();
    await slotToBeFree(db, db.slot());
    // Where it is recorded, it is a gap; here the record is gone too.
    await db.query('SELECT pg_drop_replication_slot($1)', [slot]);
    await db.query('DELETE FROM nestjs_pg_listener.slots');
    const second = await start({ connection: db.url, slot }, [recorderOf('orders')]);
    expect(
      second.logs.find(/^warn Created slot .*if an earlier slot was dropped, what came since then is missed/),
    ).toBeDefined();
  });

  it('makes and extends one publication from several processes at once', async () => {
    const slot = db.slot();
    const tables = Array.from({ length: 6 }, (_, index) => `racing_${index}`);
    for (const each of tables) await db.query(`CREATE TABLE ${each} (id int PRIMARY KEY)`);
    await Promise.all(tables.map((each) => start({ connection: db.url, slot }, [recorderOf(each)])));
    const [{ n }] = await db.query('SELECT count(*)::int AS n FROM pg_publication_tables WHERE pubname = $1', [
      `pg_listener_${slot}`,
    ]);
    expect(n).toBe(tables.length);
  });

  it('extends its publication for a new handler and removes nothing', async () => {
    await db.query('CREATE TABLE items (id int PRIMARY KEY)');
    const slot = db.slot();
    const published = (): Promise<{ tablename: string }[]> =>
      db.query('SELECT tablename FROM pg_publication_tables WHERE pubname = $1 ORDER BY 1', [`pg_listener_${slot}`]);
    await (await start({ connection: db.url, slot }, [recorderOf('orders')])).close();
    expect((await published()).map((row) => row.tablename)).toEqual(['orders']);
    await (await start({ connection: db.url, slot }, [recorderOf('items')])).close();
    expect((await published()).map((row) => row.tablename)).toEqual(['items', 'orders']);
  });

  it('is not delivered its own schema', async () => {
    await db.query('CREATE SCHEMA nestjs_pg_listener; CREATE TABLE nestjs_pg_listener.progress (id int PRIMARY KEY)');
    await db.query('CREATE PUBLICATION everything FOR ALL TABLES');
    const recorder = recorderOf('*');
    await start({ connection: db.url, slot: db.slot(), publications: ['everything'] }, [recorder]);
    await db.query('INSERT INTO nestjs_pg_listener.progress VALUES (1); INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length > 0, 'the change');
    await sleep(50);
    expect(recorder.changes.map((change) => [change.table, change.index])).toEqual([['orders', 0]]);
  });

  it('sees a missing publication also where the role mutes warnings', async () => {
    await db.query('CREATE PUBLICATION muted FOR TABLE orders');
    await db.query(`ALTER DATABASE ${db.name} SET client_min_messages = 'error'`);
    const app = await start({ connection: db.url, slot: db.slot(), publications: ['muted'] }, [recorderOf('orders')]);
    await db.query('DROP PUBLICATION muted');
    await db.query('INSERT INTO orders VALUES (1)');
    expect(await halted(app)).toBeInstanceOf(GapError);
  });

  it('lets the user update tables whose identity only looks usable: deferrable and generated keys, children, partitions', async () => {
    await db.query(`
      CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, note text);
      CREATE TABLE parent_of_child (id int PRIMARY KEY, note text);
      CREATE TABLE keyless_child () INHERITS (parent_of_child);
      CREATE TABLE parted (id int, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
      CREATE TABLE part_without PARTITION OF parted FOR VALUES FROM (0) TO (10);
      ALTER TABLE part_without REPLICA IDENTITY NOTHING;
      CREATE TABLE generated_key (id int, twice int GENERATED ALWAYS AS (id * 2) STORED PRIMARY KEY, note text);
      INSERT INTO generated_key VALUES (1); INSERT INTO deferrable_key VALUES (1); INSERT INTO keyless_child VALUES (1); INSERT INTO parted VALUES (1);
    `);
    await start({ connection: db.url, slot: db.slot() }, [recorderOf('*')]);
    for (const table of ['generated_key', 'deferrable_key', 'parent_of_child', 'keyless_child', 'parted']) {
      await expect(db.query(`UPDATE ${table} SET note = 'x'`)).resolves.toEqual([]);
    }
  });

  it('a standby that was calm for a while comes back as fast after a loss as at its first one', async () => {
    await db.query(`CREATE PUBLICATION pg_listener_${db.slot()} FOR TABLE orders`);
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [db.slot()]);
    const holder = await holdSlot(db.url, db.slot());
    const { listener } = await start({ connection: proxy.through(db.url), slot: db.slot() }, [recorderOf('orders')]);
    const losses: PgListenerStatus[] = [];
    const watch = listener.status$.subscribe((status) => void (status.state === 'backing-off' && losses.push(status)));
    const lose = async (times: number): Promise<void> => {
      await waitFor(() => listener.status.state === 'standby', 'the standby');
      proxy.cut();
      await waitFor(() => losses.length === times, 'the loss');
    };
    try {
      // Four times, unless a pause of this process makes a standby a calm one, whose backoff begins anew.
      let times = 0;
      while ((losses.at(-1)?.retryInMs ?? 0) <= 500) await lose(++times);
      await waitFor(() => listener.status.state === 'standby', 'the standby');
      await sleep(2_100);
      await lose(++times);
      expect(losses.at(-1)!.retryInMs).toBeLessThanOrEqual(100);
      for (const { error } of losses) expect(error).toMatchObject({ code: 'PG_LISTENER_CONNECTION' });
    } finally {
      watch.unsubscribe();
      await holder.release();
    }
  });

  it('refuses to become a synchronous standby', async () => {
    const server = await startPostgres({
      settings: { synchronous_standby_names: 'FIRST 1 (a, "nestjs-pg-listener:default")', synchronous_commit: 'local' },
    });
    try {
      const error = await bootError({ connection: server.url, slot: 'a' });
      expect(error).toBeInstanceOf(ServerSetupError);
      expect(error.message).toContain('commits would wait for handlers');
    } finally {
      await server.stop('immediate');
    }
  });
});
