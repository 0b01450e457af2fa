import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { slotToBeFree } from '../support/database.js';
import { StreamingBench } from '../support/streaming.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { sleep } from '../support/wait.js';

const SEEDS = (process.env['PG_LISTENER_SEEDS'] ?? '4,14').split(',').map(Number);
const STEPS = Number(process.env['PG_LISTENER_STEPS'] ?? 120);

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** One session that writes at random to a table of its own, and to one that all share. */
class Writer {
  private isOpen = false;
  private savepoints = 0;
  /** The open transaction has the table for itself, and would have once it is prepared. */
  private hasLocked = false;
  private columns = 0;
  private prepared: string[] = [];
  private names = 0;
  private static keys = 0;

  constructor(
    private readonly client: pg.Client,
    private readonly table: string,
    private readonly gid: string | null,
    private readonly below: (below: number) => number,
  ) {}

  async step(): Promise<void> {
    const sql = this.next();
    await this.client.query(sql);
  }

  async end(): Promise<void> {
    if (this.isOpen) await this.client.query('COMMIT');
    for (const gid of this.prepared) await this.client.query(`COMMIT PREPARED '${gid}'`);
    await this.client.end();
  }

  private next(): string {
    const { below } = this;
    if (!this.isOpen && below(3) > 0) {
      this.isOpen = true;
      this.savepoints = 0;
      this.hasLocked = false;
      return 'BEGIN';
    }
    switch (below(this.isOpen ? 20 : 9)) {
      case 0:
      case 1:
      case 2:
        return this.insert(below(4) === 0 ? 300 : 1 + below(20), below(2) === 0 ? 'shared' : this.table);
      case 3:
        return this.insert(1, 'shared');
      case 4:
        if (this.prepared.length > 0) return this.insert(2, this.table);
        return `UPDATE ${this.table} SET b = b || 'u' WHERE a % ${2 + below(5)} = 0`;
      case 5:
        return this.prepared.length > 0 ? this.resolve() : `DELETE FROM ${this.table} WHERE a % ${2 + below(5)} = 0`;
      case 6:
        return `SELECT pg_logical_emit_message(${below(3) === 0}, 'p', 'message ${++Writer.keys}')`;
      case 7:
        return this.prepared.length > 0 && !this.isOpen ? this.resolve() : this.alter();
      case 8:
        return this.insert(1, this.table);
      case 9:
      case 10:
      case 11:
        return `SAVEPOINT s${++this.savepoints}`;
      case 12:
      case 13:
      case 14:
        return this.rollbackTo();
      case 15:
        return this.savepoints > 0 ? `RELEASE s${this.savepoints--}` : this.insert(2, this.table);
      case 16:
        return this.prepared.length > 0 ? this.insert(1, 'shared') : this.lock(`TRUNCATE ${this.table}`);
      case 17:
        this.isOpen = false;
        return 'ROLLBACK';
      default:
        return this.finish();
    }
  }

  private lock(sql: string): string {
    this.hasLocked = true;
    return sql;
  }

  private finish(): string {
    this.isOpen = false;
    if (this.gid === null || this.hasLocked || this.below(2) === 0) return 'COMMIT';
    const gid = `${this.gid} ${++this.names % 3}`;
    if (this.prepared.includes(gid)) return 'COMMIT';
    this.prepared.push(gid);
    return `PREPARE TRANSACTION '${gid}'`;
  }

  private resolve(): string {
    if (this.isOpen) return this.insert(3, 'shared');
    const [gid] = this.prepared.splice(this.below(this.prepared.length), 1);
    return `${this.below(4) === 0 ? 'ROLLBACK' : 'COMMIT'} PREPARED '${gid}'`;
  }

  private insert(count: number, table: string): string {
    const from = Writer.keys + 1;
    Writer.keys += count;
    return `INSERT INTO ${table} (a, b) SELECT i, repeat('x', 300) FROM generate_series(${from}, ${Writer.keys}) AS i`;
  }

