import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { runCli } from '#lib/cli/cli.js';
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
    [[URL, '--tabel', 'orders'], "Unknown option '--tabel'"],
    [[], 'Which database?'],
  ])('says what is wrong with %j', (words, text) => {
    expect(() => read(tailCommand, words)).toThrow(text);
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
