import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { connect, withClient } from './database.js';
import { waitFor } from './wait.js';

export interface StandbyServer {
  readonly server: PostgresServer;
  /** Makes it the primary, on a timeline of its own. */
  promote(): Promise<void>;
  /** Stops the server and removes its data. */
  stop(): Promise<void>;
}

/** Not for a copy: what belongs to the running server, and slots, which are the primary's own. */
const LEFT_OUT = /^(?:postmaster\.(?:pid|opts)|pg_replslot\/.+|pg_stat_tmp\/.+|pgsql_tmp.*)$/;

/** A standby that streams from `primary` through the physical slot `standby_1`, which is made here. */
export async function startStandby(
  primary: PostgresServer,
  settings: Readonly<Record<string, string>>,
): Promise<StandbyServer> {
  const directory = mkdtempSync(join(tmpdir(), 'pg-listener-standby-'));
  try {
    await copyData(primary, join(directory, 'data'));
    const server = await startPostgres({
      dataDirectory: directory,
      settings: {
        primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres application_name=standby_1`,
        primary_slot_name: 'standby_1',
        hot_standby_feedback: 'on',
        sync_replication_slots: 'on',
        wal_receiver_status_interval: '1s',
        ...settings,
      },
    });
    try {
      await waitFor(() => givesFeedback(primary), 'the standby to stream', 60_000);
    } catch (error) {
      await server.stop('immediate');
      throw error;
    }
    return standbyOf(server, directory);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

async function givesFeedback(primary: PostgresServer): Promise<boolean> {
  const slot = `SELECT FROM pg_replication_slots WHERE slot_name = 'standby_1' AND xmin IS NOT NULL`;
  return withClient(primary.url, async (client) => (await client.query(slot)).rowCount === 1);
}

function standbyOf(server: PostgresServer, directory: string): StandbyServer {
  return {
    server,
    promote: async () => {
      const client = await connect(server.url);
      await client.query('SELECT pg_promote(true, 30)');
      await client.end();
    },
    stop: async () => {
      await server.stop('immediate');
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** A base backup, with nothing but SQL and a copy of the files (manual, section 25.3.3). */
async function copyData(primary: PostgresServer, target: string): Promise<void> {
  const client = await connect(primary.url);
  try {
    await client.query(`SELECT pg_create_physical_replication_slot('standby_1', true)`);
    const [{ data_directory: source }] = (await client.query('SHOW data_directory')).rows;
    await client.query(`SELECT pg_backup_start('standby', true)`);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    cpSync(source, target, { recursive: true, filter: (path) => !LEFT_OUT.test(relative(source, path)) });
    const [{ labelfile }] = (await client.query('SELECT labelfile FROM pg_backup_stop(false)')).rows;
    chmodSync(target, 0o700);
    writeFileSync(join(target, 'backup_label'), labelfile);
    writeFileSync(join(target, 'standby.signal'), '');
    giveTo(statSync(source), join(target, '..'));
  } finally {
    await client.end();
  }
}

/** The server runs as another user where we are root. */
function giveTo({ uid, gid }: { uid: number; gid: number }, folder: string): void {
  if (process.getuid?.() !== 0) return;
  chownSync(folder, uid, gid);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isSymbolicLink()) chownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}