  private rollbackTo(): string {
    if (this.savepoints === 0) return this.insert(1, this.table);
    this.savepoints -= this.below(Math.min(this.savepoints, 3));
    return `ROLLBACK TO s${this.savepoints}`;
  }

  private alter(): string {
    if (this.prepared.length > 0 || !this.isOpen) return this.insert(1, this.table);
    return this.lock(
      `ALTER TABLE ${this.table} ADD COLUMN c${++this.columns}_${++Writer.keys} int DEFAULT ${this.columns}`,
    );
  }
}

describe.each([
  ['transactions in progress', false],
  ['transactions in progress, with two-phase commit', true],
])('%s, at random', (_name, hasPrepared) => {
  let server: PostgresServer | undefined;
  let bench: StreamingBench;
  const writers: Writer[] = [];

  beforeEach(async () => {
    if (hasPrepared) server = await startPostgres({ settings: { max_prepared_transactions: '20' } });
    bench = await StreamingBench.open(server?.url);
    await bench.query('CREATE TABLE shared (a int PRIMARY KEY, b text)');
  });
  afterEach(async () => {
    for (const each of writers.splice(0)) await each.end().catch(() => undefined);
    if (server !== undefined)
      for (const { gid } of await bench.query('SELECT gid FROM pg_prepared_xacts'))
        await bench.query(`ROLLBACK PREPARED '${gid}'`);
    await bench.close();
    await server?.stop();
  });

  it.each(SEEDS)(
    'what comes in parts is what comes whole, whatever breaks between (seed %i)',
    async (seed) => {
      const below = randomOf(seed);
      const [{ old }] = await bench.query(`SELECT current_setting('server_version_num')::int < 150000 AS old`);
      for (const table of ['one', 'two', 'three']) {
        await bench.query(
          `CREATE TABLE ${table} (a int PRIMARY KEY, b text); ALTER TABLE ${table} REPLICA IDENTITY FULL`,
        );
        writers.push(new Writer(await bench.session(), table, hasPrepared ? table : null, below));
      }
      const app = await bench.start(
        {},
        { twoPhase: hasPrepared && !old, limits: { bytes: 50_000 }, startup: { timeoutMs: 120_000 } },
      );
      let faults = 0;
      for (let step = 0; step < STEPS; step++) {
        await writers[below(writers.length)]!.step();
        const dice = below(40);
        if (dice === 0) {
          faults++;
          await bench.query(
            'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
            [bench.db.slot('streamed')],
          );
        } else if (dice === 1) {
          faults++;
          await bench.listener.stop();
          await slotToBeFree(bench.db, bench.db.slot('streamed'));
          // It waits for whoever has a table locked.
          void bench.listener.start().catch(() => undefined);
        } else if (dice < 5) await sleep(below(60));
      }
      for (const each of writers.splice(0)) await each.end();
      await bench.caughtUp().catch((error: Error) => {
        const { state, error: reason } = bench.listener.status;
        throw new Error(
          `${error.message}; ${state} ${String(reason)} ${JSON.stringify(bench.listener.stats())}\n${app.logs.lines.slice(-12).join('\n')}`,
        );
      });
      expect(bench.streamed.entries.length).toBeGreaterThan(STEPS / 2);
      const first = bench.streamed.entries.findIndex((entry, at) => entry !== bench.plain.entries[at]);
      expect([first, bench.streamed.entries[first], bench.plain.entries[first]]).toEqual([-1, undefined, undefined]);
      expect(bench.streamed.entries).toHaveLength(bench.plain.entries.length);
      if (process.env['PG_LISTENER_SEEDS'])
        console.log(
          `${seed}: ${bench.streamed.entries.length} entries, ${faults} faults, ${bench.listener.stats().reconnects} reconnects`,
        );
    },
    120_000,
  );
});
