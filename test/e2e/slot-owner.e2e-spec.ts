import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  GapError,
  OnTableChange,
  PublicationError,
  SlotError,
  type InsertChange,
  type PgListenerError,
} from 'nestjs-pg-listener';
import { recorderOf, TestApplications } from '../support/application.js';
import { createDatabase, slotToBeFree, withClient, type TestDatabase } from '../support/database.js';
import { slotAndRecord } from '../support/own-tables.js';
import { waitFor } from '../support/wait.js';

describe('who has a slot, and with what right', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  const { start } = apps;
  const roles: string[] = [];
  const refusal = (...parameters: Parameters<typeof start>): Promise<PgListenerError> =>
    start(...parameters).then(
      () => Promise.reject(new Error('It booted')),
      (error: PgListenerError) => error,
    );

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
    for (const role of roles.splice(0)) await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await db.drop();
  });

  it('is never taken over by another service, whether it is in use or not; after a rename SQL gives it back', async () => {
    const options = { connection: db.url, slot: db.slot() };
    const holder = await start({ ...options, service: 'shop' }, [recorderOf('orders')]);
    const whileInUse = await refusal({ ...options, service: 'billing' }, [recorderOf('orders')]);
    expect(whileInUse).toBeInstanceOf(SlotError);
    expect(whileInUse.message).toContain('belongs to the service "shop", not to the service "billing"');
    await holder.close();
    await slotToBeFree(db, db.slot());
    const error = await refusal({ ...options, service: 'billing' }, [recorderOf('orders')]);
    const [rename] = /UPDATE nestjs_pg_listener\.slots [^;]+;/.exec(error.message)!;
    await db.query(rename);
    const app = await start({ ...options, service: 'billing' }, [recorderOf('orders')]);
    expect(app.listener.status.state).toBe('streaming');
  });

  it('is never taken over by another app of the same service', async () => {
    await (await start({ connection: db.url, slot: db.slot() }, [recorderOf('orders')])).close();
    const error = await refusal({ connection: db.url, slot: db.slot(), name: 'billing' });
    expect(error.message).toContain('belongs to the app "default", not to the app "billing"');
  });

  it('is the service of the package.json where none is given', async () => {
    await start({ connection: db.url, slot: db.slot() }, [recorderOf('orders')]);
    const rows = await db.query('SELECT service, app FROM nestjs_pg_listener.slots');
    expect(rows).toEqual([{ service: 'nestjs-pg-listener', app: 'default' }]);
  });

  it('tells of a handler that is new in a rolling deploy, and of what it has missed', async () => {
    @Injectable()
    class Mailer {
      static readonly ids: unknown[] = [];
      @OnTableChange('orders', 'insert', { id: 'mailer' })
      onCreated({ record }: InsertChange): void {
        Mailer.ids.push(record['id']);
      }
    }
    const options = { connection: db.url, slot: db.slot() };
    const old = recorderOf('orders');
    const holder = await start(options, [old]);
    const next = await start(options, [recorderOf('orders'), Mailer]);
    expect(next.listener.status.state).toBe('standby');
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => old.changes.length === 1, 'the old process');
    // Its end does not wait for ever to confirm it, and the next process would get it again.
    const confirmed = 'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn > $2';
    await waitFor(
      async () => (await db.query(confirmed, [db.slot(), old.changes[0]!.lsn])).length === 1,
      'the confirmation',
    );
    await holder.close();
    await waitFor(() => next.listener.status.state === 'streaming', 'the take-over');
    const warning = next.logs.find(
      /^warn Handler mailer is new: what was committed between \S+ .* was confirmed without/,
    );
    expect(warning).toBeDefined();
    expect(next.logs.find('Handler Recorder.record is new')).toBeUndefined();
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(() => Mailer.ids.length === 1, 'the new handler');
    expect(Mailer.ids).toEqual([2]);
    expect(Object.keys((await slotAndRecord(db, db.slot())).handlers).toSorted()).toEqual([
      'Recorder.record',
      'mailer',
    ]);
    await next.close();
    await slotToBeFree(db, db.slot());
    // Without a wait, there is nothing to have missed; and a handler that is gone is forgotten.
    const last = await start(options, [Mailer]);
    expect(last.logs.find('is new')).toBeUndefined();
    expect(Object.keys((await slotAndRecord(db, db.slot())).handlers)).toEqual(['mailer']);
  });

  /** A role that may stream, but may not make a schema. */
  async function poorRole(): Promise<string> {
    const role = db.slot('poor');
    roles.push(role);
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION; CREATE PUBLICATION theirs FOR TABLE orders`);
    const url = new URL(db.url);
    url.username = role;
    return url.toString();
  }

  it('makes no slot where its publication cannot be made: that comes first, for a slot knows no later one', async () => {
    const error = await refusal({ connection: await poorRole(), slot: db.slot() }, [recorderOf('orders')]);
    expect(error).toBeInstanceOf(PublicationError);
    expect(await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [db.slot()])).toEqual([]);
  });

  it('goes on without the right to our tables, says so once with the SQL, and notices what the process can notice', async () => {
    const recorder = recorderOf('orders');
    const options = { connection: await poorRole(), slot: db.slot(), publications: ['theirs'] };
    const { listener, logs } = await start(options, [recorder]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(() => recorder.changes.length === 1, 'the change');
    await listener.stop();
    await listener.start();
    const warnings = logs.entries.filter(({ message }) => message.includes('cannot be recorded'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('CREATE TABLE IF NOT EXISTS'),
    });
    await listener.stop();
    await slotToBeFree(db, db.slot());
    await db.query('SELECT pg_drop_replication_slot($1)', [db.slot()]);
    await expect(listener.start()).rejects.toBeInstanceOf(GapError);
    expect(await listener.gaps()).toMatchObject([{ id: 'process-1', kind: 'slot-missing', acknowledgedAt: null }]);
    await listener.acknowledgeGaps();
    expect(listener.status.state).toBe('streaming');
    expect(await listener.gaps()).toEqual([]);
    // The printed migration is all that it takes.
    await listener.stop();
    await slotToBeFree(db, db.slot());
    await withClient(db.url, (client) => client.query(warnings[0]!.message.split(/TO "[^"]+";\):\n/)[1]!));
    await listener.start();
    expect((await slotAndRecord(db, db.slot())).epoch).toBe(1);
  });

  it('loses the right while it streams, and goes on without', async () => {
    const url = await poorRole();
    await db.query(`GRANT CREATE ON DATABASE ${db.name} TO ${roles[0]}`);
    const recorder = recorderOf('orders');
    const app = await start({ connection: url, slot: db.slot(), publications: ['theirs'] }, [recorder]);
    await db.query('INSERT INTO orders VALUES (1)');
    await waitFor(async () => (await slotAndRecord(db, db.slot())).handlers['Recorder.record'], 'the record');
    await db.query(`ALTER SCHEMA nestjs_pg_listener OWNER TO postgres; ALTER TABLE nestjs_pg_listener.slots OWNER TO postgres;
      REVOKE CREATE ON DATABASE ${db.name} FROM ${roles[0]}`);
    await db.query('INSERT INTO orders VALUES (2)');
    await waitFor(() => app.logs.find('cannot be recorded in the database'), 'the warning');
    await db.query('INSERT INTO orders VALUES (3)');
    await waitFor(() => recorder.changes.length === 3, 'all changes');
    expect(recorder.changes.map((change) => (change as InsertChange).record['id'])).toEqual([1, 2, 3]);
  });
});
