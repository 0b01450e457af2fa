import type pg from 'pg';
import { plainRow, type ExpectedChange, type ExpectedTransaction, type PlainRow } from './fixture.js';

/** Which old rows the server sends. */
export interface WrittenTable {
  /** As SQL has it. */
  readonly name: string;
  /** `schema.table`, as changes have it. */
  readonly called: string;
  readonly identity: 'full' | readonly string[];
}

type Row = Record<string, unknown>;

/** Writes rows, and notes from the answers of SQL alone what a subscriber must hear. */
export class Scribe {
  readonly transactions: ExpectedTransaction[] = [];
  private changes: ExpectedChange[] = [];

  constructor(readonly client: pg.Client) {}

  async insert(table: WrittenTable, values: string): Promise<void> {
    const { rows } = await this.client.query(`INSERT INTO ${table.name} VALUES ${values} RETURNING *`);
    for (const row of rows) this.changes.push({ op: 'insert', table: table.called, record: plainRow(row) });
  }

  /** Of one row. @param unchangedToast columns that go out of line and are not set */
  async update(table: WrittenTable, set: string, where: string, unchangedToast: string[] = []): Promise<void> {
    const before = await this.one(`SELECT * FROM ${table.name} WHERE ${where}`);
    const after = await this.one(`UPDATE ${table.name} SET ${set} WHERE ${where} RETURNING *`);
    const isFull = table.identity === 'full';
    const missing = isFull ? [] : unchangedToast;
    const record = Object.fromEntries(Object.entries(after).filter(([name]) => !missing.includes(name)));
    this.changes.push({
      op: 'update',
      table: table.called,
      record,
      old: oldRow(table, before, after),
      unchangedToast: missing,
    });
  }

  /** Of one row. */
  async delete(table: WrittenTable, where: string): Promise<void> {
    const before = await this.one(`DELETE FROM ${table.name} WHERE ${where} RETURNING *`);
    this.changes.push({ op: 'delete', table: table.called, old: imageOf(table, before) });
  }

  async truncate(tables: readonly WrittenTable[], { cascade = false, restart = false } = {}): Promise<void> {
    const names = tables.map(({ name }) => name).join(', ');
    await this.client.query(`TRUNCATE ${names} ${restart ? 'RESTART IDENTITY' : ''} ${cascade ? 'CASCADE' : ''}`);
    for (const { called } of tables) this.changes.push({ op: 'truncate', table: called, cascade, restart });
  }

  async message(prefix: string, content: string): Promise<void> {
    await this.client.query('SELECT pg_logical_emit_message(true, $1, $2::text)', [prefix, content]);
    this.changes.push({ op: 'message', prefix, content });
  }

  /** What is nobody's: it is heard whatever becomes of the transaction around it. */
  async messageAlone(prefix: string, content: string): Promise<void> {
    const before = await this.position();
    await this.client.query('SELECT pg_logical_emit_message(false, $1, $2::text)', [prefix, content]);
    const change = { op: 'message', prefix, content } as const;
    const between = [before, await this.position()] as const;
    this.transactions.push({ xid: null, committedAt: null, origin: null, between, changes: [change] });
  }

  /** Not a word of it is heard. @returns xid of the sub-transaction, from a row that it has written */
  async rolledBack(work: () => Promise<void>, rowOf: string): Promise<number> {
    const { length } = this.changes;
    await this.client.query('SAVEPOINT gone');
    await work();
    const { xmin } = await this.one(`SELECT xmin::text FROM ${rowOf}`);
    await this.client.query('ROLLBACK TO gone');
    this.changes.length = length;
    return Number(xmin);
  }

  /** @param commit runs the statements that end it; undefined: COMMIT. False: it ends in ROLLBACK, and is not heard */
  async transaction(
    work: () => Promise<void>,
    { commit = ['COMMIT'] as readonly string[], isHeard = true, origin = null as string | null } = {},
  ): Promise<number> {
    this.changes = [];
    await this.client.query('BEGIN');
    await work();
    const xid = Number((await this.one('SELECT pg_current_xact_id()::text AS xid'))['xid']);
    // Before the last statement: PREPARE TRANSACTION comes earlier.
    for (const sql of commit.slice(0, -1)) await this.client.query(sql);
    const before = await this.position();
    await this.client.query(commit.at(-1)!);
    if (!isHeard) return xid;
    const between = [before, await this.position()] as const;
    const sql = `SELECT (extract(epoch FROM pg_xact_commit_timestamp($1::xid)) * 1000000)::numeric(30)::text AS at`;
    const { rows } = await this.client.query<{ at: string }>(sql, [String(xid)]);
    this.transactions.push({ xid, committedAt: rows[0]!.at, origin, between, changes: this.changes });
    return xid;
  }

  private async position(): Promise<string> {
    return (await this.one('SELECT pg_current_wal_insert_lsn()::text AS lsn'))['lsn'] as string;
  }

  private async one(sql: string): Promise<PlainRow> {
    const { rows } = await this.client.query<Row>(sql);
    if (rows.length !== 1) throw new Error(`${rows.length} rows of ${sql}`);
    return plainRow(rows[0]!);
  }
}

/** FULL: all columns; else the key, and only where an update has changed it. */
function oldRow(table: WrittenTable, before: PlainRow, after: PlainRow): PlainRow | null {
  if (table.identity === 'full') return before;
  const isSame = table.identity.every((name) => JSON.stringify(before[name]) === JSON.stringify(after[name]));
  return isSame ? null : imageOf(table, before);
}

function imageOf({ identity }: WrittenTable, row: PlainRow): PlainRow {
  return identity === 'full' ? row : Object.fromEntries(identity.map((name) => [name, row[name]!]));
}
