import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { withClient } from '../support/database.js';
import { startPostgres } from '../support/versioned-postgres.js';
import { sleep, waitForCount } from '../support/wait.js';
import { Random } from './random.js';

export interface LedgerOptions {
  readonly seed: number;
  readonly transfers: number;
  /** How often the process is killed on the way. */
  readonly kills: number;
  readonly say: (text: string) => void;
}

export interface LedgerResult {
  readonly transfers: number;
  readonly kills: number;
  /** Transfers that were applied never, or more than once. */
  readonly notOnce: number;
  /** Accounts with another balance than their transfers make. */
  readonly wrongBalances: number;
  /** Processes that ended although nobody ended them. */
  readonly crashes: readonly string[];
  readonly seconds: number;
  readonly isRight: boolean;
}

const ACCOUNTS = 50;
const AT_ONCE = 20;
const SCHEMA = `
  CREATE TABLE transfers (id int PRIMARY KEY, payer int NOT NULL, payee int NOT NULL, amount int NOT NULL);
  CREATE TABLE balances (account int PRIMARY KEY, amount bigint NOT NULL);
  CREATE TABLE applied (transfer int NOT NULL);
  INSERT INTO balances SELECT n, 0 FROM generate_series(0, ${ACCOUNTS - 1}) n`;

const NOT_ONCE = `
  SELECT count(*)::int AS n FROM transfers LEFT JOIN (SELECT transfer, count(*) AS times FROM applied GROUP BY transfer) a
    ON a.transfer = transfers.id WHERE times IS DISTINCT FROM 1`;
const WRONG_BALANCES = `
  SELECT count(*)::int AS n FROM balances WHERE amount <>
    (SELECT coalesce(sum(CASE WHEN payee = account THEN amount ELSE 0 END - CASE WHEN payer = account THEN amount ELSE 0 END), 0)
       FROM (SELECT payer, payee, amount FROM transfers WHERE payer <> payee) t
      WHERE account IN (payer, payee))`;

/** Transfers between accounts, applied by a transactional handler whose process is killed again and again. */
export async function runLedger({ seed, transfers, kills, say }: LedgerOptions): Promise<LedgerResult> {
  const random = new Random(seed);
  const server = await startPostgres();
  const began = Date.now();
  const crashes: string[] = [];
  let child: ChildProcess | undefined;
  const start = (): void => {
    const script = fileURLToPath(new URL('./ledger-child.js', import.meta.url));
    const started = fork(script, [server.url, 'ledger'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    // The next one would make up for it, and nobody would know.
    started.once('exit', (code, signal) => {
      if (started === child || signal !== 'SIGKILL') crashes.push(`a process ended with ${code ?? signal}`);
    });
    child = started;
  };
  const end = async (): Promise<void> => {
    const ended = child;
    child = undefined;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exited = new Promise((done) => ended.once('exit', done));
    ended.kill('SIGKILL');
    await exited;
  };
  try {
    return await withClient(server.url, async (client) => {
      const count = async (sql: string): Promise<number> => (await client.query(sql)).rows[0].n as number;
      const applied = (): Promise<number> => count('SELECT count(*)::int AS n FROM applied');
      await client.query(SCHEMA);
      start();
      await waitForCount(
        () => count(`SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = 'ledger' AND active`),
        1,
        () => 'the stream',
      );
      for (let id = 1; id <= transfers; id += AT_ONCE) {
        const rows = Array.from({ length: Math.min(AT_ONCE, transfers - id + 1) }, (_, index) =>
          [id + index, random.below(ACCOUNTS), random.below(ACCOUNTS), random.between(1, 1_000)].join(', '),
        );
        await client.query(`INSERT INTO transfers VALUES ${rows.map((row) => `(${row})`).join(', ')}`);
      }
      for (let kill = 1; kill <= kills; kill++) {
        // So that something has happened since the last one, and something is left.
        const goal = Math.floor((transfers * kill) / (kills + 1));
        await waitForCount(applied, goal, () => `${goal} applied`);
        await sleep(random.below(30));
        await end();
        start();
      }
      await waitForCount(applied, transfers, () => 'all transfers');
      // Whatever would come twice has had its time.
      await sleep(1_000);
      const notOnce = await count(NOT_ONCE);
      const wrongBalances = await count(WRONG_BALANCES);
      const seconds = Math.round((Date.now() - began) / 1000);
      const isRight = notOnce === 0 && wrongBalances === 0 && crashes.length === 0 && (await applied()) === transfers;
      say(
        `ledger: ${transfers} transfers, ${kills} kills, ${notOnce} not once, ${wrongBalances} wrong balances (${seconds} s)`,
      );
      for (const crash of crashes) say(`  !!! ${crash}`);
      return { transfers, kills, notOnce, wrongBalances, crashes, seconds, isRight };
    });
  } finally {
    await end();
    await server.stop('immediate');
  }
}
