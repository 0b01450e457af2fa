import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

/** Programs that speak Chromium's protocol, by the names that distributions give them. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const VARIABLES = ['PG_LISTENER_CHROMIUM', 'CHROME_PATH'];

/** A browser that does not end within this time is ended. */
const PATIENCE_MS = 10_000;

/** Switches besides those that Playwright gives: a test asks nobody for anything, its own page excepted. */
const SWITCHES = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--no-pings',
  '--no-proxy-server',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

export interface TestBrowser {
  readonly browser: Browser;
  /** The first of its processes; all of them are in the group of this number. */
  readonly pid: number;
  /** Ends every process of it and removes its profile. */
  close(): Promise<void>;
}

/**
 * The path of a Chromium: from PG_LISTENER_CHROMIUM or CHROME_PATH, else from PATH. Undefined where there is none.
 *
 * @throws where a variable names a program that cannot be run
 */
export function findBrowser(env: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const variable of VARIABLES) {
    const named = env[variable];
    if (!named) continue;
    if (isProgram(named)) return named;
    throw new Error(`${variable} is "${named}", and no program is there.`);
  }
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
}

/** A headless Chromium with an empty profile of its own. */
export async function launchBrowser(): Promise<TestBrowser> {
  // All that it writes goes there: its sockets, and what it would keep in the home of the user.
  const folder = mkdtempSync(join(tmpdir(), 'pg-listener-browser-'));
  const server = await chromium
    .launchServer({
      executablePath: findBrowser()!,
      headless: true,
      host: '127.0.0.1',
      // Neither root nor a user in a container can have it. The page is ours, and there is no other one.
      chromiumSandbox: false,
      args: SWITCHES,
      artifactsDir: folder,
      env: { ...process.env, TMPDIR: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder },
    })
    .catch((error: unknown) => {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    });
  const guard = guardAgainstOrphans(server.process(), folder);
  const close = async (): Promise<void> => {
    const impatient = setTimeout(() => void server.kill(), PATIENCE_MS);
    await server.close().finally(() => clearTimeout(impatient));
    guard.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    return { browser: await chromium.connect(server.wsEndpoint()), pid: server.process().pid!, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits for the end of this process, whose pipe it holds, and then takes the browser and its folders along. */
function guardAgainstOrphans({ pid, spawnargs }: ChildProcess, folder: string): ChildProcess {
  const profile = spawnargs.find((each) => each.startsWith('--user-data-dir='))!.split('=')[1]!;
  const script = 'trap "" INT TERM HUP; read -r _; kill -KILL "-$1" 2>/dev/null; sleep 0.5; rm -rf "$2" "$3"';
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(pid), folder, profile], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  return guard;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
