import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { startScript, type ChildApplication } from '../support/child.js';
import { connect } from '../support/database.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

const SLEEP_MS = 30_000;
const ROWS_AT_ONCE = 1_000;
/** Some 200 MB of log. All of it has to be read before the test is over: what comes behind it is written slowly. */
const AT_FULL_SPEED = 1_500_000;

describe('a handler that sleeps for 30 s, with wal_sender_timeout = 4s', () => {
  let server: PostgresServer;
  let child: ChildApplication | undefined;

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_sender_timeout: '4s' } });
  });
  afterAll(async () => {
    await child?.kill();
    await server?.stop('immediate');
  });

  it('keeps its connection and bounds its memory while a writer goes on at full speed, and loses nothing', async () => {
    const client = await connect(server.url);
    const walsender = async (): Promise<unknown> =>
      (await client.query(`SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'slow'`)).rows[0]?.active_pid;
    const said = (key: string): Record<string, unknown> | undefined => child!.messages.find((each) => key in each);
    await client.query('CREATE TABLE readings (id bigserial PRIMARY KEY, filler text)');
    child = startScript('slow-child', [server.url, 'slow', String(SLEEP_MS)], ['--expose-gc']);
    await waitFor(
      () => said('ready'),
      () => `the child: ${child!.output()}`,
    );
    await client.query(`INSERT INTO readings (filler) VALUES ('the first')`);
    await waitFor(() => said('asleep'), 'the handler to fall asleep');
    const pid = await walsender();
    let written = 1;
    while (said('awake') === undefined) {
      await client.query(
        `INSERT INTO readings (filler) SELECT repeat('x', 50) FROM generate_series(1, ${ROWS_AT_ONCE})`,
      );
      written += ROWS_AT_ONCE;
      if (written > AT_FULL_SPEED) await sleep(50);
    }
    const handled = (): number =>
      Math.max(0, ...child!.messages.map((each) => (each['handled'] as number | undefined) ?? 0));
    const poke = (): number => {
      child!.process.send('report');
      return handled();
    };
    await waitForCount(poke, written, () => child!.output());
    // A message of its own, which follows each report that was asked for.
    const { stats } = await waitFor(() => {
      const last = child!.messages.findIndex((each) => each['handled'] === written);
      return child!.messages.slice(last).find((each) => 'stats' in each);
    }, 'the stats behind the last report');
    const { growthMb } = said('awake') as { growthMb: number };
    console.log(`${written} rows were written within ${SLEEP_MS / 1000} s; resident memory grew by ${growthMb} MB`);
    expect(written).toBeGreaterThan(50_000);
    expect(growthMb).toBeLessThan(100);
    expect(child.messages.findLast((each) => 'handled' in each)).toEqual({ handled: written, isOrdered: true });
    if ((await walsender()) !== pid) throw new Error(`another walsender: ${child.output()}`);
    expect(stats).toMatchObject({ reconnects: 0, failures: 0 });
    await client.end();
  }, 180_000);
});
