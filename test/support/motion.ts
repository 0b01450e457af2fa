import { Injectable, type Type } from '@nestjs/common';
import {
  OnSchemaChange,
  OnTableChange,
  type Change,
  type InsertChange,
  type PgListenerOptions,
  type SchemaChange,
  type SchemaDifference,
} from 'nestjs-pg-listener';
import { TestApplications, type TestApplication } from './application.js';
import { connect, createDatabase, type TestDatabase } from './database.js';
import { waitFor } from './wait.js';

/** What a handler class has heard, in order: rows and changes of schema as short texts. */
export interface MotionRecorder extends Type {
  readonly entries: string[];
  readonly schemas: SchemaChange[];
  markers: number;
}

export function motionRecorder(rows = '*', schemas: string | string[] = '*'): MotionRecorder {
  @Injectable()
  class Recorder {
    static readonly entries: string[] = [];
    static readonly schemas: SchemaChange[] = [];
    static markers = 0;

    @OnTableChange([rows, '!filler'])
    row(change: Change): void {
      if (change.table === 'markers') Recorder.markers = Number((change as InsertChange).record['id']);
      else Recorder.entries.push(rowText(change));
    }
    @OnSchemaChange(schemas)
    async schema(change: SchemaChange): Promise<void> {
      await Promise.resolve();
      Recorder.schemas.push(change);
      Recorder.entries.push(schemaText(change));
    }
  }
  return Recorder;
}

export function rowText(change: Change): string {
  const name = change.schema === 'public' ? change.table : `${change.schema}.${change.table}`;
  if (change.operation === 'truncate') return `truncate ${name}`;
  if (change.operation === 'delete') return `delete ${name} ${JSON.stringify(change.oldRecord)}`;
  const old = change.operation === 'update' && change.oldRecord ? `${JSON.stringify(change.oldRecord)} to ` : '';
  return `${change.operation} ${name} ${old}${JSON.stringify(change.record)}`;
}

export function schemaText({ schema, table, differences }: SchemaChange): string {
  const name = schema === 'public' ? table : `${schema}.${table}`;
  return `schema ${name}: ${differences.map(differenceText).join(', ')}`;
}

function differenceText(difference: SchemaDifference): string {
  switch (difference.kind) {
    case 'column-added':
      return `+${difference.column.name}`;
    case 'column-removed':
      return `-${difference.column.name}`;
    case 'column-renamed':
      return `${difference.from}>${difference.to}?`;
    case 'column-type-changed':
      return `${difference.column} ${difference.from.typeOid}>${difference.to.typeOid}`;
    case 'columns-reordered':
      return `order ${difference.from.join()}>${difference.to.join()}`;
    case 'key-changed':
      return `key ${difference.from.join()}>${difference.to.join()}`;
    case 'replica-identity-changed':
      return `identity ${difference.from}>${difference.to}`;
    case 'table-recreated':
      return 'recreated';
    case 'table-renamed':
      return `was ${difference.from.schema}.${difference.from.table}`;
  }
}

/**
 * One database that is heard twice: by a listener that has the server send transactions in parts, and by one that has it wait
 * for commits. Both must hear the same.
 */
export class MotionBench {
  readonly plain = motionRecorder();
  readonly streamed = motionRecorder();
  readonly apps = new TestApplications();
  private readonly running: TestApplication[] = [];
  private markers = 0;

  private constructor(
    readonly db: TestDatabase,
    readonly version: number,
  ) {}

  /** @param ddl what there is before anybody listens */
  static async open(ddl: string): Promise<MotionBench> {
    const db = await createDatabase();
    await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
    const [{ version }] = await db.query(`SELECT current_setting('server_version_num')::int / 10000 AS version`);
    if (version >= 16)
      await db.query(`ALTER DATABASE ${db.name} SET debug_logical_replication_streaming = 'immediate'`);
    await db.query('CREATE TABLE markers (id int PRIMARY KEY); CREATE TABLE filler (id serial PRIMARY KEY, text text)');
    await db.query(ddl);
    return new MotionBench(db, version);
  }

  get query(): TestDatabase['query'] {
    return this.db.query;
  }

  session(): ReturnType<typeof connect> {
    return connect(this.db.url);
  }

  /** @param clause of CREATE PUBLICATION; the tables of the bench are added where tables are named */
  async start(clause = 'FOR ALL TABLES', options: Partial<PgListenerOptions> = {}): Promise<void> {
    await this.query(`CREATE PUBLICATION p ${clause.replace('FOR TABLE', 'FOR TABLE markers, filler,')}`);
    const all = { connection: this.db.url, publications: ['p'], ...options };
    this.running.push(await this.apps.start({ ...all, slot: this.db.slot('plain') }, [this.plain]));
    this.running.push(
      await this.apps.start({ ...all, slot: this.db.slot('streamed'), streaming: true }, [this.streamed]),
    );
  }

  /** In one transaction, large enough to come in parts. */
  async transaction(...statements: string[]): Promise<void> {
    const filling = `INSERT INTO filler (text) SELECT repeat('x', 300) FROM generate_series(1, 300)`;
    await this.query(['BEGIN', filling, ...statements, 'COMMIT'].join(';\n'));
  }

  /** What both have heard since the last time; and that they have nothing in hand, and are well. */
  async heard(): Promise<string[]> {
    const id = ++this.markers;
    await this.query('INSERT INTO markers VALUES ($1)', [id]);
    await waitFor(
      () => this.plain.markers === id && this.streamed.markers === id,
      () => `marker ${id}; heard ${this.plain.entries.join('; ')} | ${this.streamed.entries.join('; ')}`,
    );
    for (const { listener } of this.running) {
      await waitFor(() => listener.stats().unsettledTransactions === 0, 'all to settle');
      const { failures, pendingChanges, pendingBytes, reconnects } = listener.stats();
      const { status } = listener.health();
      const state = { status, failures, pendingChanges, pendingBytes, reconnects };
      const well = { status: 'up', failures: 0, pendingChanges: 0, pendingBytes: 0, reconnects: 0 };
      if (JSON.stringify(state) !== JSON.stringify(well)) throw new Error(`Not well: ${JSON.stringify(state)}`);
    }
    const [plain, streamed] = [this.plain, this.streamed].map(({ entries }) => entries.splice(0));
    if (plain!.join('\n') !== streamed!.join('\n')) {
      throw new Error(`Whole:\n${plain!.join('\n')}\n\nin parts:\n${streamed!.join('\n')}`);
    }
    return plain!;
  }

  /** How many parts the server has sent to the one that hears them. */
  async parts(): Promise<number> {
    let count = 0;
    await waitFor(async () => {
      const sql = 'SELECT stream_count::int AS count FROM pg_stat_replication_slots WHERE slot_name = $1';
      count = (await this.query(sql, [this.db.slot('streamed')]))[0]?.count ?? 0;
      return count > 0;
    }, 'parts in the statistics of the slot');
    return count;
  }

  async close(): Promise<void> {
    await this.apps.close();
    await this.db.drop();
  }
}
