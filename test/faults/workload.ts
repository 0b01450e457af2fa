import type { Client } from 'pg';
import { connect } from '../support/database.js';
import { sleep } from '../support/wait.js';
import type { Random } from './random.js';
import {
  changeName,
  contentOf,
  contentOfUpdate,
  deleteName,
  type Content,
  type FaultTable,
  type Truth,
  type WrittenChange,
} from './truth.js';

interface Row {
  readonly table: FaultTable;
  readonly row: number;
  id: number;
  version: number;
  steps: number;
  /** Only `items` have one. */
  readonly pad?: string;
}

interface Draft {
  readonly sql: string[];
  readonly changes: WrittenChange[];
  readonly rows: Map<string, Row>;
}

interface State {
  isOver: boolean;
  isAbandoned: boolean;
  /** Of the database: rows of before may not be there any more. */
  losses: number;
}

/** With a server that may be stopped, or dark. */
const PATIENCE = { query_timeout: 10_000, connectionTimeoutMillis: 10_000 };
/** Rows of one writer. */
const ROWS = 40;
const PAUSE_MS = 25;
/** Effects that are still to come: with more, writers take their time, or a run would end long after its seconds. */
const MOST_BEHIND = 1_500;
const BEHIND_PAUSE_MS = 400;

/**
 * Several writers, each with rows of its own: transactions of 1 to 5,000 changes, of which some are rolled back as a
 * whole or in part, rows that change their key, that are deleted and come back under another key.
 */
export class Workload {
  private readonly state: State = { isOver: false, isAbandoned: false, losses: 0 };
  private readonly writers: Writer[] = [];
  private readonly runs: Promise<void>[] = [];

  constructor(
    private readonly urlOf: () => string,
    private readonly truth: Truth,
    private readonly random: Random,
    /** Whether there are handlers that write effects, which are waited for. */
    private readonly hasEffects: boolean,
  ) {}

  start(writers: number): void {
    for (let writer = 0; writer < writers; writer++) {
      this.writers.push(new Writer(writer, this.urlOf, this.truth, this.random.fork(), this.state, this.hasEffects));
    }
    this.runs.push(...this.writers.map((writer) => writer.run()));
  }

  /** The database loses what it has not sent to its standby: from here on, writers leave their rows alone and make others. */
  databaseLoses(): void {
    this.truth.lossesOfDatabase = ++this.state.losses;
  }

  /**
   * Resolves when nothing is in doubt any more. They write no more, whoever waits for this, but for one transaction that
   * is committed when all others are: whoever has passed the place where it begins has passed them.
   */
  async stop(): Promise<void> {
    this.state.isOver = true;
    await Promise.all(this.runs);
    await this.writers[0]?.last();
  }

  /** Whatever is in doubt. */
  async abandon(): Promise<void> {
    this.state.isOver = true;
    this.state.isAbandoned = true;
    await Promise.allSettled(this.runs);
  }
}

class Writer {
  private rows = new Map<string, Row>();
  private lastId: number;
  private lastRow: number;
  private transactions = 0;
  private client: Client | null = null;
  private known = 0;

  constructor(
    private readonly writer: number,
    private readonly urlOf: () => string,
    private readonly truth: Truth,
    private readonly random: Random,
    private readonly state: Readonly<State>,
    private readonly hasEffects: boolean,
  ) {
    this.lastId = this.lastRow = (writer + 1) * 100_000_000;
  }

  async run(): Promise<void> {
    try {
      while (!this.state.isOver) {
        await this.transaction(this.random.chance(0.1));
        await sleep(this.random.below(PAUSE_MS * 2));
        if (this.hasEffects && (await this.isFarAhead())) await sleep(BEHIND_PAUSE_MS);
      }
    } finally {
      this.drop();
    }
  }

  async last(): Promise<void> {
    try {
      while (!(await this.transaction(false)));
    } finally {
      this.drop();
    }
  }

  private async isFarAhead(): Promise<boolean> {
    try {
      const { rows } = await (await this.open()).query('SELECT last_value::int AS written FROM effects_seq_seq');
      return this.truth.effects - rows[0].written > MOST_BEHIND;
    } catch {
      this.drop();
      return false;
    }
  }

  /** @returns whether it was committed */
  private async transaction(isRolledBack: boolean): Promise<boolean> {
    if (this.known !== this.state.losses) this.rows = new Map();
    const known = (this.known = this.state.losses);
    const token = `${this.writer}-${++this.transactions}`;
    const draft = this.draft();
    const end = isRolledBack ? 'ROLLBACK' : 'COMMIT';
    const sql = [`BEGIN; INSERT INTO tokens VALUES ('${token}')`, ...draft.sql, end].join('; ');
    const after = await this.insist(lsnNow);
    if (known !== this.state.losses) return false;
    if (!isRolledBack) this.truth.begin(token, draft.changes, after);
    const isDone = await this.attempt(sql);
    const isCommitted = isDone ? !isRolledBack : await this.insist((client) => hasToken(client, token));
    if (isCommitted) {
      this.rows = draft.rows;
      this.truth.ended(token, await this.insist(lsnNow));
    }
    return isCommitted;
  }

  /** @returns whether the server has answered; if not, nobody knows what has become of it */
  private async attempt(sql: string): Promise<boolean> {
    try {
      const client = await this.open();
      await client.query(sql);
      return true;
    } catch {
      this.drop();
      return false;
    }
  }

