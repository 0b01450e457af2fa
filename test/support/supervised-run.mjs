/**
 * A folder for temporary files and the processes of one run of a script. Both are gone when the run ends, however it
 * ends: each process leads a group of its own, so that its children end with it, and a shell outlives this process
 * just long enough to clean up where it was killed.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const GUARD = `trap '' INT TERM HUP
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -KILL -- "-$group" 2>/dev/null; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.5; done`;

export class SupervisedRun {
  #guard;
  #groups = new Set();
  #onSignal = (signal) => void this.close().then(() => process.exit(SIGNALS[signal]));
  #closing;

  /** @param name the beginning of the folder's name; programs started here have the folder as TMPDIR */
  constructor(name) {
    this.folder = mkdtempSync(join(tmpdir(), `${name}-`));
    // As root, the servers run as another user.
    chmodSync(this.folder, 0o755);
    this.#guard = spawn('/bin/sh', ['-c', GUARD, 'sh', this.folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.unref();
    this.#guard.stdin.unref();
    this.#guard.stdin.on('error', () => undefined);
    for (const signal of Object.keys(SIGNALS)) process.on(signal, this.#onSignal);
    this.#watchParent();
  }

  /** Starts a program; `exit` resolves when it and its output have ended, `output` is what it has written so far. */
  start(command, parameters, { cwd, env } = {}) {
    if (this.#closing !== undefined) throw new Error('The run is over');
    const child = spawn(command, parameters, {
      cwd,
      env: { ...process.env, TMPDIR: this.folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const started = { child, stdout: '', output: '', code: undefined, exit: undefined };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      started.stdout += text;
      started.output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (started.output += text));
    this.#track(child.pid, true);
    started.exit = new Promise((done) => {
      child.once('error', (error) => (started.output += error.message));
      child.once('close', (code, signal) => {
        started.code = code ?? signal;
        this.#track(child.pid, false);
        // After a signal nobody is told of ends that are our own doing.
        if (this.#closing === undefined) done(started);
      });
    });
    return started;
  }

  /**
   * Runs a program to its end and hands back what it wrote to its standard output. Throws with all output when it
   * fails, and when it has not ended after `timeoutMs` (default: five minutes).
   */
  async run(command, parameters, { timeoutMs = 300_000, ...options } = {}) {
    const started = this.start(command, parameters, options);
    const timer = setTimeout(() => endGroup(started.child.pid), timeoutMs);
    const ended = await started.exit;
    clearTimeout(timer);
    if (ended.code === 0) return ended.stdout;
    throw new Error(`${command} ${parameters.join(' ')} ended with ${ended.code}:\n${ended.output}`);
  }

  /** What stands in the folder under one of our names: the data of a server that was not stopped. */
  leftBehind() {
    return readdirSync(this.folder).filter((name) => name.startsWith('pg-listener-'));
  }

  /** Ends what still runs and removes the folder. */
  close() {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end() {
    for (const group of this.#groups) endGroup(group);
    // Servers whose parents were killed are ended by their own guards, which also remove their data.
    for (const deadline = Date.now() + 10_000; this.leftBehind().length > 0 && Date.now() < deadline;) await sleep(20);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    this.#guard.stdin.end();
    for (const signal of Object.keys(SIGNALS)) process.off(signal, this.#onSignal);
  }

  /** A signal to npm ends the shell between it and this process, but does not reach this process. */
  #watchParent() {
    if (process.env['npm_lifecycle_event'] === undefined) return;
    const parent = process.ppid;
    setInterval(() => process.ppid === parent || this.#onSignal('SIGTERM'), 500).unref();
  }

  #track(pid, alive) {
    if (pid === undefined) return;
    if (alive) this.#groups.add(pid);
    else this.#groups.delete(pid);
    this.#guard.stdin.write(`${[...this.#groups].join(' ')}\n`);
  }
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ended by itself
  }
}
