import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { ConnectionError, SlotInUseError } from '#lib/errors/replication.error.js';
import { ParkingError } from '#lib/errors/delivery.error.js';
import { parseLsn } from '#lib/protocol/lsn.js';
import { ensureOwnTables } from '#lib/store/own-tables.js';
import { EFFECTS_TABLES } from '#lib/store/own-tables.sql.js';
import type { ParkedStore } from '#lib/interfaces/parked-store.interface.js';
import { connect, createDatabase, lockWaiters, type TestDatabase } from '../support/database.js';
import { openStore } from '../support/parked/open-store.js';
import { HISTORY } from '../support/history.js';
import { parkingOf, WireSource, type Received } from '../support/parked/wire-source.js';
import { startProxy } from '../support/proxy.js';
import { sleep, waitFor } from '../support/wait.js';

const PARKED = 'nestjs_pg_listener.parked';
const SLOTS = 'nestjs_pg_listener.slots';
const BACKENDS = `datname = current_database() AND application_name LIKE 'nestjs-pg-listener:%'`;
const END_BACKENDS = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${BACKENDS}`;

describe('the store of parked changes on a server', () => {
  let db: TestDatabase;
  let changes: readonly Received[];
  let opened: ParkedStore[];
  const roles: string[] = [];

  beforeAll(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, name text)');
    const source = await WireSource.open(db);
    changes = await source.changesOf(`INSERT INTO orders SELECT g, 'Nr. ' || g FROM generate_series(1, 9) g`);
  });
  afterAll(async () => {
    await db?.drop();
    const admin = await connect(process.env['PG_LISTENER_TEST_URL']!);
    for (const role of roles) await admin.query(`DROP ROLE ${role}`);
    await admin.end();
  });
  beforeEach(() => {
    opened = [];
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    // Nor the server's ends of connections that a proxy has cut: the next test may count them.
    await noBackends();
    await db.query('DROP SCHEMA IF EXISTS nestjs_pg_listener CASCADE');
  });

  const open: typeof openStore = (...given) => {
    const store = openStore(...given);
    opened.push(store);
    return store;
  };
  const parking = (index: number, key = String(index)) => parkingOf(changes[index]!, { keys: [key] });
  const countBackends = async (): Promise<number> =>
    (await db.query(`SELECT count(*)::int AS count FROM pg_stat_activity WHERE ${BACKENDS}`))[0].count;
  const noBackends = (): Promise<unknown> =>
    waitFor(async () => (await countBackends()) === 0, 'no connection of ours');

  it('says where the log ended behind what is parked, where a standby must have that: also where another has parked it', async () => {
    const [first, second] = [open(db.url, { isFailover: true }), open(db.url, { isFailover: true, slotName: 'same' })];
    const third = open(db.url, { isFailover: true, slotName: 'same' });
    const [{ lsn }] = await db.query(`SELECT pg_current_wal_insert_lsn()::text AS lsn`);
    await first.park(parking(0));
    expect(first.writtenUpTo).toBeGreaterThan(parseLsn(lsn));
    await second.park(parking(1));
    await third.park(parking(1));
    expect(third.writtenUpTo).toBeGreaterThanOrEqual(second.writtenUpTo);
    // Another stream: what it brings again lies before the end of its log.
    const fourth = open(db.url, { isFailover: true, slotName: 'same' });
    await fourth.keys();
    expect(fourth.writtenUpTo).toBeGreaterThanOrEqual(third.writtenUpTo);
    const other = open(db.url);
    await other.park(parking(2));
    expect(other.writtenUpTo).toBe(0n);
  });

  it('parks nothing for a transactional handler that is folded just now: it waits for that, and looks then', async () => {
    const store = open(db.url);
    const folding = await connect(db.url);
    try {
      await ensureOwnTables(folding, EFFECTS_TABLES);
      const { systemIdentifier } = HISTORY;
      await folding.query(
        `INSERT INTO nestjs_pg_listener.progress (system_identifier, app, handler) VALUES ($1, 'default', 'Orders.on')`,
        [systemIdentifier],
      );
      await folding.query(`BEGIN; SELECT FROM nestjs_pg_listener.progress FOR NO KEY UPDATE;
        INSERT INTO nestjs_pg_listener.spans SELECT id, 'shop', '0/0', 'FFFF/0', '0/0', 0 FROM nestjs_pg_listener.progress`);
      const parked = store.park(parkingOf(changes[0]!, { claims: true }));
      await lockWaiters(db);
      await folding.query('COMMIT');
      expect(await parked).toBeNull();
    } finally {
      await folding.end();
    }
    expect(await db.query(`SELECT FROM ${PARKED}`)).toEqual([]);
    expect(await db.query('SELECT FROM nestjs_pg_listener.claims')).toEqual([]);
  });

  async function createRole(settings: readonly string[] = []): Promise<{ role: string; url: string }> {
    const role = `parker_${randomBytes(4).toString('hex')}`;
    roles.push(role);
    await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    for (const setting of settings) await db.query(`ALTER ROLE ${role} SET ${setting}`);
    const url = new URL(db.url);
    [url.username, url.password] = [role, 'secret'];
    return { role, url: url.toString() };
  }

  describe('whose stream may be taken over', () => {
    let store: ParkedStore;
    let other: pg.Client;

    beforeEach(async () => {
      const { role, url } = await createRole(['default_transaction_isolation = serializable']);
      await db.query(`GRANT CREATE ON DATABASE ${db.name} TO ${role}`);
      store = open(url, { slotName: 'held', lease: { slotName: 'held', epoch: 7n } });
      await store.count({});
      await db.query(`INSERT INTO ${SLOTS} VALUES ('held', 's', 'default', '1', '1', '0/1', 7)`);
      other = await connect(db.url);
    });
    afterEach(async () => {
      await other.end();
      await db.query(`REVOKE CREATE ON DATABASE ${db.name} FROM ${roles.at(-1)}`);
      await db.query(`DROP OWNED BY ${roles.at(-1)}`);
    });

    const takeOver = (): Promise<unknown> => other.query(`UPDATE ${SLOTS} SET epoch = epoch + 1`);

    it('parks while it is ours, and nothing when it is not', async () => {
      await store.park(parking(0));
      expect(await store.park(parking(0))).toBeNull();
      await takeOver();
      await expect(store.park(parking(1))).rejects.toBeInstanceOf(SlotInUseError);
      // Not "there already" either: what another process says of it counts.
      await expect(store.park(parking(0))).rejects.toThrow('taken over the slot "held"');
      expect(await store.count({})).toBe(1);
      const unknown = open(db.url, { slotName: 'held', lease: { slotName: 'nowhere', epoch: 7n } });
      await expect(unknown.park(parking(1))).rejects.toBeInstanceOf(SlotInUseError);
      const unfenced = open(db.url, { slotName: 'held', lease: { slotName: 'held', epoch: null } });
      expect(await unfenced.park(parking(1))).toMatchObject({ keys: ['1'] });
    });

    it('takes nothing out, and no word away, when it is not ours: another process holds keys against it', async () => {
      const { id } = (await store.park(parking(0)))!;
      await store.request({}, 'discard');
      await takeOver();
      await expect(store.handled(id)).rejects.toBeInstanceOf(SlotInUseError);
      await expect(store.discard({ ids: [id] })).rejects.toBeInstanceOf(SlotInUseError);
      await expect(store.takeRequests()).rejects.toBeInstanceOf(SlotInUseError);
      const successor = open(db.url, { slotName: 'held', lease: { slotName: 'held', epoch: 8n } });
      expect(await successor.takeRequests()).toEqual([{ id, what: 'discard' }]);
      expect(await successor.takeRequests()).toEqual([]);
      expect(await successor.discard({ ids: [id] })).toMatchObject([{ id, keys: ['0'] }]);
      expect(await successor.discard({})).toEqual([]);
    });

    it('waits for a take-over that is on its way, and then parks nothing', async () => {
      await other.query('BEGIN');
      await takeOver();
      const parked = store.park(parking(0));
      parked.catch(() => undefined);
      await lockWaiters(db);
      await other.query('COMMIT');
      await expect(parked).rejects.toBeInstanceOf(SlotInUseError);
      expect(await store.count({})).toBe(0);
    });

    it('parks after a take-over that came to nothing', async () => {
      await other.query('BEGIN');
      await takeOver();
      const parked = store.park(parking(0));
      await lockWaiters(db);
      await other.query('ROLLBACK');
      expect(await parked).toMatchObject({ keys: ['0'] });
    });

    it('makes a take-over wait for what is being parked', async () => {
      await db.query(`CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END';
        CREATE TRIGGER hold BEFORE INSERT ON ${PARKED} FOR EACH ROW EXECUTE FUNCTION public.hold();
        SELECT pg_advisory_lock(4711)`);
      try {
        const parked = store.park(parking(0));
        await lockWaiters(db);
        let isTakenOver = false;
        const taken = takeOver().then(() => (isTakenOver = true));
        await lockWaiters(db, 2);
        expect(isTakenOver).toBe(false);
        await db.query('SELECT pg_advisory_unlock(4711)');
        await parked;
        await taken;
        expect(await store.count({})).toBe(1);
      } finally {
        await db.query('SELECT pg_advisory_unlock_all(); DROP FUNCTION public.hold CASCADE');
      }
    });
  });

  it('says what a superuser has to run where the role may not make the table, and works when that is done', async () => {
    const { role, url } = await createRole();
    const store = open(url);
    const failure = await store.park(parking(0)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ParkingError);
    const { message } = failure as ParkingError;
    expect(message).toMatch(/permission denied for database/);
    expect(message).not.toContain('secret');
    await expect(store.keys()).rejects.toBeInstanceOf(ParkingError);
    await noBackends();
    await db.query(message.slice(message.indexOf('CREATE SCHEMA')));
    expect(await store.park(parking(0))).toMatchObject({ keys: ['0'] });
    await db.query(`REVOKE ALL ON ${PARKED} FROM ${role}`);
    await expect(store.park(parking(1))).rejects.toThrow(/permission denied[\s\S]*CREATE SCHEMA/);
    await db.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${PARKED} TO ${role}`);
    expect(await store.park(parking(1))).toMatchObject({ keys: ['1'] });
    await db.query('DROP SCHEMA nestjs_pg_listener CASCADE');
    await store.close();
    await db.query(`DROP OWNED BY ${role}`);
  });

  it.each([
    ['off', 'local'],
    ['remote_write', 'remote_write'],
  ])('parks durably: synchronous_commit of the role %s becomes %s', async (setting, expected) => {
    const { role, url } = await createRole([`synchronous_commit = ${setting}`]);
    const store = open(url);
    await open(db.url).count({});
    await db.query(`GRANT USAGE ON SCHEMA nestjs_pg_listener TO ${role};
      GRANT ALL ON ALL TABLES IN SCHEMA nestjs_pg_listener TO ${role};
      CREATE FUNCTION nestjs_pg_listener.note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.app := current_setting(''synchronous_commit''); RETURN NEW; END';
      CREATE TRIGGER note BEFORE INSERT ON ${PARKED} FOR EACH ROW EXECUTE FUNCTION nestjs_pg_listener.note()`);
    await store.park(parking(0));
    expect(await db.query(`SELECT app FROM ${PARKED}`)).toEqual([{ app: expected }]);
    await db.query(`DROP OWNED BY ${role}`);
  });

  it('goes on when its connection was ended between two calls', async () => {
    const store = open(db.url);
    const ids: string[] = [];
    for (let index = 0; index < 4; index++) {
      ids.push((await store.park(parking(index)))!.id);
      await db.query(END_BACKENDS);
    }
    await db.query(END_BACKENDS);
    await store.failed(ids[0]!, new Error('again'));
    await db.query(END_BACKENDS);
    expect(await store.discard({ ids: [ids[0]!] })).toHaveLength(1);
    await db.query(END_BACKENDS);
    expect(await store.request({}, 'retry')).toBe(3);
    await db.query(END_BACKENDS);
    expect(await store.takeRequests()).toHaveLength(3);
    await db.query(END_BACKENDS);
    expect((await store.due({}, [], 9)).map(({ id }) => id)).toEqual(ids.slice(1));
  });

  it('tells the keys of what was parked when the answer got lost: it is news to the process', async () => {
    const proxy = await startProxy(new URL(db.url));
    try {
      const store = open(proxy.through(db.url), { slotName: 'lost' });
      await store.count({});
      proxy.tamper(() => Buffer.alloc(0));
      const parked = store.park(parking(0));
      await waitFor(async () => (await db.query(`SELECT FROM ${PARKED}`)).length === 1, 'the row');
      proxy.tamper(null);
      proxy.cut();
      const [row] = await db.query(`SELECT id::text AS id FROM ${PARKED}`);
      expect(await parked).toEqual({
        id: row.id,
        handler: 'Orders.on',
        schema: 'public',
        table: 'orders',
        keys: ['0'],
      });
      expect(await store.park(parking(0))).toBeNull();
    } finally {
      await proxy.close();
    }
  });

  it('does not say that nothing was discarded where it cannot know', async () => {
    const proxy = await startProxy(new URL(db.url));
    try {
      const store = open(proxy.through(db.url));
      await store.park(parking(0));
      proxy.tamper(() => Buffer.alloc(0));
      const discarded = store.discard({}).catch((error: unknown) => error);
      await waitFor(async () => (await db.query(`SELECT FROM ${PARKED}`)).length === 0, 'the row to go');
      proxy.tamper(null);
      proxy.cut();
      expect(await discarded).toBeInstanceOf(ConnectionError);
      expect(await store.keys()).toEqual([]);
    } finally {
      await proxy.close();
    }
  });

  it('keeps one of two that come at once', async () => {
    const store = open(db.url);
    const parked = await Promise.all([0, 0, 1].map((index) => store.park(parking(index))));
    expect(parked.map((each) => each === null)).toEqual([false, true, false]);
    expect(await countBackends()).toBe(1);
  });

  it('makes its tables once where two processes begin together', async () => {
    const stores = Array.from({ length: 4 }, () => open(db.url));
    expect(await Promise.all(stores.map((store) => store.count({})))).toEqual([0, 0, 0, 0]);
  });

  it('makes its table again where somebody has dropped it', async () => {
    const store = open(db.url);
    await store.park(parking(0));
    await db.query(`DROP TABLE ${PARKED}`);
    expect(await store.park(parking(1))).toMatchObject({ keys: ['1'] });
  });

  it('leaves no connection when it is closed, whatever runs, and opens one again', async () => {
    const store = open(db.url, { slotName: 'closing' });
    await store.park(parking(0));
    await store.close();
    await noBackends();
    const opening = store.park(parking(1)).catch((error: unknown) => error);
    await store.close();
    expect(await opening).toBeInstanceOf(Error);
    await noBackends();
    await store.park(parking(2));
    await db.query(`BEGIN; LOCK ${PARKED}`);
    const waiting = store.park(parking(3)).catch((error: unknown) => error);
    await lockWaiters(db);
    const before = Date.now();
    await store.close();
    expect(await waiting).toBeInstanceOf(ConnectionError);
    expect(Date.now() - before).toBeLessThan(3_000);
    await db.query('ROLLBACK');
    await noBackends();
    expect((await store.keys()).map(({ keys }) => keys[0])).toEqual(expect.arrayContaining(['0', '2']));
  });

  it('is closed at once while it waits for a server that does not answer', async () => {
    const proxy = await startProxy(new URL(db.url));
    try {
      proxy.freeze();
      const store = open(proxy.through(db.url));
      const waiting = store.keys().catch((error: unknown) => error);
      const behind = store.count({}).catch((error: unknown) => error);
      await sleep(100);
      const before = Date.now();
      await store.close();
      expect(await waiting).toBeInstanceOf(ConnectionError);
      expect(await behind).toBeInstanceOf(ConnectionError);
      expect(Date.now() - before).toBeLessThan(3_000);
    } finally {
      await proxy.close();
    }
  });

  it('gives an idle connection back', async () => {
    const store = open(db.url, { idleMs: 50 });
    await store.count({});
    await noBackends();
    // Counted while it is in use: afterwards it may be idle for long enough before the answer comes.
    const locker = await connect(db.url);
    try {
      await locker.query(`BEGIN; LOCK ${PARKED}`);
      const parked = store.park(parking(0));
      await lockWaiters(db);
      expect(await countBackends()).toBe(1);
      await locker.query('ROLLBACK');
      await parked;
    } finally {
      await locker.end();
    }
    await noBackends();
    expect(await store.count({})).toBe(1);
  });

  it('is a connection error where nothing listens', async () => {
    const url = new URL(db.url);
    url.port = '1';
    await expect(open(url.toString()).park(parking(0))).rejects.toBeInstanceOf(ConnectionError);
  });

  it('refuses a change that came over no wire', async () => {
    const failure = open(db.url).park(parkingOf({ work: changes[0]!.work, image: null }));
    await expect(failure).rejects.toThrow(/public\.orders has no copy/);
  });

  it('keeps an error that the encoding of the database cannot write', async () => {
    const latin = await createDatabase(undefined, `ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    const store = open(latin.url);
    try {
      const { id } = (await store.park({ ...parking(0), error: new Error('größer als 🐘') }))!;
      expect(await store.list({})).toMatchObject([{ error: 'gr??er als ??' }]);
      await store.failed(id, new Error('Ärger 🐘'));
      expect(await store.list({})).toMatchObject([{ error: '?rger ??', attempts: 4 }]);
      await store.failed(id, new Error('Ärger'));
      expect(await store.list({})).toMatchObject([{ error: 'Ärger' }]);
    } finally {
      await store.close();
      await latin.drop();
    }
  });
});
