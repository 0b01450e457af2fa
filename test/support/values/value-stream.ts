import pg from 'pg';
import type { Change, DeleteChange, InsertChange, PgListenerOptions, UpdateChange } from 'nestjs-pg-listener';
import { recorderOf, startApplication, type TestApplication } from '../application.js';
import { difference } from './difference.js';

type Row = Record<string, unknown>;

/** A column of a table under test. */
export interface TestColumn {
  readonly name: string;
  /** SQL. */
  readonly type: string;
}

/** A table under test: `id`, then these columns. */
export interface TestTable {
  readonly name: string;
  readonly columns: readonly TestColumn[];
}

/** Values as text, in the order of the columns; null is SQL's. */
export type TestRow = readonly (string | null)[];

/** Its whole old row travels with every update and delete. */
export function createTable({ name, columns }: TestTable): string {
  const list = columns.map((column) => `"${column.name}" ${column.type}`).join(', ');
  return `CREATE TABLE ${name} (id int, ${list}); ALTER TABLE ${name} REPLICA IDENTITY FULL;`;
}

export interface ValueStreamOptions {
  /** Whose statements are heard: as a superuser, so that no setting of the role under test reads the input. */
  readonly writerUrl: string;
  /** Of the application under test, and of the session that it is compared with. */
  readonly connection: pg.ClientConfig;
  /** SQL for the session that it is compared with. */
  readonly prepareReader?: string;
  /** In which the stream's values travel. @default 'text' */
  readonly format?: ValueFormat;
  /** Of the application under test. */
  readonly types?: PgListenerOptions['types'];
}

export type ValueFormat = 'text' | 'binary';

/** A value of the stream is to be what SELECT gives in both. */
export const VALUE_FORMATS: readonly ValueFormat[] = ['text', 'binary'];

/** An application that hears of every change, and a session of the same configuration that queries the same rows. */
export class ValueStream {
  private wake: (() => void) | undefined;

  private constructor(
    private readonly writer: pg.Client,
    private readonly reader: pg.Client,
    readonly application: TestApplication,
    private readonly changes: Change[],
  ) {}

  static async open({
    writerUrl,
    connection,
    prepareReader,
    format = 'text',
    types = {},
  }: ValueStreamOptions): Promise<ValueStream> {
    const opened: { close(): Promise<void> }[] = [];
    try {
      const clients = [
        // A database's settings must not decide how the values of the tests are read.
        new pg.Client({ connectionString: writerUrl, options: '-c DateStyle=ISO,MDY -c IntervalStyle=postgres' }),
        new pg.Client(connection),
      ] as const;
      for (const client of clients) {
        client.on('error', () => undefined);
        await client.connect();
        opened.push({ close: () => client.end() });
      }
      const [writer, reader] = clients;
      if (prepareReader !== undefined) await reader.query(prepareReader);
      const Recorder = recorderOf('*', () => stream.wake?.());
      const application = await startApplication(
        { connection, slot: 'temporary', binary: format === 'binary', types, startup: { timeoutMs: 10_000 } },
        [Recorder],
      );
      const stream: ValueStream = new ValueStream(writer, reader, application, Recorder.changes);
      return stream;
    } catch (error) {
      for (const each of opened) await each.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.application.close();
    await this.writer.end();
    await this.reader.end();
  }

  /**
   * Inserts the rows, gives each the values of the next one, and deletes them; after each step, what the stream told
   * must equal what a query shows.
   *
   * @throws Error with the first difference
   */
  async roundTrip(table: TestTable, rows: readonly TestRow[]): Promise<void> {
    const names = table.columns.map(({ name }) => `"${name}"`);
    await this.insert(table, rows);
    const inserted = await this.select(table);
    const values = names.map((name) => `${name} = other.${name}`).join(', ');
    await this.writer.query(
      `UPDATE ${table.name} t SET ${values} FROM ${table.name} other WHERE other.id = t.id % ${rows.length} + 1`,
    );
    const updated = await this.select(table);
    await this.writer.query(`DELETE FROM ${table.name}`);
    const changes = await this.take(3 * rows.length);
    const ofKind = (operation: string): Change[] => changes.filter((change) => change.operation === operation);
    compare('insert', recordsById(ofKind('insert') as InsertChange[], 'record'), inserted);
    compare('old row of update', recordsById(ofKind('update') as UpdateChange[], 'oldRecord'), inserted);
    compare('update', recordsById(ofKind('update') as UpdateChange[], 'record'), updated);
    compare('delete', recordsById(ofKind('delete') as DeleteChange[], 'oldRecord'), updated);
  }

  /** In which values travel now, as the server was asked. */
  async format(): Promise<ValueFormat> {
    const { rows } = await this.writer.query<{ query: string }>(
      `SELECT query FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()`,
    );
    if (rows.length !== 1) throw new Error(`${rows.length} streams where one was expected`);
    return rows[0]!.query.includes(`binary 'true'`) ? 'binary' : 'text';
  }

  async insert({ name, columns }: TestTable, rows: readonly TestRow[]): Promise<void> {
    let parameter = 0;
    const tuples = rows.map(
      (_, row) => `(${[row + 1, ...columns.map(({ type }) => `$${++parameter}::${type}`)].join(', ')})`,
    );
    await this.writer.query(`INSERT INTO ${name} VALUES ${tuples.join(', ')}`, rows.flat());
  }

  async execute(sql: string): Promise<void> {
    await this.writer.query(sql);
  }

  /** What the session of the same configuration sees, by id. */
  async select({ name }: TestTable): Promise<Map<string, Row>> {
    const { rows } = await this.reader.query<Row>(`SELECT * FROM ${name}`);
    return new Map(rows.map((row) => [String(row['id']), row]));
  }

  /** The next changes, this many of them. */
  async take(count: number, patienceMs = 15_000): Promise<Change[]> {
    const deadline = Date.now() + patienceMs;
    while (this.changes.length < count) {
      const left = deadline - Date.now();
      const halted = this.application.logs.find('Halted');
      if (left <= 0 || halted !== undefined) {
        const said = halted ?? this.application.logs.lines.slice(-3).join('\n');
        throw new Error(`${this.changes.length} of ${count} changes came; the log ends:\n${said}`);
      }
      await new Promise<void>((done) => {
        // Looks again now and then: a stream that halts wakes nobody.
        const timer = setTimeout(done, Math.min(left, 500));
        this.wake = () => {
          if (this.changes.length < count) return;
          clearTimeout(timer);
          done();
        };
      });
    }
    return this.changes.splice(0, count);
  }
}

/** Rows of changes by their id. */
export function recordsById<K extends 'record' | 'oldRecord'>(
  changes: readonly { readonly [key in K]: unknown }[],
  key: K,
): Map<string, Row> {
  return new Map(changes.map((change) => [String((change[key] as Row)['id']), change[key] as Row]));
}

/** @throws Error where a row of the stream is not the row of the query */
export function compare(what: string, actual: ReadonlyMap<string, Row>, expected: ReadonlyMap<string, Row>): void {
  if (expected.size === 0) throw new Error(`${what}: the query found no row to compare with`);
  const found = difference([...actual.keys()].sort(), [...expected.keys()].sort(), 'ids');
  if (found !== undefined) throw new Error(`${what}: ${found}`);
  for (const [id, row] of expected) {
    const differs = difference(actual.get(id), row, `row ${id}`);
    if (differs !== undefined) throw new Error(`${what}: ${differs}`);
  }
}
