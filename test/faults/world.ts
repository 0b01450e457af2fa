import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { formatLsn, parseLsn } from '#lib/protocol/lsn.js';
import { withClient } from '../support/database.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { isDoneWithin, sleep, waitFor } from '../support/wait.js';
import { check } from './checker.js';
import { hasEnded, startChild, type Child } from './child-process.js';
import type { Effect, Evidence, Verdict } from './evidence.js';
import { HANDLERS, type ToChild } from './handlers.js';
import { journalBytes, readJournals } from './journal.js';
import { Random } from './random.js';
import { OURS, type Behaviour, type Subject } from './subjects.js';
import { SCHEMA, Truth, type WrittenTransaction } from './truth.js';
import { Workload } from './workload.js';

export const SLOT = 'faults';
/** Long enough for a machine that is busy, short enough for a test. */
const SETTINGS = { wal_sender_timeout: '3s', max_connections: '60' };
const STALL_MS = 25_000;
/** A handler may be given some seconds at a shutdown. */
const LONGEST_STOP_MS = 30_000;
const LONGEST_CONFIRMATION_MS = 60_000;
const LONGEST_RELEASE_MS = 2_000;
const LONGEST_END_MS = 60_000;

/** What a fault excuses. */
type Expected = Pick<Evidence, 'mayMiss' | 'isInGap' | 'isParking'> & { readonly mayHaveLost: boolean };

/** A server, a path to it, writers, and processes of one application: what faults are done to. */
export class World {
  readonly truth = new Truth();
  readonly children: Child[] = [];
  readonly random: Random;
  readonly workload: Workload;
  readonly floors = new Map<string, bigint>();
  /** Processes that ended although nobody ended them, or did not when they were asked to. */
  readonly crashes: string[] = [];
  /** Commits of which nothing need be seen: said by whoever did the fault, not by the subject. */
  readonly excused: ((transaction: WrittenTransaction) => boolean)[] = [];
  private started = 0;
  private isClosed = false;
  private readonly atEnd: (() => Promise<void>)[] = [];

  private constructor(
    readonly directory: string,
    /** Replaced by a promotion. */
    public server: PostgresServer,
    readonly proxy: FaultProxy,
    /** Where the proxy leads. */
    readonly address: URL,
    seed: number,
    private readonly subject: Subject,
  ) {
    this.random = new Random(seed);
    const hasEffects = subject.handlers.some((handler) => HANDLERS[handler].isTransactional);
    this.workload = new Workload(() => this.server.url, this.truth, this.random.fork(), hasEffects);
  }

