import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { recorderOf, TestApplications } from '../../support/application.js';
import { runCommand } from '../../support/command-line.js';
import { connect, createDatabase, slotToBeFree, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';
import { runCli } from '#lib/cli/cli.js';
import type { World } from '#lib/cli/terminal.js';

/** Somebody who streams from the slot, and does not come back. */
async function startReader(url: string, slot: string): Promise<{ readonly ended: Promise<unknown> }> {
  const client = await connect({ connectionString: url, replication: 'database' } as object);
  const ended = client
    .query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'pg_listener_${slot}')`)
    .catch((error: unknown) => error);
  const plain = await connect(url);
  await waitFor(async () => {
    const { rows } = await plain.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active', [slot]);
    return rows.length === 1;
  }, 'the slot to be read');
  await plain.end();
  return { ended };
}

describe('slots and drop-slot', () => {
  let db: TestDatabase;
  let slot: string;
  const apps = new TestApplications();

  const exists = async (): Promise<boolean> =>
    (await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [slot])).length > 0;
  const drop = (words: readonly string[] = [], input = '') =>
    runCommand(['drop-slot', db.url, slot, ...words], { input });

  /** At a terminal, on which `input` is typed. */
  const typed = async (input: string) => {
    const world = Object.assign(new EventEmitter(), {
      stdin: Object.assign(new PassThrough(), { isTTY: true }),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      env: {},
    });
    world.stdin.end(input);
    const code = await runCli(['drop-slot', db.url, slot], world as World);
    return { code, stdout: String(world.stdout.read() ?? ''), stderr: String(world.stderr.read() ?? '') };
  };

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

  it('drop a slot when its name is typed once more at a terminal, and not otherwise', async () => {
    await apps.start({ connection: db.url, slot }, [recorderOf('orders')]);
    await apps.close();
    await slotToBeFree(db, slot);
    for (const input of ['', 'y\n', 'yes\n', `${slot}x\n`]) {
      const { code, stdout, stderr } = await typed(input);
      expect({ code, stdout }).toEqual({ code: 1, stdout: 'Nothing was dropped.\n' });
      expect(stderr).toContain('is lost for good');
    }
    expect(await exists()).toBe(true);
    const { code, stdout, stderr } = await typed(`${slot}\n`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Dropped the slot "${slot}".\n` });
    expect(await exists()).toBe(false);
    // What is printed is all that is left of it (docs/getting-started.md, at the end).
    const rest = /may go too: (DROP PUBLICATION .*;) (DELETE FROM .*;)\n/.exec(stderr)!;
    for (const sql of rest.slice(1)) await db.query(sql);
    expect(await db.query('SELECT FROM pg_publication')).toEqual([]);
    expect(await db.query('SELECT FROM nestjs_pg_listener.slots')).toEqual([]);
  });

  it('do not take what a pipe holds for an answer', async () => {
    await db.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const { code, stdout, stderr } = await drop([], `${slot}\n`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('There is no terminal to ask');
    expect(stderr).toContain('--yes');
    const json = await drop(['--json'], `${slot}\n`);
    expect({ code: json.code, error: JSON.parse(json.stdout).error }).toMatchObject({
      code: 1,
      error: { code: 'PG_LISTENER_SLOT', hint: expect.stringContaining('--yes') },
    });
    expect(await exists()).toBe(true);
  });

  it('drop without a question with --yes, by DATABASE_URL, and tell programs', async () => {
    await db.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const dropped = await runCommand(['drop-slot', slot, '--yes', '--json'], { env: { DATABASE_URL: db.url } });
    expect(dropped).toMatchObject({ code: 0, stdout: `{"slot":"${slot}","dropped":true}\n`, stderr: '' });
    expect(await exists()).toBe(false);
    const again = await drop(['--yes']);
    expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`There is no slot "${slot}"`) });
  });

  it('do not drop a slot that somebody reads, and ask nobody', async () => {
    const app = await apps.start({ connection: db.url, slot }, [recorderOf('orders')]);
    for (const { code, stderr, stdout } of [await drop(['--yes']), await typed(`${slot}\n`)]) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^The slot "\w+" is being read from/);
    }
    expect(await exists()).toBe(true);
    const { stderr } = await drop(['--yes']);
    await app.close();
    await slotToBeFree(db, slot);
    const reader = await startReader(db.url, slot);
    await db.query(/SELECT pg_terminate_backend.*?;/.exec(stderr)![0]);
    await reader.ended;
    await slotToBeFree(db, slot);
    expect((await drop(['--yes'])).code).toBe(0);
  });
});
