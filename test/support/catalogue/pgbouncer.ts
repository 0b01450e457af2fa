import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../wait.js';

const PLACES = ['pgbouncer', '/usr/sbin/pgbouncer'];

/** A PgBouncer of this machine that refuses replication, as all did before 1.23; or why there is none. */
export function findPgBouncer(): { program: string } | { missing: string } {
  for (const program of PLACES) {
    const { stdout, status } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    const version = /PgBouncer (\d+)\.(\d+)/.exec(stdout ?? '');
    if (status !== 0 || version === null) continue;
    if (Number(version[1]) === 1 && Number(version[2]) < 23) return { program };
    return { missing: `pgbouncer ${version[1]}.${version[2]} passes replication on` };
  }
  return { missing: 'pgbouncer is not installed' };
}

export interface RunningPooler {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts it before a server on the loopback address, without authentication. */
export async function startPgBouncer(program: string, serverPort: number, port: number): Promise<RunningPooler> {
  const folder = await mkdtemp(join(tmpdir(), 'pg-listener-pooler-'));
  await chmod(folder, 0o755);
  const config = join(folder, 'pgbouncer.ini');
  await writeFile(
    config,
    `[databases]\n* = host=127.0.0.1 port=${serverPort} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n` +
      `listen_port = ${port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n`,
  );
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const pooler = spawn(program, [...user, config], { stdio: 'ignore' });
  const exited = once(pooler, 'exit');
  const stop = async (): Promise<void> => {
    if (pooler.exitCode === null) pooler.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(() => answers(port), 'pgbouncer');
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => done(true));
    socket.on('error', () => done(false));
    socket.on('connect', () => socket.destroy());
  });
}
