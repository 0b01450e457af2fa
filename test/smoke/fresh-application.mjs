import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const SOURCES = fileURLToPath(new URL('./application', import.meta.url));
export const DEADLINE_MS = 30_000;

/** An application as a user has it after `nest new` and `npm install`, with the README's modules in it. */
export class FreshApplication {
  #run;

  constructor(run, template, name) {
    this.#run = run;
    this.template = template;
    this.folder = join(run.folder, name);
  }

  async install(tarball, modules) {
    const { packageJson, compilerOptions } = this.template;
    const source = join(this.folder, 'src');
    mkdirSync(source, { recursive: true });
    cpSync(SOURCES, source, { recursive: true });
    writeFileSync(join(source, 'app.module.ts'), modules.AppModule);
    writeFileSync(join(source, 'feed.module.ts'), modules.FeedModule);
    this.#writeJson('package.json', { name: 'fresh', private: true, ...packageJson });
    this.#writeJson('tsconfig.json', { compilerOptions, include: ['src'] });
    // The README's two commands.
    await this.run('npm', ['install', '--no-audit', '--no-fund', tarball, 'pg']);
    await this.run('npm', ['install', '--no-audit', '--no-fund', '--save-dev', '@types/pg']);
  }

  compile(options = []) {
    return this.run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', ...options]);
  }

  run(command, parameters, timeoutMs) {
    return this.#run.run(command, parameters, { cwd: this.folder, timeoutMs });
  }

  /** Starts a file as a process and hands it to `use` when it has said READY. It is gone afterwards in any case. */
  async with(file, env, use) {
    const process = this.#run.start('node', [file], { cwd: this.folder, env: { NO_COLOR: '1', ...env } });
    const running = new RunningApplication(process);
    try {
      await running.says('READY');
      await use(running);
    } finally {
      process.child.kill('SIGKILL');
      await process.exit;
    }
  }

  #writeJson(name, value) {
    writeFileSync(join(this.folder, name), JSON.stringify(value, null, 2));
  }
}

class RunningApplication {
  #process;

  constructor(process) {
    this.#process = process;
  }

  /** Waits for a line of its output. */
  async says(line) {
    const isSaid = () => this.#process.stdout.split('\n').includes(line);
    for (const deadline = Date.now() + DEADLINE_MS; !isSaid(); await sleep(20)) {
      if (this.#process.code !== undefined || Date.now() > deadline) {
        throw new Error(`"${line}" was not said (exit code ${this.#process.code}):\n${this.#process.output}`);
      }
    }
  }

  /** Sends SIGTERM; throws unless the process ends as `expected`: with an exit code, or by the signal of that name. */
  async terminate(expected) {
    this.#process.child.kill('SIGTERM');
    const timeout = sleep(DEADLINE_MS, 'timeout', { ref: false });
    const ended = await Promise.race([this.#process.exit, timeout]);
    if (ended === 'timeout') throw new Error(`It did not end after SIGTERM:\n${this.#process.output}`);
    if (ended.code !== expected) throw new Error(`It ended with ${ended.code}, not ${expected}:\n${ended.output}`);
  }
}

/** Runs SQL on a connection of its own and hands the rows back. */
export async function query(url, sql) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
