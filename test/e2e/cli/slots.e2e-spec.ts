import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { recorderOf, TestApplications } from '../../support/application.js';
import { runCommand } from '../../support/command-line.js';
import { createDatabase, slotToBeFree, type TestDatabase } from '../../support/database.js';

describe('slots and drop-slot', () => {
  let db: TestDatabase;
  let slot: string;
  const apps = new TestApplications();

  const exists = async (): Promise<boolean> =>
    (await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [slot])).length > 0;
  const drop = (words: readonly string[] = [], input = '') =>
    runCommand(['drop-slot', db.url, slot, ...words], { input });

  beforeEach(async () => {
    db = await createDatabase();
    slot = db.slot('shop');
    await db.query('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  afterEach(async () => {
    await apps.close();
    await db.drop();
  });

  it('list what each slot holds back, who reads it and whose it is', async () => {
    const app = await apps.start({ connection: db.url, slot, service: 'shop-api' }, [recorderOf('orders')]);
    const list = async (): Promise<Record<string, unknown>> => {
      const { code, stdout } = await runCommand(['slots', db.url, '--json']);
      expect(code).toBe(0);
      return (JSON.parse(stdout) as Record<string, unknown>[]).find(({ name }) => name === slot)!;
    };
    expect(await list()).toMatchObject({
      plugin: 'pgoutput',
      database: db.name,
      temporary: false,
      active: true,
      activePid: expect.any(Number),
      application: 'nestjs-pg-listener:default',
      walStatus: 'reserved',
      givenUpInSeconds: null,
      invalidation: null,
      idleSeconds: null,
      synced: false,
      owner: { service: 'shop-api', app: 'default', recordedSecondsAgo: expect.any(Number) },
    });
    await app.close();
    await slotToBeFree(db, slot);
    await db.query(`SELECT pg_logical_emit_message(true, 'x', repeat('x', 300000))`);
    const [{ version }] = await db.query(`SELECT current_setting('server_version_num')::int AS version`);
    const left = await list();
    expect(left).toMatchObject({ active: false, activePid: null });
    expect(left['retainedBytes']).toBeGreaterThan(300_000);
    expect(left['idleSeconds']).toEqual(version >= 170_000 ? expect.any(Number) : null);
    const { stdout } = await runCommand(['slots', db.url]);
    const line = stdout.split('\n').find((each) => each.startsWith(slot))!;
    expect(line).toMatch(/pgoutput +test_\w+ +nobody +\d+ (kB|MB) +reserved +\S.* service "shop-api", app "default"$/);
  });

  it('drop a slot when its name is typed once more, and not otherwise', async () => {
    await apps.start({ connection: db.url, slot }, [recorderOf('orders')]);
    await apps.close();
    await slotToBeFree(db, slot);
    for (const input of ['', 'y\n', 'yes\n', `${slot}x\n`]) {
      const { code, stdout, stderr } = await drop([], input);
      expect({ code, stdout }).toEqual({ code: 1, stdout: 'Nothing was dropped.\n' });
      expect(stderr).toContain('is lost for good');
    }
    expect(await exists()).toBe(true);
    const { code, stdout, stderr } = await drop([], `${slot}\n`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Dropped the slot "${slot}".\n` });
    expect(stderr).toContain(`DROP PUBLICATION "pg_listener_${slot}", "pg_listener_${slot}_append";`);
    expect(await exists()).toBe(false);
  });

  it('drop without a question with --yes, by DATABASE_URL, and tell programs', async () => {
    await db.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const dropped = await runCommand(['drop-slot', slot, '--yes', '--json'], { env: { DATABASE_URL: db.url } });
    expect(dropped).toMatchObject({ code: 0, stdout: `{"slot":"${slot}","dropped":true}\n`, stderr: '' });
    expect(await exists()).toBe(false);
    const again = await drop(['--yes']);
    expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`There is no slot "${slot}"`) });
  });

  it('do not drop a slot that somebody reads', async () => {
    await apps.start({ connection: db.url, slot }, [recorderOf('orders')]);
    const { code, stderr } = await drop(['--yes']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('is being read from') });
    expect(stderr).toContain(`FROM pg_replication_slots WHERE slot_name = '${slot}'`);
    expect(await exists()).toBe(true);
  });
});
