import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { packageRoot } from '../unit/package-root.js';
import { waitFor } from './wait.js';

const PROGRAM = join(packageRoot(), 'dist/cli/main.js');

export interface CommandOptions {
  /** Beside what every process needs. */
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed; the input ends behind it. */
  readonly input?: string;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** All that anybody could read. */
  readonly output: string;
}

/** A command of the command line that runs, in a process of its own. */
export class RunningCommand {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  stdout = '';
  stderr = '';
  private readonly exited: Promise<unknown>;

  constructor(words: readonly string[], { env = {}, input = '' }: CommandOptions = {}, isRead = true) {
    const { PATH, TMPDIR = '/tmp' } = process.env;
    this.process = spawn(process.execPath, [PROGRAM, ...words], {
      env: { PATH, TMPDIR, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.exited = once(this.process, 'close');
    this.process.stdin.on('error', () => undefined);
    this.process.stdin.end(input);
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    if (isRead) this.read();
  }

  /** Takes what is written to stdout. */
  read(): void {
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Resolves when stdout holds so many lines. */
  async linesToBe(count: number): Promise<string[]> {
    await waitFor(() => this.lines.length >= count, `${count} lines; stderr: ${this.stderr}`);
    return this.lines;
  }

  saysOnStderr(text: string): Promise<unknown> {
    return waitFor(() => this.stderr.includes(text), `"${text}" on stderr; it is: ${this.stderr}`);
  }

  async end(signal?: NodeJS.Signals): Promise<CommandResult> {
    if (signal !== undefined) this.process.kill(signal);
    await this.exited;
    const { stdout, stderr } = this;
    return { code: this.process.exitCode, stdout, stderr, output: stdout + stderr };
  }
}

/** Runs a command to its end. */
export function runCommand(words: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return new RunningCommand(words, options).end();
}

/** Commands of one test, which are ended whatever has become of it. */
export class RunningCommands {
  private readonly running: RunningCommand[] = [];

  readonly start = (...parameters: ConstructorParameters<typeof RunningCommand>): RunningCommand => {
    const command = new RunningCommand(...parameters);
    this.running.push(command);
    return command;
  };

  async close(): Promise<void> {
    for (const { process } of this.running) if (process.exitCode === null) process.kill('SIGKILL');
    await Promise.all(this.running.splice(0).map((each) => each.end()));
  }
}
