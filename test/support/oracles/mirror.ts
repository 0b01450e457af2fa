import { Injectable, type Type } from '@nestjs/common';
import {
  OnLogicalMessage,
  OnTableChange,
  type Change,
  type LogicalMessage,
  type PgListenerContext,
  type PgListenerOptions,
} from 'nestjs-pg-listener';
import { TestApplications, type LogCollector } from '../application.js';
import { createDatabase, type TestDatabase } from '../database.js';
import { difference } from '../values/difference.js';
import { waitFor } from '../wait.js';

type Row = Record<string, any>;

/** Which way what is published takes to the subscriber. */
export interface Way {
  readonly name: string;
  readonly streaming: boolean;
  readonly binary: boolean;
}

/** Whole transactions and parts, text and binary. */
export const WAYS: readonly Way[] = [
  { name: 'text', streaming: false, binary: false },
  { name: 'binary', streaming: false, binary: true },
  { name: 'text, in parts', streaming: true, binary: false },
  { name: 'binary, in parts', streaming: true, binary: true },
];

/** Rows that exceed 64 kB: servers before 16 send nothing less while it is in progress. */
export const BULK = `INSERT INTO bulk SELECT i, repeat('x', 1500) FROM generate_series(1, 60) AS i`;

/** A subscriber like the server's own: it keeps tables of its own up to date by what it hears, and notes what that was. */
export class Mirror {
  /** `table operation key` of each change, and `message prefix content`. */
  readonly heard: string[] = [];
  readonly changes: Change[] = [];
  readonly origins: (string | null)[] = [];
  private readonly rows = new Map<string, Row[]>();
  private readonly apps = new TestApplications();
  private logs: LogCollector | undefined;
  private markers = 0;
  private readonly seen = new Set<number>();

  private constructor(
    readonly db: TestDatabase,
    readonly way: Way,
    readonly version: number,
  ) {}

  /** @param serverUrl default: the server of the run */
  static async open(way: Way, serverUrl?: string): Promise<Mirror> {
    const db = await createDatabase(serverUrl);
    const [{ version }] = await db.query(`SELECT current_setting('server_version_num')::int / 10000 AS version`);
    if (way.streaming) {
      await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
      if (version >= 16)
        await db.query(`ALTER DATABASE ${db.name} SET debug_logical_replication_streaming = 'immediate'`);
    }
    await db.query('CREATE TABLE markers (id int PRIMARY KEY); CREATE TABLE bulk (id int, t text)');
    return new Mirror(db, way, version);
  }

  get query(): TestDatabase['query'] {
    return this.db.query;
  }

  /** False, and said: the server's version is older. */
  isSince(major: number, what: string): boolean {
    if (this.version >= major) return true;
    process.stderr.write(`skipped on PostgreSQL ${this.version}, ${what} came with ${major}\n`);
    return false;
  }

  /** @param publication what stands behind CREATE PUBLICATION; `markers` must be in it */
  async listen(publication = 'pub FOR ALL TABLES', more: Partial<PgListenerOptions> = {}): Promise<void> {
    await this.query(`CREATE PUBLICATION ${publication}`);
    await this.subscribe(['pub'], more);
  }

  async subscribe(publications: readonly string[], more: Partial<PgListenerOptions> = {}): Promise<void> {
    const { streaming, binary } = this.way;
    const options = { connection: this.db.url, slot: this.db.slot(), publications, streaming, binary, ...more };
    const { logs } = await this.apps.start(options as PgListenerOptions, [this.handler()]);
    this.logs = logs;
  }

  /** One transaction; in the ways in parts, it is sent in parts on every version. */
  async transaction(sql: string, end = 'COMMIT'): Promise<void> {
    const bulk = this.way.streaming && this.version < 16 ? `${BULK};` : '';
    await this.query(`BEGIN; ${bulk} ${sql}; ${end}`);
  }

  /** Resolves when everything before has been heard. */
  async caughtUp(): Promise<void> {
    const id = ++this.markers;
    await this.query('INSERT INTO markers VALUES ($1)', [id]);
    await waitFor(
      () => this.seen.has(id),
      () => `marker ${id}; heard ${this.heard.length}; ${this.logs?.lines.slice(-3).join('\n')}`,
    );
  }

  /** What has been heard since the last time. */
  async take(): Promise<string[]> {
    await this.caughtUp();
    return this.heard.splice(0);
  }

  /** Where the mirror and the table differ; undefined: nowhere. @param table as changes name it */
  async differs(table: string, sql = `SELECT * FROM ${table}`): Promise<string | undefined> {
    await this.caughtUp();
    const sorted = (rows: readonly Row[]): Row[] =>
      [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    const inOrder = (row: Row): Row => Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
    const mine = sorted(this.table(table).map(inOrder));
    const theirs = sorted((await this.query(sql)).map(inOrder));
    return difference(mine, theirs);
  }

  table(name: string): Row[] {
    let rows = this.rows.get(name);
    if (rows === undefined) this.rows.set(name, (rows = []));
    return rows;
  }

  /** How many parts the server has sent. */
  async parts(): Promise<number> {
    const sql = 'SELECT stream_count::int AS count FROM pg_stat_replication_slots WHERE slot_name = $1';
    return (await waitFor(async () => (await this.query(sql, [this.db.slot()]))[0]?.count, 'parts'))!;
  }

  async close(): Promise<void> {
    await this.apps.close();
    // A test that failed may have left one open.
    await this.query('ROLLBACK');
    for (const { gid } of await this.query('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()'))
      await this.query(`ROLLBACK PREPARED '${gid}'`);
    await this.db.drop();
  }

  private handler(): Type {
    const take = (change: Change, origin: string | null): void => this.hear(change, origin);
    const note = ({ prefix, text }: LogicalMessage): unknown => this.heard.push(`message ${prefix} ${text}`);
    @Injectable()
    class Subscriber {
      @OnTableChange('*')
      change(change: Change, { transaction }: PgListenerContext): void {
        take(change, transaction.origin);
      }
      @OnLogicalMessage()
      message(message: LogicalMessage): void {
        note(message);
      }
    }
    return Subscriber;
  }

  private hear(change: Change, origin: string | null): void {
    if (change.table === 'markers')
      return void (change.operation === 'insert' && this.seen.add(Number(change.record['id'])));
    if (change.table === 'bulk') return;
    this.apply(change);
    this.changes.push(change);
    this.origins.push(origin);
    const row = 'record' in change ? change.record : 'oldRecord' in change ? change.oldRecord : {};
    this.heard.push(`${change.table} ${change.operation} ${String(Object.values(row as Row)[0] ?? '')}`.trim());
  }

  private apply(change: Change): void {
    const rows = this.table(change.table);
    if (change.operation === 'truncate') return void rows.splice(0);
    if (change.operation === 'insert') return void rows.push({ ...change.record });
    if (change.operation === 'snapshot') return;
    // By the old row where it is told, and otherwise by the first column, which is the key.
    const record: Row = change.operation === 'update' ? change.record : {};
    const [key] = Object.entries(record);
    const old: Row = change.oldRecord ?? Object.fromEntries([key!]);
    const at = rows.findIndex((row) =>
      Object.entries(old).every(([name, value]) => difference(row[name], value) === undefined),
    );
    if (at < 0) throw new Error(`no such row in ${change.table}`);
    if (change.operation === 'delete') rows.splice(at, 1);
    else rows[at] = { ...rows[at], ...record };
  }
}
