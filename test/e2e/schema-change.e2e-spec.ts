import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  OnSchemaChange,
  OnTableChange,
  ParkChange,
  type Change,
  type PgListenerOptions,
  type SchemaChange,
} from 'nestjs-pg-listener';
import { TestApplications, type TestApplication } from '../support/application.js';
import { connect, createDatabase, lockWaiters, slotToBeFree, type TestDatabase } from '../support/database.js';
import { motionRecorder, rowText, schemaText, type MotionRecorder } from '../support/motion.js';
import { sleep, waitFor } from '../support/wait.js';

describe('@OnSchemaChange', () => {
  let db: TestDatabase;
  const apps = new TestApplications();

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE u (a int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  const start = (providers: Type[], options: Partial<PgListenerOptions> = {}): Promise<TestApplication> =>
    apps.start({ connection: db.url, slot: db.slot(), shutdownTimeoutMs: 1_000, ...options }, providers);
  const stop = async (app: TestApplication): Promise<void> => {
    await app.close();
    await slotToBeFree(db, db.slot());
  };
  const hears = ({ entries }: { entries: string[] }, count: number): Promise<unknown> =>
    waitFor(
      () => entries.length >= count,
      () => `${count} entries; there are: ${entries.join('; ')}`,
    );
  const shapes = (): Promise<{ slot_name: string; table_name: string; columns: string }[]> =>
    db.query(
      `SELECT slot_name, table_name, (SELECT string_agg(c->>'name', ',') FROM jsonb_array_elements(shape->'columns') c) AS columns
         FROM nestjs_pg_listener.described ORDER BY slot_name, table_name`,
    );

  it('tells what was altered while nobody listened, once, and not of what is as it was', async () => {
    const [first, second, third] = [motionRecorder(), motionRecorder(), motionRecorder()];
    const one = await start([first]);
    await db.query('INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1)');
    await hears(first, 2);
    expect(await shapes()).toEqual([
      { slot_name: db.slot(), table_name: 't', columns: 'a,b' },
      { slot_name: db.slot(), table_name: 'u', columns: 'a' },
    ]);
    await stop(one);
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2); INSERT INTO u VALUES (2)');
    const two = await start([second]);
    await hears(second, 3);
    await stop(two);
    await start([third]);
    await db.query('INSERT INTO t VALUES (3, 3, 3)');
    await hears(third, 1);
    expect(second.entries).toEqual(['schema t: +c', 'insert t {"a":2,"b":2,"c":2}', 'insert u {"a":2}']);
    expect(third.entries).toEqual(['insert t {"a":3,"b":3,"c":3}']);
    const [change] = second.schemas;
    expect(JSON.parse(JSON.stringify(change))).toMatchObject({
      app: 'default',
      schema: 'public',
      table: 't',
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      xid: expect.any(Number),
      previous: { table: 't', replicaIdentity: 'default', columns: [{ name: 'a', isKey: true }, { name: 'b' }] },
      current: { columns: [{ name: 'a', typeOid: 23, typeName: null, typeModifier: -1 }, {}, { name: 'c' }] },
      differences: [{ kind: 'column-added', column: { name: 'c', typeOid: 23, isKey: false } }],
    });
    expect(change!.commitTimestamp).toBeInstanceOf(Date);
  });

  it('survives a connection: what was told is not told again, what was altered meanwhile is', async () => {
    const recorder = motionRecorder();
    const { listener } = await start([recorder]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await hears(recorder, 3);
    const cut = (): Promise<unknown> =>
      db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [db.slot()]);
    await cut();
    await db.query('INSERT INTO t VALUES (3, 3, 3)');
    await hears(recorder, 4);
    await cut();
    await db.query('ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (4, 4)');
    await hears(recorder, 6);
    expect(recorder.entries).toEqual([
      'insert t {"a":1,"b":1}',
      'schema t: +c',
      'insert t {"a":2,"b":2,"c":2}',
      'insert t {"a":3,"b":3,"c":3}',
      'schema t: -b',
      'insert t {"a":4,"c":4}',
    ]);
    expect(listener.stats().reconnects).toBeGreaterThan(0);
  });

  it('comes again where the process ends before it is recorded', async () => {
    const [first, second] = [motionRecorder(), motionRecorder()];
    const one = await start([first], { shutdownTimeoutMs: 200 });
    await db.query('INSERT INTO t VALUES (1, 1)');
    await hears(first, 1);
    const locker = await connect(db.url);
    try {
      await locker.query('BEGIN; LOCK TABLE nestjs_pg_listener.described IN SHARE MODE');
      await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
      await hears(first, 2);
      await lockWaiters(db);
      // It has settled, and is not on record: its rows wait.
      await sleep(100);
      expect(first.entries).toEqual(['insert t {"a":1,"b":1}', 'schema t: +c']);
      expect(one.listener.stats().unsettledTransactions).toBe(1);
      await stop(one);
      await db.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
      );
    } finally {
      await locker.end();
    }
    await start([second]);
    await hears(second, 2);
    expect(second.entries).toEqual(['schema t: +c', 'insert t {"a":2,"b":2,"c":2}']);
    expect(second.schemas[0]!.lsn).toBe(first.schemas[0]!.lsn);
  });

  it('is tried again, and rows of the new shape wait for it; alone, it holds the position too', async () => {
    const seen: string[] = [];
    let isBroken = true;
    @Injectable()
    class Handlers {
      @OnSchemaChange('t', { retry: { attempts: 2, minDelayMs: 5, maxDelayMs: 20 } })
      async schema(change: SchemaChange): Promise<void> {
        await sleep(1);
        seen.push(schemaText(change));
        if (isBroken) throw new Error('not yet');
      }
      @OnSchemaChange('u')
      other(): void {
        seen.push('of u');
      }
      @OnTableChange('t')
      row(change: Change): void {
        seen.push(rowText(change));
      }
    }
    const { listener } = await start([Handlers]);
    await db.query('INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1)');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await waitFor(
      () => seen.length > 4,
      () => seen.join(),
    );
    expect(listener.health()).toMatchObject({ status: 'down' });
    expect(listener.health().reason).toContain('Handlers.schema');
    expect(new Set(seen)).toEqual(new Set(['insert t {"a":1,"b":1}', 'schema t: +c']));
    expect(listener.stats().unsettledTransactions).toBe(1);
    isBroken = false;
    await waitFor(() => listener.stats().unsettledTransactions === 0, 'the position');
    expect(seen.at(-1)).toBe('insert t {"a":2,"b":2,"c":2}');
    await db.query('ALTER TABLE u ADD COLUMN b int; INSERT INTO u VALUES (2, 2)');
    await waitFor(() => seen.at(-1) === 'of u', 'the change of a table without a row handler');
    await waitFor(() => listener.health().status === 'up', 'health');
  });

  it('may be skipped, may halt the app, and cannot be parked', async () => {
    const rows: string[] = [];
    let fault: Error = new ParkChange();
    @Injectable()
    class Handlers {
      @OnSchemaChange('t', { id: 'skipping', onExhausted: 'skip', retry: { attempts: 2, minDelayMs: 1 } })
      skipping(): never {
        throw fault;
      }
      @OnTableChange('t')
      row(change: Change): void {
        rows.push(rowText(change));
      }
      @OnSchemaChange('u', { id: 'halting', onExhausted: 'halt', retry: { attempts: 1 } })
      halting(): never {
        throw new Error('stop');
      }
    }
    const app = await start([Handlers], { onExhausted: 'park' });
    await db.query('INSERT INTO t VALUES (1, 1)');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await waitFor(() => rows.length === 2, 'both rows');
    expect(app.logs.find('A schema change cannot be parked')).toBeDefined();
    expect(app.listener.stats()).toMatchObject({ skipped: 1, failures: 2, parked: 0 });
    fault = new Error('again');
    await db.query('INSERT INTO t VALUES (3, 3, 3)');
    await waitFor(() => rows.length === 3, 'the third row');
    // It counts as told.
    expect(app.listener.stats().skipped).toBe(1);
    await db.query('INSERT INTO u VALUES (1)');
    await db.query('ALTER TABLE u ADD COLUMN b int; INSERT INTO u VALUES (2, 2)');
    await waitFor(() => app.listener.status.state === 'halted', 'the halt');
    expect(app.listener.status.error!.message).toMatch(/halting halts the app on the schema of public\.u/);
  });

  it('is a barrier to handlers with concurrency and with batches', async () => {
    const seen: string[] = [];
    @Injectable()
    class Handlers {
      @OnTableChange('t', 'insert', { id: 'side by side', concurrency: 4 })
      async row(change: Change): Promise<void> {
        await sleep(Math.random() * 20);
        seen.push(`row of ${Object.keys((change as { record: object }).record).length}`);
      }
      @OnTableChange('t', 'insert', { id: 'arrays', batch: { size: 100, maxWaitMs: 60_000 } })
      rows(changes: readonly Change[]): void {
        seen.push(
          `array of ${changes.map((each) => Object.keys((each as { record: object }).record).length).join('')}`,
        );
      }
      @OnSchemaChange('t')
      async schema(): Promise<void> {
        await sleep(20);
        seen.push('schema');
      }
    }
    await start([Handlers]);
    await db.query('INSERT INTO t SELECT g, g FROM generate_series(1, 10) g');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t SELECT g, g, g FROM generate_series(11, 20) g');
    await db.query('ALTER TABLE t DROP COLUMN b, DROP COLUMN c; INSERT INTO t VALUES (21)');
    await waitFor(
      () => seen.filter((each) => each === 'schema').length === 2,
      () => seen.join(),
    );
    const [one, two] = [seen.indexOf('schema'), seen.lastIndexOf('schema')];
    const sorted = (from: number, to: number): string[] => seen.slice(from, to).sort();
    expect(sorted(0, one)).toEqual([`array of ${'2'.repeat(10)}`, ...Array<string>(10).fill('row of 2')]);
    expect(sorted(one + 1, two)).toEqual([`array of ${'3'.repeat(10)}`, ...Array<string>(10).fill('row of 3')]);
  });

  it('leaves what is parked in the shape of its time, before and after a redrive', async () => {
    const seen: string[] = [];
    let isBroken = true;
    @Injectable()
    class Handlers {
      @OnTableChange('t', undefined, { id: 'rows', onExhausted: 'park', retry: { attempts: 1 } })
      row(change: Change): void {
        if (isBroken) throw new Error('broken');
        seen.push(rowText(change));
      }
      @OnSchemaChange('t')
      schema(change: SchemaChange): void {
        seen.push(schemaText(change));
      }
    }
    const { listener } = await start([Handlers]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await db.query(
      `ALTER TABLE t ALTER COLUMN b TYPE text USING 'n' || b, ADD COLUMN c int; INSERT INTO t VALUES (2, 'n2', 2)`,
    );
    await db.query(`ALTER TABLE t RENAME TO t_old; UPDATE t_old SET b = 'n3' WHERE a = 1`);
    await waitFor(async () => (await listener.parked.count()) === 2, 'both to be parked');
    isBroken = false;
    expect(await listener.parked.retry()).toMatchObject({ handled: 2, failed: 0 });
    await waitFor(() => listener.stats().parked === 0, 'nothing to be parked');
    // A renamed table is another one to handlers of rows, and is told to those of its schema under the old name.
    expect(seen).toEqual([
      'schema t: b 23>25, +c',
      'schema t_old: was public.t',
      'insert t {"a":1,"b":1}',
      'insert t {"a":2,"b":"n2","c":2}',
    ]);
  });

  it('leaves the rows of a renamed table to handlers of its new name; the next connection says what is missing', async () => {
    const [old, all] = [[] as string[], [] as string[]];
    @Injectable()
    class Handlers {
      @OnTableChange('t')
      named(change: Change): void {
        old.push(rowText(change));
      }
      @OnTableChange('public.*')
      every(change: Change): void {
        all.push(rowText(change));
      }
    }
    const { listener } = await start([Handlers]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await db.query('ALTER TABLE t RENAME TO v; INSERT INTO v VALUES (2, 2)');
    await waitFor(() => all.length === 2, 'both rows');
    expect(old).toEqual(['insert t {"a":1,"b":1}']);
    expect(all[1]).toBe('insert v {"a":2,"b":2}');
    await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
      db.slot(),
    ]);
    await waitFor(() => listener.status.state === 'halted', 'the halt');
    expect(listener.status.error!.message).toContain('there is no table public.t');
    // Made anew, it is published with the connection after that, and nothing of `v` comes twice.
    await db.query('CREATE TABLE t (a int PRIMARY KEY); INSERT INTO v VALUES (3, 3)');
    await listener.start();
    await db.query('INSERT INTO t VALUES (4)');
    await waitFor(() => old.length === 2, 'the row of the new table');
    expect(old[1]).toBe('insert t {"a":4}');
    expect(all.slice(2)).toEqual(['insert v {"a":3,"b":3}', 'insert t {"a":4}']);
  });

  it('goes to those whose selector fits, under the new name or the old one', async () => {
    const calls: string[] = [];
    @Injectable()
    class Handlers {
      @OnSchemaChange('t')
      t({ table }: SchemaChange): void {
        calls.push(`t: ${table}`);
      }
      @OnSchemaChange(['*', '!u'])
      butU({ table }: SchemaChange): void {
        calls.push(`but u: ${table}`);
      }
      @OnSchemaChange('public.*', { id: 'all', enabled: true })
      all({ table }: SchemaChange, { handler, attempt }: { handler: string; attempt: number }): void {
        calls.push(`${handler} ${attempt}: ${table}`);
      }
      @OnSchemaChange('t', { enabled: false })
      never(): void {
        calls.push('never');
      }
    }
    const { listener } = await start([Handlers]);
    await db.query('INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1)');
    await db.query('ALTER TABLE u ADD COLUMN b int; INSERT INTO u VALUES (2, 2)');
    await db.query('ALTER TABLE t RENAME TO v; INSERT INTO v VALUES (2, 2)');
    await db.query('ALTER TABLE v ADD COLUMN c int; INSERT INTO v VALUES (3, 3, 3)');
    await waitFor(
      () => calls.length >= 6,
      () => calls.join(),
    );
    await waitFor(() => listener.stats().unsettledTransactions === 0, 'all to settle');
    expect(calls).toEqual(['all 1: u', 't: v', 'but u: v', 'all 1: v', 'but u: v', 'all 1: v']);
  });

  it('knows in each process what was told by another one that had the slot before', async () => {
    const [first, second] = [motionRecorder(), motionRecorder()];
    const one = await start([first]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await hears(first, 1);
    const two = await start([second]);
    expect(two.listener.status.state).toBe('standby');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await hears(first, 3);
    await one.close();
    await waitFor(() => two.listener.status.state === 'streaming', 'the take-over');
    await db.query('ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (4, 4)');
    await hears(second, 2);
    expect(first.entries).toEqual(['insert t {"a":1,"b":1}', 'schema t: +c', 'insert t {"a":2,"b":2,"c":2}']);
    expect(second.entries).toEqual(['schema t: -b', 'insert t {"a":4,"c":4}']);
  });

  it('is known of each app apart', async () => {
    const seen: string[] = [];
    const handlerOf = (app: string): Type => {
      @Injectable()
      class Handlers {
        @OnSchemaChange('t', { app })
        schema(change: SchemaChange): void {
          seen.push(`${app} ${change.app} ${schemaText(change)}`);
        }
      }
      return Handlers;
    };
    const roots = ['one', 'two'].map((name) => ({ name, connection: db.url, slot: db.slot(name) }));
    await apps.start(roots, [handlerOf('one'), handlerOf('two')]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await waitFor(async () => (await shapes()).length === 2, 'both to have seen the table');
    await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await waitFor(
      () => seen.length === 2,
      () => seen.join(),
    );
    expect(seen.sort()).toEqual(['one one schema t: +c', 'two two schema t: +c']);
    // Written down behind the handler, of each slot.
    await waitFor(async () => {
      const known = (await shapes()).map(({ slot_name, columns }) => `${slot_name} ${columns}`);
      return known.join() === ['one', 'two'].map((name) => `${db.slot(name)} a,b,c`).join();
    }, 'both to be recorded');
  });

  it('outlives the slot: a new one begins with what is known', async () => {
    const [first, second] = [motionRecorder(), motionRecorder()];
    const one = await start([first]);
    await db.query('INSERT INTO t VALUES (1, 1)');
    await hears(first, 1);
    await stop(one);
    await db.query('SELECT pg_drop_replication_slot($1)', [db.slot()]);
    await db.query('ALTER TABLE t ADD COLUMN c int');
    await start([second], { onGap: 'continue' });
    await db.query('INSERT INTO t VALUES (2, 2, 2)');
    await hears(second, 2);
    expect(second.entries).toEqual(['schema t: +c', 'insert t {"a":2,"b":2,"c":2}']);
  });

  it('works in memory where nothing can be recorded, and says so; on a temporary slot, where nothing is', async () => {
    const role = `plain_${db.name}`;
    await db.query(
      `CREATE ROLE ${role} LOGIN REPLICATION; GRANT SELECT ON t, u TO ${role}; CREATE PUBLICATION p FOR ALL TABLES`,
    );
    const url = new URL(db.url);
    url.username = role;
    try {
      for (const slot of [db.slot(), 'temporary']) {
        const recorder: MotionRecorder = motionRecorder('t', 't');
        const app = await start([recorder], { connection: url.toString(), slot, publications: ['p'] });
        await db.query('INSERT INTO t VALUES (1, 1)');
        await db.query('ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
        await hears(recorder, 3);
        expect(recorder.entries[1]).toBe('schema t: +c');
        expect(app.logs.find('How tables are described cannot be recorded') !== undefined).toBe(slot !== 'temporary');
        await app.close();
        await db.query('ALTER TABLE t DROP COLUMN c; TRUNCATE t');
      }
      expect(await db.query(`SELECT to_regclass('nestjs_pg_listener.described') AS made`)).toEqual([{ made: null }]);
    } finally {
      await apps.close();
      await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('costs nothing where nobody asks: no table is made', async () => {
    @Injectable()
    class Handlers {
      static readonly entries: string[] = [];
      @OnTableChange('t')
      row(change: Change): void {
        Handlers.entries.push(rowText(change));
      }
    }
    await start([Handlers]);
    await db.query('INSERT INTO t VALUES (1, 1); ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2, 2, 2)');
    await hears(Handlers, 2);
    expect(await db.query(`SELECT to_regclass('nestjs_pg_listener.described') AS made`)).toEqual([{ made: null }]);
  });

  it('refuses options that it cannot have', async () => {
    @Injectable()
    class Handlers {
      @OnSchemaChange('t', {
        id: 'x',
        onExhausted: 'park',
        transactional: true,
        concurrency: 3,
        batch: { size: 2 },
      } as never)
      schema(): void {}
      @OnSchemaChange('!t')
      pattern(): void {}
    }
    const error = await start([Handlers]).catch((cause: unknown) => cause as Error);
    const { message } = error as Error;
    for (const text of ["onExhausted 'park'", '`transactional`', '`concurrency`', '`batch`', 'excludes only']) {
      expect(message).toContain(text);
    }
  });
});
