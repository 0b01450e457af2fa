import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recorderOf, TestApplications } from '../../support/application.js';
import { runCommand, RunningCommands, type RunningCommand } from '../../support/command-line.js';
import { connect, createDatabase, withClient, type TestDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait.js';
import { packageRoot } from '../../unit/package-root.js';

describe('tail', () => {
  let db: TestDatabase;
  const apps = new TestApplications();
  const commands = new RunningCommands();

  /** Resolves when it watches. */
  const tail = async (words: readonly string[] = [], env = {}, isRead = true): Promise<RunningCommand> => {
    const command = commands.start(['tail', db.url, ...words], { env }, isRead);
    await command.saysOnStderr('Watching');
    return command;
  };
  const publications = async (): Promise<string[]> =>
    (await db.query('SELECT pubname FROM pg_publication ORDER BY 1')).map(({ pubname }) => pubname);
  const slots = (): Promise<unknown[]> =>
    db.query('SELECT slot_name, temporary FROM pg_replication_slots WHERE database = current_database() ORDER BY 1');

  beforeEach(async () => {
    db = await createDatabase();
    await db.query('CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric, note text)');
  });
  afterEach(async () => {
    await commands.close();
    await apps.close();
    await db.drop();
  });

  it('shows old and new values side by side, and leaves nothing behind', async () => {
    await db.query('ALTER TABLE orders REPLICA IDENTITY FULL');
    const command = await tail();
    expect(await slots()).toEqual([{ slot_name: expect.stringContaining('pg_listener_temporary_'), temporary: true }]);
    await db.query(`INSERT INTO orders VALUES (1, 'new', 12.50, '')`);
    await db.query(`UPDATE orders SET status = 'shipped', total = NULL`);
    await db.query('DELETE FROM orders');
    await db.query('TRUNCATE orders');
    const lines = await command.linesToBe(16);
    const heads = lines.filter((line) => !line.startsWith(' '));
    expect(heads.map((line) => line.split(/ +/).slice(0, 2))).toEqual([
      ['INSERT', 'public.orders'],
      ['UPDATE', 'public.orders'],
      ['DELETE', 'public.orders'],
      ['TRUNCATE', 'public.orders'],
    ]);
    expect(lines.slice(1, 5)).toEqual(['  id      1', '  status  new', '  total   12.50', `  note    ''`]);
    expect(lines.slice(6, 10)).toEqual([
      '  id      1        1',
      '  status  new   -> shipped',
      '  total   12.50 -> NULL',
      `  note    ''       ''`,
    ]);
    const { code, stderr } = await command.end('SIGINT');
    expect({ code, stderr: stderr.split('\n').length }).toEqual({ code: 0, stderr: 2 });
    await waitFor(async () => (await slots()).length === 0, 'the slot to be gone');
    expect(await publications()).toEqual([]);
  });

  it('writes a line of JSON for each change, and nothing else, of what is asked for', async () => {
    await db.query(`CREATE TABLE kinds (id bigint PRIMARY KEY, flag bool, small int2, ratio float8, doc jsonb, at timestamptz,
      list int[], raw bytea); CREATE TABLE noise (id int PRIMARY KEY)`);
    const command = await tail(['--json', '--table', 'kinds', '--operation', 'insert,delete', '--limit', '3']);
    await db.query('INSERT INTO noise VALUES (1)');
    await db.query(`INSERT INTO kinds VALUES (9007199254740993, true, 7, 'Infinity', '{"a": [1, null]}',
      '2026-01-02 03:04:05.123456+00', '{1,NULL}', '\\x00ff')`);
    await db.query('UPDATE kinds SET small = 8');
    await db.query('INSERT INTO kinds (id, ratio) VALUES (2, 1.5); DELETE FROM kinds WHERE id = 2');
    const { code, stdout } = await command.end();
    expect(code).toBe(0);
    const changes = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const nulls = { flag: null, small: null, doc: null, at: null, list: null, raw: null };
    expect(changes).toMatchObject([
      {
        operation: 'insert',
        schema: 'public',
        table: 'kinds',
        index: 0,
        record: {
          id: '9007199254740993',
          flag: true,
          small: 7,
          ratio: 'Infinity',
          doc: { a: [1, null] },
          at: expect.stringContaining('05.123456'),
          list: '{1,NULL}',
          raw: '\\x00ff',
        },
      },
      { operation: 'insert', index: 0, record: { id: '2', ratio: 1.5, ...nulls } },
      { operation: 'delete', index: 1, oldRecord: { id: '2' } },
    ]);
    expect(changes.every(({ id, lsn, index }) => id === `${lsn}/${index}`)).toBe(true);
    expect(changes.some((change) => 'app' in change)).toBe(false);
  });

  it('reads a column of a type that was made while it runs as what it is', async () => {
    const command = await tail(['--json', '--table', 'orders', '--limit', '1']);
    await db.query('CREATE DOMAIN cents AS int; ALTER TABLE orders ADD COLUMN price cents');
    await db.query('INSERT INTO orders (id, price) VALUES (1, 1250)');
    const { code, stdout } = await command.end();
    expect({ code, record: JSON.parse(stdout).record }).toMatchObject({ code: 0, record: { id: 1, price: 1250 } });
  });

  it('disturbs no application that listens to the same tables', async () => {
    const recorder = recorderOf('orders');
    const slot = db.slot();
    await apps.start({ connection: db.url, slot }, [recorder]);
    const before = await publications();
    const command = await tail(['--json']);
    for (let id = 1; id <= 20; id++) await db.query('INSERT INTO orders (id) VALUES ($1)', [id]);
    const lines = await command.linesToBe(20);
    await waitFor(() => recorder.changes.length >= 20, 'the handler');
    expect(recorder.changes.map(({ id }) => id)).toEqual(lines.map((line) => JSON.parse(line).id));
    expect((await command.end('SIGINT')).code).toBe(0);
    const [{ active }] = await db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [slot]);
    expect(active).toBe(true);
    await db.query('INSERT INTO orders (id) VALUES (21)');
    await waitFor(() => recorder.changes.length >= 21, 'the handler to go on');
    expect(await publications()).toEqual(before);
  });

  it('makes no publication where one carries all that is asked for, and is content with less rights then', async () => {
    await db.query('CREATE TABLE secret (id int PRIMARY KEY); CREATE PUBLICATION shop FOR TABLE orders');
    await db.query('CREATE ROLE tail_reader LOGIN REPLICATION');
    const url = db.url.replace('postgres@', 'tail_reader@');
    try {
      const command = commands.start(['tail', url, '--json', '--table', 'orders', '--limit', '1']);
      await command.saysOnStderr('Watching orders');
      expect(await publications()).toEqual(['shop']);
      await db.query('INSERT INTO orders (id) VALUES (1)');
      expect((await command.end()).code).toBe(0);
      expect(await publications()).toEqual(['shop']);

      const all = commands.start(['tail', url, '--json', '--limit', '1']);
      await all.saysOnStderr('Watching *');
      expect(all.stderr).toMatch(/^Not shown, .*: public\.secret\n/);
      expect(all.stderr).toContain('GRANT CREATE ON DATABASE');
      await db.query('INSERT INTO secret VALUES (1); INSERT INTO orders (id) VALUES (2)');
      expect((await all.end()).stdout).toContain('"table":"orders"');

      const refused = await runCommand(['tail', url, '--table', 'secret']);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('No publication carries public.secret, and the role may not make one');
      expect(refused.stderr).toContain('CREATE PUBLICATION listener_changes FOR TABLE "public"."secret";');
    } finally {
      await db.query('DROP OWNED BY tail_reader; DROP ROLE tail_reader');
    }
  });

  it('takes away what a killed one has left, and not what a running one needs', async () => {
    const killed = await tail();
    const running = await tail();
    expect(await publications()).toHaveLength(2);
    await killed.end('SIGKILL');
    await waitFor(async () => (await slots()).length === 1, 'the slot of the killed one to be gone');
    expect(await publications()).toHaveLength(2);
    const third = await tail();
    expect(await publications()).toHaveLength(2);
    await db.query('INSERT INTO orders (id) VALUES (1)');
    for (const command of [running, third]) await command.linesToBe(5);
    for (const command of [running, third]) expect((await command.end('SIGTERM')).code).toBe(0);
    expect(await publications()).toEqual([]);
  });

  it('breaks no UPDATE of a table that has no primary key, and says what would show it', async () => {
    await db.query('CREATE TABLE log (line text); INSERT INTO log VALUES (1)');
    const command = await tail(['--json']);
    expect(command.stderr).toContain('ALTER TABLE "public"."log" REPLICA IDENTITY FULL;');
    await db.query(`UPDATE log SET line = 'x'`);
    await db.query(`INSERT INTO log VALUES ('seen')`);
    expect(JSON.parse((await command.linesToBe(1))[0]!).record).toEqual({ line: 'seen' });
  });

  it('breaks no UPDATE of a table that has generated columns, and shows what is published of them', async () => {
    const [{ version }] = await db.query(`SELECT current_setting('server_version_num')::int AS version`);
    await db.query('CREATE TABLE sums (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)');
    await db.query('ALTER TABLE sums REPLICA IDENTITY FULL');
    const command = await tail(['--json', '--table', 'sums', '--table', 'orders']);
    await db.query('INSERT INTO sums VALUES (1); UPDATE sums SET n = 2');
    const [, update] = (await command.linesToBe(2)).map((line) => JSON.parse(line));
    const twice = version >= 180_000 ? { twice: 4 } : {};
    expect(update).toMatchObject({ operation: 'update', record: { n: 2, ...twice }, oldRecord: { n: 1 } });
  });

  it('fails where its results cannot be written', async () => {
    const full = openSync('/dev/full', 'w');
    const program = join(packageRoot(), 'dist/cli/main.js');
    const child = spawn(process.execPath, [program, 'tail', db.url, '--json'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    try {
      let stderr = '';
      child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      await waitFor(() => stderr.includes('Watching'), 'the tail');
      await db.query('INSERT INTO orders (id) VALUES (1); INSERT INTO orders (id) VALUES (2)');
      await waitFor(() => child.exitCode !== null, 'the end');
      expect({ code: child.exitCode, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('ENOSPC') });
    } finally {
      child.kill('SIGKILL');
    }
    expect(await publications()).toEqual([]);
  });

  it('goes on where nobody hears what is said about the changes', async () => {
    const command = await tail(['--json', '--limit', '2']);
    command.process.stderr.destroy();
    await db.query(`INSERT INTO orders (id) VALUES (1); UPDATE orders SET status = 'x'`);
    const { code, stdout } = await command.end();
    expect({ code, lines: stdout.trimEnd().split('\n').length }).toEqual({ code: 0, lines: 2 });
  });

  it('says nothing of watching where it was ended before', async () => {
    const open = await connect(db.url);
    try {
      // A new slot waits for it.
      await open.query('BEGIN; CREATE TABLE unfinished (id int)');
      const command = commands.start(['tail', db.url]);
      await waitFor(async () => (await slots()).length === 1, 'the slot in the making');
      const { code, stderr } = await command.end('SIGINT');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(await publications()).toEqual([]);
    } finally {
      await open.end();
    }
  });

  it('says once for a table that its old values do not come, and what brings them', async () => {
    const command = await tail();
    await db.query(
      `INSERT INTO orders (id) VALUES (1); UPDATE orders SET status = 'a'; UPDATE orders SET status = 'b'`,
    );
    await command.linesToBe(15);
    expect(command.stderr.match(/ALTER TABLE "public"\."orders" REPLICA IDENTITY FULL;/g)).toHaveLength(1);
  });

  it('gives values no power over the terminal, in names neither', async () => {
    await db.query(`CREATE TABLE "evil\u001b[2J" (id int PRIMARY KEY, "\u001b]0;x\u0007" text)`);
    const [text, json] = [await tail(), await tail(['--json'])];
    await db.query(`INSERT INTO "evil\u001b[2J" VALUES (1, E'a\\x1b[31m\\nb\\u009b\\u202e\\r')`);
    const shown = (await text.linesToBe(3)).join('\n');
    expect(shown).toContain('a\\x1b[31m\\nb\\x9b\\u202e\\r');
    const [line] = await json.linesToBe(1);
    // oxlint-disable-next-line no-control-regex
    expect(shown + line + text.stderr + json.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(Object.values(JSON.parse(line!).record)).toEqual([1, 'a\u001b[31m\nb\u009b\u202e\r']);
  });

  it('is coloured where colours are wanted, and nowhere else', async () => {
    const modes = [{}, { FORCE_COLOR: '1' }, { FORCE_COLOR: '1', NO_COLOR: '1' }];
    const running = await Promise.all(modes.map((env) => tail(['--table', 'orders'], env)));
    await db.query('INSERT INTO orders (id) VALUES (1)');
    for (const command of running) await command.linesToBe(5);
    expect(running.map(({ stdout }) => stdout.includes('\u001b[32m'))).toEqual([false, true, false]);
  });

  it('ends without a word when its reader has seen enough, and takes its publication away', async () => {
    const command = await tail(['--json']);
    command.process.stdout.destroy();
    for (let id = 1; id <= 3; id++) await db.query('INSERT INTO orders (id) VALUES ($1)', [id]);
    const { code, stderr } = await command.end();
    expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 0, lines: 2 });
    expect(await publications()).toEqual([]);
  });

  it('leaves a publication alone that an application has made for a slot of such a name', async () => {
    await db.query('CREATE PUBLICATION pg_listener_tail_0123456789ab FOR TABLE orders WITH (publish = insert)');
    const command = await tail();
    expect(await publications()).toHaveLength(2);
    await command.end('SIGHUP');
    expect(await publications()).toEqual(['pg_listener_tail_0123456789ab']);
  });

  it('ends where the connection is lost, says so, and takes its publication away', async () => {
    const command = await tail();
    await withClient(db.url, (client) =>
      client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'nestjs-pg-listener:tail'`,
      ),
    );
    const { code, stderr } = await command.end();
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/terminat|closed/) });
    expect(await publications()).toEqual([]);
  });

  it('waits for a slow reader, with a memory that stays flat', async () => {
    await db.query('CREATE TABLE big (id int PRIMARY KEY, filler text)');
    const rows = 20_000;
    const command = await tail(['--json', '--table', 'big', '--limit', String(rows)], {}, false);
    const memory = (): number =>
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${command.process.pid}/status`, 'utf8'))![1]) / 1024;
    const before = memory();
    await db.query(`INSERT INTO big SELECT i, repeat('x', 2000) FROM generate_series(1, ${rows}) i`);
    // What is in the sockets and the pipe has come; the rest of forty megabytes waits on the server.
    const sent = async (): Promise<string> =>
      (
        await db.query(`SELECT sent_lsn::text AS lsn FROM pg_stat_replication WHERE application_name = 'nestjs-pg-listener:tail'
         AND pid IN (SELECT active_pid FROM pg_replication_slots WHERE database = current_database())`)
      )[0].lsn;
    let [last, stands] = ['', 0];
    await waitFor(async () => {
      const lsn = await sent();
      stands = lsn === last ? stands + 1 : 0;
      last = lsn;
      await new Promise((done) => setTimeout(done, 100));
      return stands >= 5;
    }, 'the stream to stand');
    expect(memory() - before).toBeLessThan(20);
    command.read();
    const { code } = await command.end();
    expect(code).toBe(0);
    const ids = command.lines.map((line) => JSON.parse(line).record.id);
    expect(ids).toEqual(Array.from({ length: rows }, (_, index) => index + 1));
  }, 60_000);

  it('says what is missing, with the way to the doctor', async () => {
    const none = await runCommand(['tail', db.url, '--table', 'ordres']);
    expect(none).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('there is no table public.ordres'),
    });
    expect(none.stderr).toContain('npx nestjs-pg-listener doctor');
    const unreadable = await runCommand(['tail', db.url, '--table', '!orders']);
    expect(unreadable).toMatchObject({ code: 2, stderr: expect.stringContaining('excludes only') });
    const wrong = await runCommand(['tail', db.url, '--operation', 'upsert']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no operation "upsert"') });
  });
});
