import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DecodeError,
  OnLogicalMessage,
  OnTableChange,
  OnTransaction,
  type Change,
  type InsertChange,
  type LogicalMessage,
  type PgListenerContext,
  type PgListenerOptions,
  type Transaction,
} from 'nestjs-pg-listener';
import {
  insert,
  pgListenerMatchers,
  readRecording,
  recordStream,
  StreamRecording,
  TestingError,
  type RecordStreamOptions,
} from 'nestjs-pg-listener/testing';
import { recorderOf, TestApplications } from '../support/application.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { waitFor } from '../support/wait.js';
import { TestingModules } from '../unit/testing/boot.js';

expect.extend(pgListenerMatchers);

const plain = (changes: readonly Change[]): unknown[] => changes.map((change) => change.toJSON());

describe('a stream that was recorded from a real slot', () => {
  const modules = new TestingModules();
  const applications = new TestApplications();
  let database: TestDatabase;
  let folder: string;

  beforeEach(async () => {
    database = await createDatabase();
    folder = mkdtempSync(join(tmpdir(), 'pg-listener-recording-'));
    await database.query(`
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE DOMAIN cents AS int8 CHECK (VALUE >= 0);
      CREATE TYPE place AS (x int, y int);
      CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, total numeric, price cents, feeling mood, moods mood[],
                           here place, body jsonb, note text);
      ALTER TABLE orders REPLICA IDENTITY FULL;
      CREATE TABLE quiet (id int PRIMARY KEY)`);
  });
  afterEach(async () => {
    await Promise.all([modules.close(), applications.close()]);
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  async function workload(): Promise<void> {
    await database.query(`INSERT INTO orders VALUES
      (1, '2026-01-02 03:04:05.678+00', 12.50, 100, 'happy', '{sad,happy}', '(1,2)', '{"a": [1, null]}', repeat('x', 5000)),
      (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
    await database.query(`
      BEGIN;
      UPDATE orders SET feeling = 'sad' WHERE id = 1;
      SELECT pg_logical_emit_message(true, 'outbox', '{"order":1}');
      DELETE FROM orders WHERE id = 2;
      COMMIT`);
    await database.query('INSERT INTO quiet VALUES (1)');
    await database.query('TRUNCATE orders');
  }

  function record(body: () => unknown, more: Partial<RecordStreamOptions> = {}): Promise<StreamRecording> {
    const what = more.publications === undefined ? { tables: ['orders'] } : {};
    return recordStream({ connection: database.url, ...what, ...more }, body);
  }

  it.each<[string, Partial<RecordStreamOptions>, Partial<PgListenerOptions>]>([
    ['text', {}, {}],
    ['binary', { binary: true }, { binary: true }],
    ['rich', {}, { types: 'rich' }],
  ])(
    'gives without a server what the listener gives with one: the same values, ids and positions (%s)',
    async (_name, how, options) => {
      const Live = recorderOf('orders');
      const live = await applications.start({ connection: database.url, slot: database.slot(), ...options }, [Live]);
      const path = join(folder, 'orders.jsonl');
      (await record(workload, how)).save(path);
      await waitFor(() => Live.changes.length === 5, 'the live changes');
      await live.close();

      const Replayed = recorderOf('orders');
      const listener = await modules.boot([Replayed], options);
      const called = await listener.replay(readRecording(path));
      expect(called).toEqual(Array.from({ length: 5 }, () => 'Recorder.record'));
      expect(plain(Replayed.changes)).toEqual(plain(Live.changes));
      expect(Replayed.changes.map(({ operation }) => operation)).toEqual([
        'insert',
        'insert',
        'update',
        'delete',
        'truncate',
      ]);
      expect((Replayed.changes[0] as InsertChange).record).toEqual((Live.changes[0] as InsertChange).record);
      expect(listener).toHaveHandled('orders', { operation: 'insert', record: { id: 1, price: '100' } });
      expect(listener.stats()).toMatchObject({ changesReceived: 5, changesHandled: 5 });
    },
  );

  it('has messages and whole transactions, goes on with what is emitted, and can come twice', async () => {
    const recording = await record(workload);
    @Injectable()
    class Everything {
      readonly sizes: number[] = [];
      readonly texts: string[] = [];
      @OnTransaction()
      async onCommit({ changes, size }: Transaction): Promise<void> {
        let counted = 0;
        for await (const _ of changes) counted++;
        expect(counted).toBe(size);
        this.sizes.push(size);
      }
      @OnLogicalMessage('outbox')
      onMessage({ text }: LogicalMessage): void {
        this.texts.push(text);
      }
    }
    const Replayed = recorderOf('orders');
    const listener = await modules.boot([Everything, Replayed]);
    await listener.emit(insert('orders', { id: 0 }));
    await Promise.all([
      listener.replay(recording),
      listener.emit(insert('orders', { id: 9 })),
      listener.replay(recording),
    ]);
    await listener.emit(insert('orders', { id: 10 }));
    const [first, second] = [Replayed.changes.slice(1, 6), Replayed.changes.slice(7, 12)];
    expect(Replayed.changes).toHaveLength(13);
    expect(first.map(({ id }) => id)).toEqual(second.map(({ id }) => id));
    expect(new Set(first.map(({ id }) => id)).size).toBe(5);
    expect(listener.journal.find('handled').filter(({ handler }) => handler === 'Everything.onCommit')).toHaveLength(9);
    expect(listener).toHaveHandled({ prefix: 'outbox', times: 2 });
  });

  it('shows how policies behave: what fails is parked by its key, and what follows waits behind it', async () => {
    const recording = await record(() =>
      database.query(`
        INSERT INTO orders (id, note) VALUES (1, 'broken'), (2, 'good');
        UPDATE orders SET note = 'later'`),
    );
    @Injectable()
    class Parking {
      @OnTableChange('orders', ['insert', 'update'], { retry: { attempts: 2 }, onExhausted: 'park', concurrency: 4 })
      async onChange(): Promise<void> {
        await Promise.resolve();
      }
    }
    const listener = await modules.boot([Parking]);
    listener.faults.fail({ where: (change) => (change as InsertChange).record['note'] === 'broken' });
    await listener.replay(recording);
    expect(listener).toHaveParked('orders', { record: { id: 1, note: 'broken' }, attempt: 2, times: 1 });
    expect(listener).toHaveParked('orders', { record: { id: 1, note: 'later' }, attempt: 0, times: 1 });
    expect(listener).toHaveHandled('orders', { record: { id: 2 }, times: 2 });
    expect((await listener.parked.list()).map(({ keys }) => keys)).toEqual([['1'], ['1']]);
  });

  it('lives through a connection that drops, and nothing comes twice or not at all', async () => {
    const recording = await record(async () => {
      for (let id = 1; id <= 20; id++) await database.query('INSERT INTO orders (id) VALUES ($1), ($1 + 100)', [id]);
    });
    @Injectable()
    class Slow {
      @OnTableChange('orders', 'insert')
      async onCreated(): Promise<void> {
        await new Promise((done) => setTimeout(done, 2));
      }
    }
    const listener = await modules.boot([Slow], { limits: { changes: 5 } });
    listener.faults.dropConnection({ where: (change) => (change as InsertChange).record['id'] === 7 });
    await listener.replay(recording);
    expect(listener.stats().reconnects).toBe(1);
    const ids = listener.journal.find('handled', 'orders').map(({ subject }) => (subject as InsertChange).record['id']);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, index) => [index + 1, index + 101]).flat());
  });

  it('rejects with what a handler throws, hands nothing more over, and starts afresh', async () => {
    const recording = await record(workload);
    @Injectable()
    class Failing {
      @OnTableChange('orders', ['insert', 'update', 'delete'], { retry: { attempts: 2 } })
      async onChange(change: Change, { attempt }: PgListenerContext): Promise<void> {
        await Promise.resolve();
        if (change.operation === 'update') throw new Error(`attempt ${attempt}`);
      }
    }
    const listener = await modules.boot([Failing]);
    await expect(listener.replay(recording)).rejects.toThrow('attempt 2');
    expect(listener).not.toHaveHandled('orders', { operation: 'delete' });
    await listener.emit(insert('orders', { id: 5 }));
    expect(listener).toHaveHandled('orders', { record: { id: 5 } });
  });

  it('reads types by the names that `types.parsers` has for them', async () => {
    const recording = await record(workload);
    const Replayed = recorderOf('orders');
    const parsers = {
      mood: (text: string) => `mood ${text}`,
      'public.cents': Number,
      'timestamp with time zone': String,
    };
    const listener = await modules.boot([Replayed], { types: { parsers } });
    await listener.replay(recording);
    expect((Replayed.changes[0] as InsertChange).record).toMatchObject({
      feeling: 'mood happy',
      price: 100,
      at: expect.stringContaining('2026-01-02'),
    });
  });

  it('may be of a transaction that came in parts', async () => {
    const name = new URL(database.url).pathname.slice(1);
    await database.query(`ALTER DATABASE ${name} SET logical_decoding_work_mem = '64kB'`);
    const recording = await record(
      () =>
        database.query(`INSERT INTO orders (id, note) SELECT id, repeat('y', 100) FROM generate_series(1, 2000) id`),
      { streaming: true },
    );
    expect(recording.messages.filter(({ bytes }) => String.fromCharCode(bytes[0]!) === 'S').length).toBeGreaterThan(0);
    const Replayed = recorderOf('orders');
    const listener = await modules.boot([Replayed]);
    await listener.replay(recording);
    expect(Replayed.changes).toHaveLength(2000);
  });

  it('may be what a slot has kept, which stays where it is', async () => {
    const slot = database.slot('kept');
    await database.query(`CREATE PUBLICATION kept FOR TABLE orders`);
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    await workload();
    const where = (): Promise<unknown[]> =>
      database.query('SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [slot]);
    const before = await where();
    const recording = await record(() => undefined, { slot, publications: ['kept'] });
    expect(await where()).toEqual(before);
    const Replayed = recorderOf('orders');
    const listener = await modules.boot([Replayed]);
    await listener.replay(recording);
    expect(Replayed.changes).toHaveLength(5);
    expect(await database.query(`SELECT pubname FROM pg_publication`)).toEqual([{ pubname: 'kept' }]);
  });

  it('leaves nothing behind on the server, also where the body throws', async () => {
    await record(workload);
    const failure = new Error('the checkout failed');
    await expect(record(() => Promise.reject(failure))).rejects.toBe(failure);
    await expect(recordStream({ connection: database.url }, workload)).rejects.toThrow(TestingError);
    await expect(record(workload, { slot: 'there is none' })).rejects.toThrow();
    expect(await database.query('SELECT pubname FROM pg_publication')).toEqual([]);
    const slots = 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()';
    await waitFor(async () => (await database.query(slots)).length === 0, 'the slots to go');
  });

  it('has a file that says what it is, and is refused where it is another or damaged', async () => {
    const path = join(folder, 'orders.jsonl');
    const recording = await record(workload);
    recording.save(path);
    const text = readFileSync(path, 'utf8');
    const [head, ...lines] = text.trimEnd().split('\n');
    expect(JSON.parse(head!)).toMatchObject({
      format: 'nestjs-pg-listener recording',
      version: 1,
      values: 'text',
      primaryKeys: [{ schema: 'public', table: 'orders', columns: ['id'], isExact: true }],
      typeNames: { mood: expect.any(Number), integer: 23, int4: 23 },
    });
    expect(lines).toHaveLength(recording.messages.length);
    expect(lines.every((line) => /^\["[0-9A-F]+\/[0-9A-F]+","[A-Za-z0-9+/=]+"\]$/.test(line))).toBe(true);
    expect(text).not.toContain('nestjs-pg-listener recording ');
    expect(readRecording(path).toString()).toBe(text);

    const listener = await modules.boot([recorderOf('orders')]);
    const cut = recording.messages.map(({ lsn, bytes }) => ({
      lsn,
      bytes: bytes[0] === 0x49 ? bytes.subarray(0, 9) : bytes,
    }));
    await expect(listener.replay(new StreamRecording(recording.header, cut))).rejects.toThrow(DecodeError);
    expect(await listener.replay(recording)).toHaveLength(5);
  });
});
