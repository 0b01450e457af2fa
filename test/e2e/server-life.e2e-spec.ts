import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import type { Change, InsertChange } from 'nestjs-pg-listener';
import { recorderOf, startApplication, type TestApplication } from '../support/application.js';
import { connect, dropSlots, withClient } from '../support/database.js';
import { startProxy } from '../support/proxy.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

const idOf = (change: Change): number => Number((change as InsertChange).record['id']);

/** A server of its own: it is stopped, crashed and set up in ways that others must not feel. */
describe('the life of the server', () => {
  let server: PostgresServer;
  let app: TestApplication | undefined;
  let round = 0;

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_sender_timeout: '2s', fsync: 'on' } });
    await withClient(server.url, (client) =>
      client.query('CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE noise (id bigserial, filler text)'),
    );
  });
  beforeEach(() => {
    round++;
  });
  afterAll(async () => {
    await app?.close();
    await server?.stop('immediate');
  });

  const insert = (from: number, to: number): Promise<unknown> =>
    withClient(server.url, (client) =>
      client.query('INSERT INTO orders SELECT generate_series($1::int, $2::int)', [from, to]),
    );
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const boot = async (
    recorder: ReturnType<typeof recorderOf>,
    limits = {},
    connection = server.url,
  ): Promise<TestApplication> => {
    const options = { connection, slot: `slot_${round}`, shutdownTimeoutMs: 500, limits };
    app = await startApplication(options, [recorder]);
    return app;
  };
  const finish = async (): Promise<void> => {
    await app?.close();
    app = undefined;
    await withClient(server.url, async (client) => {
      // Behind a proxy that is gone, nobody has told the server's end of the stream to let the slot go.
      await dropSlots(client);
      await client.query('TRUNCATE orders');
    });
  };
  /** How long a stop of the server takes with the application; what there is to be written to disk is written before. */
  const stopMs = async (): Promise<number> => {
    await withClient(server.url, (client) => client.query('CHECKPOINT'));
    const began = Date.now();
    await server.pause('fast');
    return Date.now() - began;
  };
  const allOf = (recorder: ReturnType<typeof recorderOf>, total: number): Promise<void> =>
    waitForCount(
      () => recorder.changes.length,
      total,
      () => `changes; ${app!.logs.lines.slice(-5).join('\n')}`,
    );

  it.each(['fast', 'immediate'] as const)(
    'goes on after a %s stop and a restart in the middle of a transaction',
    async (mode) => {
      const recorder = recorderOf('orders', () => sleep(1));
      const { listener } = await boot(recorder);
      await insert(1, 300);
      await waitFor(() => recorder.changes.length > 20, 'some changes');
      await server.pause(mode);
      await waitFor(() => listener.status.state === 'backing-off', 'the loss to be noticed');
      await server.start();
      await insert(301, 400);
      await waitFor(
        () => recorder.changes.length >= 400,
        () => `${recorder.changes.length} changes`,
      );
      expect(recorder.changes.map(idOf)).toEqual(range(1, 400));
      await finish();
    },
  );

  it.each([
    ['its requests are read', 3],
    ['reading is paused, so that only a plain connection tells', 50_000],
  ])(
    'does not keep the server from stopping while a handler blocks and %s; nothing is lost',
    async (_, rows) => {
      let release: () => void = () => undefined;
      const gate = new Promise<void>((done) => (release = done));
      const recorder = recorderOf('orders', () => gate);
      const { listener, logs } = await boot(recorder, { changes: 10 });
      await insert(1, rows);
      await waitFor(() => recorder.changes.length === 1, 'the handler');
      await waitFor(() => listener.stats().pendingChanges >= Math.min(rows, 10), 'the rest to be read');
      expect(await stopMs()).toBeLessThan(5_000);
      // The server may also have given up a stream that did not answer in time, and have ended before we heard of it.
      await waitFor(() => logs.find('The server is shutting down'), 'the shutdown to be heard of');
      await server.start();
      release();
      await allOf(recorder, rows);
      expect(recorder.changes.map(idOf)).toEqual(range(1, rows));
      await finish();
    },
    60_000,
  );

  it('confirms at a stop what a handler finishes quickly, where a position needs no record', async () => {
    const recorder = recorderOf('orders', () => sleep(700));
    // A role without a place for records: with one, nothing can be written any more when the server stops.
    await withClient(server.url, (client) =>
      client.query(`CREATE ROLE reader LOGIN REPLICATION PASSWORD 'secret'; GRANT SELECT ON orders TO reader;
        ALTER ROLE reader SET wal_sender_timeout = '60s'; CREATE PUBLICATION mine FOR TABLE orders`),
    );
    const connection = Object.assign(new URL(server.url), { username: 'reader', password: 'secret' }).toString();
    app = await startApplication({ connection, slot: `slot_${round}`, publications: ['mine'] }, [recorder]);
    await insert(1, 1);
    await waitFor(() => recorder.changes.length === 1, 'the handler');
    await server.pause('fast');
    await app.close();
    await server.start();
    const confirmed = `SELECT confirmed_flush_lsn > $2 AS is FROM pg_replication_slots WHERE slot_name = $1`;
    const { rows } = await withClient(server.url, (client) =>
      client.query(confirmed, [`slot_${round}`, recorder.changes[0]!.lsn]),
    );
    expect(rows).toEqual([{ is: true }]);
    await finish();
  });

  it.each([
    ['while it streams', false],
    ['while it is being started', true],
  ])(
    'hears of a stop also after its connection for queries was lost %s',
    async (_, isEarly) => {
      const proxy = await startProxy(new URL(server.url));
      let release: () => void = () => undefined;
      const gate = new Promise<void>((done) => (release = done));
      const recorder = recorderOf('orders', () => gate);
      let isLost = false;
      proxy.rewrite((chunk) => {
        if (isEarly && !isLost && chunk.includes('START_REPLICATION')) {
          isLost = true;
          proxy.cutPlain();
        }
        return chunk;
      });
      try {
        const { listener } = await boot(recorder, { changes: 10 }, proxy.through(server.url));
        await insert(1, 50_000);
        await waitFor(() => listener.stats().pendingChanges >= 10, 'the limit');
        if (!isEarly) proxy.cutPlain();
        // A start that is not finished is no stream yet.
        const reconnects = isEarly ? 0 : 1;
        const isBack = (): boolean =>
          listener.stats().reconnects === reconnects && listener.status.state === 'streaming';
        await waitFor(isBack, 'a new stream');
        expect(isLost).toBe(isEarly);
        expect(await stopMs()).toBeLessThan(5_000);
        await server.start();
        release();
        await allOf(recorder, 50_000);
        expect(recorder.changes.map(idOf)).toEqual(range(1, 50_000));
      } finally {
        release();
        await proxy.close();
        await finish();
      }
    },
    60_000,
  );

  it('outlives wal_sender_timeout while a handler is slow and reading is paused', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((done) => (release = done));
    const recorder = recorderOf('orders', (change) => (idOf(change) === 1 ? gate : undefined));
    const { listener } = await boot(recorder, { changes: 10 });
    await insert(1, 50_000);
    await waitFor(() => listener.stats().pendingChanges >= 10, 'the limit');
    const walsender = (): Promise<unknown> =>
      withClient(
        server.url,
        async (client) => (await client.query('SELECT active_pid FROM pg_replication_slots')).rows,
      );
    const before = await walsender();
    await sleep(4_000);
    expect(recorder.changes).toHaveLength(1);
    expect(await walsender()).toEqual(before);
    release();
    await allOf(recorder, 50_000);
    expect(listener.stats().reconnects).toBe(0);
    await finish();
  }, 60_000);

  it('stays connected for 20 s with nothing to do, while another table is written at full speed, and its slot advances', async () => {
    const recorder = recorderOf('orders');
    const { listener } = await boot(recorder);
    const client = await connect(server.url);
    const position = async (): Promise<bigint> => {
      const { rows } = await client.query(
        `SELECT (confirmed_flush_lsn - '0/0')::text AS position FROM pg_replication_slots WHERE slot_name = $1`,
        [`slot_${round}`],
      );
      return BigInt(rows[0].position);
    };
    const positions = [await position()];
    const until = Date.now() + 20_000;
    let writes = 0;
    let nextLook = Date.now() + 4_000;
    while (Date.now() < until) {
      await client.query(`INSERT INTO noise (filler) SELECT repeat('x', 500) FROM generate_series(1, 200)`);
      writes += 200;
      if (Date.now() < nextLook) continue;
      // From this look on: after a pause, two of them must not follow each other.
      nextLook = Date.now() + 4_000;
      positions.push(await position());
    }
    await client.end();
    console.log(
      `idle for 20 s beside ${writes} foreign rows: the slot moved ${positions.at(-1)! - positions[0]!} bytes`,
    );
    for (let index = 1; index < positions.length; index++)
      expect(positions[index]).toBeGreaterThan(positions[index - 1]!);
    expect(listener.stats()).toMatchObject({ reconnects: 0, state: 'streaming', changesReceived: 0 });
    await finish();
  }, 60_000);

  it('keeps the connection over a handler that takes longer than wal_sender_timeout', async () => {
    const recorder = recorderOf('orders', (change) => (idOf(change) === 1 ? sleep(5_000) : undefined));
    const { listener } = await boot(recorder);
    await insert(1, 2);
    await waitFor(() => recorder.changes.length === 2, 'the second change');
    expect(listener.stats().reconnects).toBe(0);
    await finish();
  });
});
