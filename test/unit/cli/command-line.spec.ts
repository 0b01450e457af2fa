import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { runCli } from '#lib/cli/cli.js';
import { commandText } from '#lib/cli/address.js';
import { readCall } from '#lib/cli/command-line.js';
import { dropSlotCommand } from '#lib/cli/slots/drop-slot.command.js';
import { tailCommand } from '#lib/cli/tail/tail.command.js';
import { Terminal, type World } from '#lib/cli/terminal.js';

/** A process without a terminal. */
class PipedWorld extends EventEmitter {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  constructor(readonly env: Record<string, string> = {}) {
    super();
  }
  texts(): { stdout: string; stderr: string } {
    return { stdout: String(this.stdout.read() ?? ''), stderr: String(this.stderr.read() ?? '') };
  }
}

const URL = 'postgresql://app:hunter2@127.0.0.1:1/shop';
const read = (command: typeof tailCommand, words: string[], env = {}) =>
  readCall(command, words, new Terminal(new PipedWorld(env) as World));

describe('the command line', () => {
  it('takes the database from the words, else from DATABASE_URL', () => {
    expect(read(tailCommand, [URL])).toMatchObject({ url: URL, positionals: [] });
    const named = read(tailCommand, [], { DATABASE_URL: URL })!;
    expect(named).toMatchObject({ url: null, positionals: [] });
    expect(named.target.connection.connectionString).toBe(URL);
    expect(read(dropSlotCommand, [URL, 'shop'])).toMatchObject({ url: URL, positionals: ['shop'] });
    expect(read(dropSlotCommand, ['shop'], { DATABASE_URL: URL })).toMatchObject({ url: null, positionals: ['shop'] });
  });

  it.each([
    [[URL, 'more'], 'There are words too many'],
    [['http://127.0.0.1'], 'The address cannot be read'],
    // A bare / ? or # ends what it stands in: the password would be a host's port and a database's name.
    ...['12/hunter2', '12?hunter2', '12#hunter2', '12?a=hunter2', 'hunter2/x', 'hunter2?x', 'hunter2#x'].map(
      (password) =>
        [[`postgresql://app:${password}@127.0.0.1:5432/shop`], 'The address cannot be read'] as [string[], string],
    ),
    [[URL, '--tabel', 'orders'], "Unknown option '--tabel'"],
    [[], 'Which database?'],
  ])('says what is wrong with %j', (words, text) => {
    expect(() => read(tailCommand, words)).toThrow(text);
  });

  it.each([
    'postgresql://app:p%40ss%2Fw@127.0.0.1:5432/shop',
    'postgresql://app@127.0.0.1/shop?application_name=a@b&password=p@ss',
    'postgresql://app@/shop?host=/run/postgresql',
    'postgresql://app@%2Frun%2Fpostgresql/shop',
    'socket:/run/postgresql?db=shop',
    'POSTGRES://app@127.0.0.1',
  ])('takes %s for an address', (url) => {
    expect(read(tailCommand, [url])).toMatchObject({ url, positionals: [] });
  });

  it('takes the server from where psql takes it, in want of an address', () => {
    const { target, url } = read(tailCommand, [], { PGHOST: '/run/postgresql' })!;
    expect({ url, connection: target.connection }).toEqual({
      url: null,
      connection: { application_name: 'nestjs-pg-listener:tail' },
    });
    expect(() => read(tailCommand, [], { PGPASSWORD: 'x', DATABASE_URL: '' })).toThrow('Which database?');
  });

  it('repeats what was given, but for a password', () => {
    const text = (url: string | null, values = {}) => commandText('doctor', { url, values }, ['slot', 'table', 'with']);
    expect(text(null)).toBe('npx nestjs-pg-listener doctor');
    expect(text("postgresql://app@h/it's", { slot: 'shop', table: ['orders', 'it\'s "x"'], json: true })).toBe(
      `npx nestjs-pg-listener doctor 'postgresql://app@h/it'\\''s' --slot shop --table orders --table 'it'\\''s "x"'`,
    );
    for (const url of [URL, 'postgresql://app@h/shop?password=hunter2', 'postgresql://app:hunter2@/shop?host=/run']) {
      expect(text(url)).toBe(`npx nestjs-pg-listener doctor '${url.replace('hunter2', 'PASSWORD')}'`);
    }
  });

  it('says that a name is missing', () => {
    expect(() => read(dropSlotCommand, [URL])).toThrow('NAME is missing');
  });

  it.each([[['--help']], [['tail', '--help']], [['help', 'doctor']], [['types', '-h']]])(
    'helps with %j',
    async (words) => {
      const world = new PipedWorld();
      expect(await runCli(words, world as World)).toBe(0);
      expect(world.texts()).toEqual({ stdout: expect.stringContaining('Usage: nestjs-pg-listener'), stderr: '' });
    },
  );

  it('tells wrong usage from what failed, by its exit code', async () => {
    for (const [words, code] of [
      [[], 2],
      [['tale'], 2],
      [['tail', URL, '--limit', '0'], 2],
      [['tail', URL, '--operation', 'upsert'], 2],
      [['slots', URL], 1],
      [['doctor', URL], 1],
    ] as const) {
      expect([words, await runCli(words, new PipedWorld() as World)]).toEqual([words, code]);
    }
  });

  it.each<[number, string[]]>([
    [1, ['slots', URL]],
    [1, ['tail', URL]],
    [1, ['drop-slot', URL, 'shop']],
    [2, ['drop-slot', URL]],
    [2, ['tail', URL, '--tabel', 'orders']],
    [2, ['tail', URL, '--table', '!orders']],
    [2, ['doctor', URL, '--with', 'wings']],
    [2, ['slots', 'http://127.0.0.1']],
  ])('writes JSON where it was asked for, whatever comes of it (%d: %j)', async (code, words) => {
    const world = new PipedWorld();
    expect(await runCli([...words, '--json'], world as World)).toBe(code);
    const { stdout, stderr } = world.texts();
    expect(stdout).toMatch(/^[^\n]+\n$/);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string | null } };
    expect(error.code).toMatch(/^PG_LISTENER_/);
    expect(stderr).toContain(error.message);
    expect(error.message).not.toContain('How to mend it');
    expect(stdout + stderr).not.toContain('hunter2');
  });

  it('does not lose results where nobody hears what is said about them', async () => {
    const world = new PipedWorld();
    const terminal = new Terminal(world as World);
    world.stderr.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await new Promise(setImmediate);
    terminal.print('result');
    expect({ isClosed: terminal.isClosed, stdout: String(world.stdout.read()) }).toEqual({
      isClosed: false,
      stdout: 'result\n',
    });
  });

  it.each([
    ['EPIPE', 0],
    ['ENOSPC', 1],
  ])('ends with %s of stdout by %d', async (code, exitCode) => {
    const world = new PipedWorld();
    world.stdout.destroy(Object.assign(new Error(`write ${code}`), { code }));
    expect(await runCli(['--help'], world as World)).toBe(exitCode);
    expect(world.texts().stderr.includes('Not all could be written')).toBe(exitCode === 1);
  });

  it.each([
    ['doctor', URL],
    ['tail', URL],
    ['slots', URL],
    ['drop-slot', URL, 'x'],
    ['types', URL],
    ['types', URL, URL],
    ['doctor', 'postgresql://app:hunter2@127.0.0.1:x/shop'],
    ['doctor', 'postgresql://app@127.0.0.1:1/shop?password=hunter2'],
    ['slots', 'postgresql://app:hunter2@127.0.0.1:1/shop?sslrootcert=/no/such/file'],
  ])('shows no password: %s', async (...words) => {
    const world = new PipedWorld();
    expect(await runCli(words, world as World)).not.toBe(0);
    const { stdout, stderr } = world.texts();
    expect(stdout + stderr).not.toBe('');
    expect(stdout + stderr).not.toContain('hunter2');
  });
});
