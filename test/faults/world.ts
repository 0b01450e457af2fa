import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { parseLsn } from '#lib/protocol/lsn.js';
import { withClient } from '../support/database.js';
import { startProxy, type FaultProxy } from '../support/proxy.js';
import { startPostgres, type PostgresServer } from '../support/versioned-postgres.js';
import { sleep, waitFor } from '../support/wait.js';
import { check, type Effect, type Evidence, type Verdict } from './checker.js';
import { HANDLERS, type ChildOptions, type HandlerName, type ToChild } from './handlers.js';
import { journalBytes, readJournals } from './journal.js';
import { Random } from './random.js';
import { SCHEMA, Truth } from './truth.js';
import { Workload } from './workload.js';

export const SLOT = 'faults';
/** Long enough for a machine that is busy, short enough for a test. */
const SETTINGS = { wal_sender_timeout: '3s', max_connections: '60' };
const STALL_MS = 25_000;

export interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly messages: Record<string, unknown>[];
  /** The last state that it told. */
  state: string;
  readonly exited: Promise<void>;
  output: string;
}

/** Who is put through faults. */
export interface Subject {
  /** Run with `ChildOptions` as JSON; tells its states, and writes a journal. */
  readonly script: string;
  /** Before the options. */
  readonly arguments?: readonly string[];
  /** Of all its processes. */
  readonly behaviour?: Behaviour;
  readonly handlers: readonly HandlerName[];
  readonly seesWhole: boolean;
  /** Without anything new for so long, what is missing is lost. */
  readonly stallMs?: number;
  /** After so long, what is missing is lost, although the same comes again and again. */
  readonly longestMs?: number;
}

export const OURS: Subject = {
  script: fileURLToPath(new URL('./child.js', import.meta.url)),
  handlers: Object.keys(HANDLERS) as HandlerName[],
  seesWhole: true,
};

/** The same with one handler, as others have. */
export const OURS_ALONE: Subject = { ...OURS, behaviour: { isAlone: true }, handlers: ['serial'], seesWhole: false };

export type Behaviour = Partial<Omit<ChildOptions, 'url' | 'slot' | 'directory' | 'name'>>;

/** A server, a path to it, writers, and processes of one application: what faults are done to. */
export class World {
  readonly truth = new Truth();
  readonly children: Child[] = [];
  readonly random: Random;
  readonly workload: Workload;
  readonly floors = new Map<string, bigint>();
  private started = 0;
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
    const server = await startPostgres({ settings: { ...SETTINGS, ...settings } });
    const address = new URL(server.url);
    const world = new World(directory, server, await startProxy(address), address, seed, subject);
    world.atClose(async () => {
      process.off('exit', remove);
      remove();
    });
    await world.sql(SCHEMA);
    return world;
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
    const options: ChildOptions = {
      ...this.subject.behaviour,
      ...behaviour,
      url: this.proxy.through(this.server.url),
      slot: SLOT,
      directory: this.directory,
      name,
    };
    const process = fork(this.subject.script, [...(this.subject.arguments ?? []), JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const child: Child = {
      name,
      process,
      messages: [],
      state: 'idle',
      exited: new Promise((done) => process.once('exit', () => done())),
      output: '',
    };
    process.on('message', (message: Record<string, unknown>) => {
      child.messages.push(message);
      if (typeof message['state'] === 'string') child.state = message['state'];
    });
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (child.output = (child.output + text).slice(-20_000)));
    }
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
        states.includes(child.state) ||
        (child.process.exitCode !== null && Promise.reject(new Error(`it has ended: ${child.output}`))),
      () => `${states.join(' or ')} of ${child.name}, which is ${child.state}: ${child.output}`,
      60_000,
    );
  }

  tell(child: Child, what: ToChild['do']): void {
    child.process.send({ do: what } satisfies ToChild);
  }

  async kill(child: Child): Promise<void> {
    child.process.kill('SIGKILL');
    await child.exited;
    this.forget(child);
  }

  /** As a deploy does it. */
  async stop(child: Child): Promise<void> {
    if (child.process.connected) this.tell(child, 'stop');
    await child.exited;
    this.forget(child);
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
        const verdict = await this.verdict({ ...expected, isParking: true, mayHaveLost: true });
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

  async verdict(expected: Pick<Evidence, 'mayMiss' | 'isInGap' | 'isParking' | 'mayHaveLost'>): Promise<Verdict> {
    const tokens = await this.sql<{ token: string }>('SELECT token FROM tokens');
    const effects = await this.sql<Effect>('SELECT handler, name FROM effects ORDER BY seq');
    const { handlers, seesWhole } = this.subject;
    return check({
      ...expected,
      handlers,
      seesWhole,
      transactions: this.truth.committed(new Set(tokens.map(({ token }) => token))),
      journals: readJournals(this.directory),
      effects,
      floors: this.floors,
    });
  }

  /** Something that was opened for this world, and ends with it. */
  atClose(end: () => Promise<void>): void {
    this.atEnd.push(end);
  }

  /** What children have said, for a run that failed. */
  get outputs(): string {
    return this.children.map(({ name, state, output }) => `--- ${name} (${state})\n${output}`).join('\n');
  }

  async close(): Promise<void> {
    await this.workload.stop().catch(() => undefined);
    await Promise.all([...this.children].map((child) => (child.process.kill('SIGCONT'), this.kill(child))));
    await this.proxy.close();
    await this.server.stop('immediate');
    for (const end of this.atEnd) await end();
  }

  /** Where the slot stands, while nobody has it; 0 where it does not exist, or somebody has it. */
  private async floor(): Promise<bigint> {
    const rows = await this.sql<{ lsn: string | null; active: boolean }>(
      'SELECT confirmed_flush_lsn::text AS lsn, active FROM pg_replication_slots WHERE slot_name = $1',
      [SLOT],
    ).catch(() => []);
    const [row] = rows;
    return row === undefined || row.active || row.lsn === null ? 0n : parseLsn(row.lsn);
  }
}
