import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ServerSetupError, type InsertChange } from 'nestjs-pg-listener';
import { recordStream, TestingError, type RecordStreamOptions } from 'nestjs-pg-listener/testing';
import { recorderOf } from '../support/application.js';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { startStandby } from '../support/standby.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { TestingModules } from '../unit/testing/boot.js';

/** Of servers that are set up for it. */
describe('a recording of a server that', () => {
  const modules = new TestingModules();
  let server: PostgresServer;
  let database: TestDatabase;
  let version: number;

  beforeAll(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: '10' } });
  });
  beforeEach(async () => {
    database = await createDatabase(server.url);
    version = Number((await database.query(`SELECT current_setting('server_version_num') AS number`))[0].number);
    await database.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await modules.close();
    await database.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  const record = (body: () => unknown, more: Partial<RecordStreamOptions> = {}) =>
    recordStream({ connection: database.url, tables: ['orders'], ...more }, body);
  async function replayed(recording: Awaited<ReturnType<typeof record>>): Promise<unknown[]> {
    const Replayed = recorderOf('orders');
    const listener = await modules.boot([Replayed]);
    await listener.replay(recording);
    return Replayed.changes.map((change) => (change as InsertChange).record['id']);
  }
  const types = (recording: Awaited<ReturnType<typeof record>>): string =>
    recording.messages.map(({ bytes }) => String.fromCharCode(bytes[0]!)).join('');
  const prepared = async (): Promise<void> => {
    await database.query(`BEGIN; INSERT INTO orders VALUES (1); PREPARE TRANSACTION 'one'`);
    await database.query(`BEGIN; INSERT INTO orders VALUES (2); PREPARE TRANSACTION 'two'`);
    await database.query('INSERT INTO orders VALUES (3)');
    await database.query(`COMMIT PREPARED 'one'`);
    await database.query(`ROLLBACK PREPARED 'two'`);
    await database.query(`BEGIN; INSERT INTO orders VALUES (4); PREPARE TRANSACTION 'left open'`);
  };
  const tidyUp = () => database.query(`ROLLBACK PREPARED 'left open'`);

  it('has prepared transactions tells of them when they are committed', async () => {
    const recording = await record(prepared);
    await tidyUp();
    expect(types(recording)).not.toMatch(/[bPKr]/);
    expect(await replayed(recording)).toEqual([3, 1]);
  });

  it('sends transactions when they are prepared has them, and a replay hands over what is committed', async () => {
    if (version < 150_000) {
      await expect(record(prepared, { twoPhase: true })).rejects.toThrow(ServerSetupError);
      console.log(`Only the refusal: PostgreSQL ${version} has no two-phase commit over a slot`);
      return;
    }
    const recording = await record(prepared, { twoPhase: true });
    await tidyUp();
    expect(
      types(recording)
        .match(/[bPKr]/g)!
        .join(''),
    ).toBe('bPbPKrbP');
    expect(await replayed(recording)).toEqual([3, 1]);
  });

  it('has a slot that does so, too', async () => {
    if (version < 150_000) return console.log(`Left out: PostgreSQL ${version} has no two-phase commit over a slot`);
    await database.query('CREATE PUBLICATION mine FOR TABLE orders');
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, true)`, [database.slot()]);
    await prepared();
    await tidyUp();
    const options = { slot: database.slot(), publications: ['mine'], tables: undefined };
    const recording = await record(() => undefined, options);
    expect(await replayed(recording)).toEqual([3, 1]);
  });

  it('sends each transaction in parts, however small, ends with the last of them', async () => {
    if (version < 160_000) return console.log(`Left out: PostgreSQL ${version} sends in parts what is large`);
    await database.query(`ALTER DATABASE ${database.name} SET debug_logical_replication_streaming = 'immediate'`);
    const recording = await record(() => database.query('INSERT INTO orders VALUES (1), (2)'), { streaming: true });
    expect(types(recording)).toMatch(/^S.*Ec$/);
    expect(await replayed(recording)).toEqual([1, 2]);
    const none = await record(() => undefined, { streaming: true });
    expect(none.messages).toEqual([]);
    expect(await replayed(none)).toEqual([]);
  });

  it('is a standby is refused, before anything is done, with what to do', async () => {
    if (version < 170_000) return console.log(`Left out: these tests make standbys of 17 and later, not of ${version}`);
    const standby = await startStandby(server, { max_prepared_transactions: '10' });
    try {
      const url = standby.server.urlOf('postgres');
      let isRun = false;
      const refused = recordStream({ connection: url, publications: ['mine'] }, () => (isRun = true));
      await expect(refused).rejects.toThrow(TestingError);
      await expect(refused).rejects.toThrow('record from its primary');
      expect(isRun).toBe(false);
    } finally {
      await standby.stop();
      await withClient(server.url, (client) =>
        client.query(`SELECT pg_drop_replication_slot('standby_1')`).catch(() => undefined),
      );
    }
  });
});