  static async open(
    seed: number,
    settings: Readonly<Record<string, string>> = {},
    subject: Subject = OURS,
  ): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'pg-listener-faults-'));
    // Ended by hand, too.
    const remove = (): void => rmSync(directory, { recursive: true, force: true });
    process.once('exit', remove);
    const server = await startPostgres({ settings: { ...SETTINGS, ...subject.settings, ...settings } });
    const address = new URL(server.url);
    const proxy = await startProxy(address).catch(async (error: unknown) => {
      await server.stop('immediate');
      throw error;
    });
    const world = new World(directory, server, proxy, address, seed, subject);
    world.atClose(async () => {
      process.off('exit', remove);
      remove();
    });
    try {
      await world.sql(SCHEMA);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Of the server that runs are about. */
  static async version(): Promise<string> {
    const server = await startPostgres();
    try {
      return await withClient(
        server.url,
        async (client) => (await client.query('SHOW server_version')).rows[0].server_version,
      );
    } finally {
      await server.stop('immediate');
    }
  }

  async sql<Row extends object = any>(text: string, values: unknown[] = []): Promise<Row[]> {
    return withClient(this.server.url, async (client: Client) => (await client.query(text, values)).rows as Row[]);
  }

  /** One more process of the application. Resolves at once. */
  async launch(behaviour: Behaviour = {}): Promise<Child> {
    const name = `journal-${String(++this.started).padStart(3, '0')}`;
    this.floors.set(name, await this.floor());
    if (this.isClosed) throw new Error('the world has ended');
    const options = {
      ...this.subject.behaviour,
      ...behaviour,
      url: this.proxy.through(this.server.url),
      slot: SLOT,
      directory: this.directory,
      name,
    };
    const child = startChild(this.subject, options, (what) => this.crashes.push(what));
    this.children.push(child);
    return child;
  }

  /** The same, when it streams or stands by. */
  async start(behaviour: Behaviour = {}): Promise<Child> {
    const child = await this.launch(behaviour);
    await this.reach(child, ['streaming', 'standby']);
    return child;
  }

  reach(child: Child, states: readonly string[]): Promise<unknown> {
    return waitFor(
      () =>
        states.includes(child.state) || (hasEnded(child) && Promise.reject(new Error(`it has ended: ${child.output}`))),
      () => `${states.join(' or ')} of ${child.name}, which is ${child.state}: ${child.output}`,
      60_000,
    );
  }

  tell(child: Child, what: ToChild['do']): void {
    child.process.send({ do: what } satisfies ToChild);
  }

  async kill(child: Child): Promise<void> {
    child.asked = 'to die';
    child.process.kill('SIGKILL');
    await child.exited;
    this.forget(child);
  }

  /** As a deploy does it, which is not patient for ever. */
  async stop(child: Child): Promise<void> {
    if (!hasEnded(child)) child.asked = 'to stop';
    if (child.process.connected) this.tell(child, 'stop');
    const isInTime = await isDoneWithin(child.exited, LONGEST_STOP_MS);
    if (!isInTime) this.crashes.push(`${child.name} did not end within ${LONGEST_STOP_MS} ms`);
    await this.kill(child);
  }

  forget(child: Child): void {
    const index = this.children.indexOf(child);
    if (index >= 0) this.children.splice(index, 1);
  }

  get streaming(): Child | undefined {
    return this.children.find(({ state }) => state === 'streaming');
  }

  /** Everything that was committed has been seen by every handler, or nothing new has come for long. */
  async settle(expected: Pick<Evidence, 'mayMiss' | 'isInGap'>): Promise<void> {
    const { stallMs = STALL_MS, longestMs = Infinity } = this.subject;
    const giveUpAt = Date.now() + longestMs;
    let before = -1;
    let since = Date.now();
    for (;;) {
      const now = await this.seen();
      if (now !== before && Date.now() < giveUpAt) {
        before = now;
        since = Date.now();
      } else {
        const verdict = await this.verdict({ ...expected, isParking: true, mayHaveLost: false });
        if (verdict.lost === 0 || Date.now() - since > stallMs || Date.now() > giveUpAt) return;
      }
      await sleep(300);
    }
  }

  /** Grows with whatever handlers do. */
  private async seen(): Promise<number> {
    const [{ n }] = (await this.sql<{ n: number }>('SELECT count(*)::int AS n FROM effects')) as [{ n: number }];
    return n + journalBytes(this.directory);
  }

  async verdict({ mayHaveLost, ...expected }: Expected): Promise<Verdict> {
    const tokens = await this.tokens();
    const effects = await this.sql<Effect>('SELECT handler, name, content FROM effects ORDER BY seq');
    const gone = mayHaveLost ? this.truth.gone(tokens) : new Set();
    const { handlers, seesWhole } = this.subject;
    return check({
      ...expected,
      handlers,
      seesWhole,
      hasDetails: this.subject.isOurs === true,
      isGone: (name) => gone.has(name),
      transactions: this.truth.committed(tokens),
      journals: readJournals(this.directory),
      effects,
      floors: this.floors,
    });
  }

  /** Of the transactions that the database has. */
  private async tokens(): Promise<Set<string>> {
    return new Set((await this.sql<{ token: string }>('SELECT token FROM tokens')).map(({ token }) => token));
  }

  async logEnd(): Promise<bigint> {
    const [row] = await this.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    return parseLsn(row!.lsn);
  }

  /** Something that was opened for this world, and ends with it. */
  atClose(end: () => Promise<void>): void {
    this.atEnd.push(end);
  }

  /** What children have said, for a run that failed. */
  get outputs(): string {
    return this.children.map(({ name, state, output }) => `--- ${name} (${state})\n${output}`).join('\n');
  }

  /** Whatever state it is in. */
  async close(): Promise<void> {
    this.isClosed = true;
    const ends: (() => Promise<unknown>)[] = [
      () => this.workload.abandon(),
      () => Promise.all([...this.children].map((child) => (child.process.kill('SIGCONT'), this.kill(child)))),
      () => this.proxy.close(),
      () => this.server.stop('immediate'),
      ...this.atEnd,
    ];
    const errors: unknown[] = [];
    for (const end of ends) {
      try {
        if (!(await isDoneWithin(end(), LONGEST_END_MS)))
          errors.push(new Error(`not done after ${LONGEST_END_MS} ms: ${end}`));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'The world could not be closed');
  }

  /**
   * Waits until the slot has passed where the last transaction that was committed began, which is the end of all others,
   * and a moment more for what might come late. Not the end of the log: what is not theirs is confirmed in large steps.
   *
   * @returns whether it has
   */
  async confirmed(): Promise<boolean> {
    const begins = this.truth.committed(await this.tokens()).map(({ after }) => after);
    const furthest = begins.reduce((most, after) => (after > most ? after : most), 0n);
    const isConfirmed = await waitFor(() => this.hasConfirmed(furthest), 'the position', LONGEST_CONFIRMATION_MS).catch(
      () => false,
    );
    await sleep(1_000);
    return isConfirmed;
  }

  /** What lies before it was confirmed, as the server has it. */
  async slotPosition(): Promise<bigint> {
    const [row] = await this.sql<{ lsn: string }>(
      'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
      [SLOT],
    );
    return parseLsn(row!.lsn);
  }

  async hasConfirmed(position: bigint): Promise<boolean> {
    const passed = 'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn';
    return (await this.sql(passed, [SLOT, formatLsn(position)])).length === 1;
  }

  /** Where the slot stands, while nobody has it; 0 where it does not exist, or another process has it. */
  private async floor(): Promise<bigint> {
    // Of a process that was killed a moment ago, the server has not heard perhaps.
    for (const giveUpAt = Date.now() + LONGEST_RELEASE_MS; ; await sleep(20)) {
      const [row] = await this.sql<{ lsn: string | null; active: boolean }>(
        'SELECT confirmed_flush_lsn::text AS lsn, active FROM pg_replication_slots WHERE slot_name = $1',
        [SLOT],
      ).catch(() => []);
      if (row === undefined || row.lsn === null) return 0n;
      if (!row.active) return parseLsn(row.lsn);
      if (this.children.length > 0 || Date.now() > giveUpAt) return 0n;
    }
  }
}