  /** Asks until there is an answer. */
  private async insist<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    for (;;) {
      if (this.state.isAbandoned) throw new Error('the run was broken off');
      try {
        return await ask(await this.open());
      } catch {
        this.drop();
        await sleep(50);
      }
    }
  }

  private async open(): Promise<Client> {
    return (this.client ??= await connect({ connectionString: this.urlOf(), ...PATIENCE }));
  }

  private drop(): void {
    const { client } = this;
    this.client = null;
    void client?.end().catch(() => undefined);
  }

  private draft(): Draft {
    const rows = new Map([...this.rows].map(([key, row]) => [key, { ...row }]));
    const draft: Draft = { sql: [], changes: [], rows };
    const { random } = this;
    const dice = random.next();
    if (dice < 0.004) this.bulk(draft, random.between(1_000, 5_000));
    else if (dice < 0.04) this.bulk(draft, random.between(50, 300));
    const size = dice < 0.4 ? 1 : random.between(2, dice < 0.9 ? 12 : 60);
    for (let index = 0; index < size; index++) {
      if (random.chance(0.05)) this.inVain(draft);
      this.change(draft);
    }
    return draft;
  }

  /** Many rows in one statement, or as many gone. */
  private bulk({ sql, changes }: Draft, count: number): void {
    const first = this.lastId + 1;
    this.lastId += count;
    sql.push(`INSERT INTO bulk SELECT n, n, 1 FROM generate_series(${first}, ${this.lastId}) n`);
    for (let id = first; id <= this.lastId; id++) {
      const content = contentOf({ id, row: id, version: 1 });
      changes.push({ name: changeName('bulk', id, 1), table: 'bulk', row: `bulk/${id}`, step: 0, content });
    }
    if (!this.random.chance(0.5)) return;
    // One by one, so that the order of the statement's scan does not matter.
    const gone = Array.from({ length: Math.min(count, 20) }, (_, index) => first + index);
    for (const id of gone) {
      sql.push(`DELETE FROM bulk WHERE id = ${id}`);
      const content = contentOf({ id });
      changes.push({ name: deleteName('bulk', id), table: 'bulk', row: `bulk/${id}`, step: 1, content });
    }
  }

  /** What is rolled back to a savepoint must not be seen. */
  private inVain(draft: Draft): void {
    const id = ++this.lastId;
    draft.sql.push('SAVEPOINT vain', `INSERT INTO items VALUES (${id}, ${id}, 1, 'vain')`, 'ROLLBACK TO vain');
  }

  private change(draft: Draft): void {
    const { random } = this;
    const { rows } = draft;
    if (rows.size < ROWS && (rows.size < 5 || random.chance(0.3))) return this.insert(draft);
    // Some rows are hot.
    const present = [...rows.values()];
    const row = random.chance(0.3) ? present[random.below(Math.min(3, present.length))]! : random.pick(present);
    if (random.chance(0.12)) return this.remove(draft, row);
    const before = { ...row };
    if (random.chance(0.15)) row.id = ++this.lastId;
    row.version++;
    draft.sql.push(`UPDATE ${row.table} SET id = ${row.id}, version = ${row.version} WHERE id = ${before.id}`);
    const content = contentOfUpdate(row, toldOf(before, row));
    this.note(draft, row, changeName(row.table, row.row, row.version), content);
  }

  private insert(draft: Draft): void {
    const table = this.random.chance(0.5) ? 'items' : 'docs';
    const number = ++this.lastRow;
    // No other row has it.
    const pad = table === 'items' ? { pad: `${number} `.repeat(this.random.below(20)) } : {};
    const row: Row = { table, row: number, id: ++this.lastId, version: 1, steps: 0, ...pad };
    draft.rows.set(`${table}/${row.row}`, row);
    const last = row.pad === undefined ? '' : `, '${row.pad}'`;
    draft.sql.push(`INSERT INTO ${table} VALUES (${row.id}, ${row.row}, 1${last})`);
    this.note(draft, row, changeName(table, row.row, 1), contentOf(row));
  }

  private remove(draft: Draft, row: Row): void {
    draft.rows.delete(`${row.table}/${row.row}`);
    draft.sql.push(`DELETE FROM ${row.table} WHERE id = ${row.id}`);
    this.note(draft, row, deleteName(row.table, row.id), contentOf(row.table === 'items' ? row : { id: row.id }));
  }

  private note({ changes }: Draft, row: Row, name: string, content: string): void {
    changes.push({ name, table: row.table, row: `${row.table}/${row.row}`, step: row.steps++, content });
  }
}

/** What a server tells of a row as it was before an update: all of `items`, and of others their key, where it changes. */
function toldOf(before: Row, after: Row): Content | null {
  if (before.table === 'items') return before;
  return before.id === after.id ? null : { id: before.id };
}

async function lsnNow(client: Client): Promise<string> {
  return (await client.query('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows[0].lsn as string;
}

async function hasToken(client: Client, token: string): Promise<boolean> {
  // It may still be on its way: the server does not notice at once that nobody waits for it.
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE $1`,
    [`%VALUES ('${token}')%`],
  );
  await sleep(20);
  return (await client.query('SELECT FROM tokens WHERE token = $1', [token])).rowCount === 1;
}
