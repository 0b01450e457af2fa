import { Injectable, type Type } from '@nestjs/common';
import {
  OnLogicalMessage,
  OnTableChange,
  type PgListener,
  type Change,
  type LogicalMessage,
  type PgListenerContext,
  type PgListenerOptions,
} from 'nestjs-pg-listener';
import { TestApplications, type TestApplication } from './application.js';
import { connect, createDatabase, type TestDatabase } from './database.js';
import { waitFor } from './wait.js';

/** Where a change stands in the log. */
interface Placed {
  readonly walHigh: number;
  readonly walLow: number;
  readonly ordinal: number;
}

/** A change or message as text, with everything that must not depend on how it came. */
export type Entry = string;

export interface SequenceRecorder extends Type {
  readonly entries: Entry[];
  readonly changes: Change[];
}

/** A handler class that keeps what it hears, with its place in the log. */
export function sequenceRecorder(): SequenceRecorder {
  @Injectable()
  class Recorder {
    static readonly entries: Entry[] = [];
    static readonly changes: Change[] = [];

    @OnTableChange('*')
    change(change: Change, { transaction }: PgListenerContext): void {
      Recorder.changes.push(change);
      Recorder.entries.push(`${place(change)} from ${transaction.origin} ${JSON.stringify(change)}`);
    }
    @OnLogicalMessage()
    message(message: LogicalMessage): void {
      Recorder.entries.push(`${place(message)} ${JSON.stringify(message)}`);
    }
  }
  return Recorder;
}

function place(it: unknown): string {
  const { walHigh, walLow, ordinal } = it as Placed;
  return `${walHigh >>> 0}/${walLow >>> 0}/${ordinal}`;
}

/**
 * One database that is heard twice: by a listener that has the server send transactions while they are in progress, and by one
 * that has it wait for commits. Both must hear the same.
 */
export class StreamingBench {
  readonly streamed = sequenceRecorder();
  readonly plain = sequenceRecorder();
  readonly apps = new TestApplications();
  private markers = 0;
  private app: TestApplication | undefined;

  private constructor(readonly db: TestDatabase) {}

  /** The server streams each change at once (16 and later), or what exceeds 64 kB. */
  static async open(serverUrl?: string): Promise<StreamingBench> {
    const db = await createDatabase(serverUrl);
    await db.query(`ALTER DATABASE ${db.name} SET logical_decoding_work_mem = '64kB'`);
    const [{ version }] = await db.query(`SELECT current_setting('server_version_num')::int AS version`);
    if (version >= 160_000)
      await db.query(`ALTER DATABASE ${db.name} SET debug_logical_replication_streaming = 'immediate'`);
    await db.query('CREATE TABLE markers (id int PRIMARY KEY)');
    return new StreamingBench(db);
  }

  get query(): TestDatabase['query'] {
    return this.db.query;
  }

  /** Another session of the database; it ends with the database. */
  session(): ReturnType<typeof connect> {
    return connect(this.db.url);
  }

  /** Both listeners. @param more of the one that hears parts @returns that one */
  async start(
    options: Partial<PgListenerOptions> = {},
    more: Partial<PgListenerOptions> = {},
  ): Promise<TestApplication> {
    await this.query('CREATE PUBLICATION everything FOR ALL TABLES');
    const all = { connection: this.db.url, publications: ['everything'], ...options };
    await this.apps.start({ ...all, slot: this.db.slot('plain') }, [this.plain]);
    const mine = { ...all, slot: this.db.slot('streamed'), streaming: true, ...more };
    return (this.app = await this.apps.start(mine, [this.streamed]));
  }

  /** The one that hears parts, with another handler. */
  async startOne(options: Partial<PgListenerOptions>, handler: Type): Promise<TestApplication> {
    const all = { connection: this.db.url, slot: this.db.slot('streamed'), streaming: true, ...options };
    return (this.app = await this.apps.start(all, [handler]));
  }

  /** Of the one that hears parts. */
  get listener(): PgListener {
    return this.app!.listener;
  }

  /** Resolves when both have heard all that was committed before. */
  async caughtUp(): Promise<void> {
    const id = ++this.markers;
    await this.query('INSERT INTO markers VALUES ($1)', [id]);
    const isMarked = ({ changes }: SequenceRecorder): boolean =>
      changes.some((change) => change.table === 'markers' && 'record' in change && change.record['id'] === id);
    await waitFor(
      () => isMarked(this.plain) && isMarked(this.streamed),
      () => `marker ${id}; heard ${this.plain.entries.length} and ${this.streamed.entries.length}`,
    );
  }

  /** How many parts the server has sent to the one that hears them. */
  async parts(): Promise<number> {
    const sql = 'SELECT stream_count::int AS count FROM pg_stat_replication_slots WHERE slot_name = $1';
    let count = 0;
    // The statistics come a little later, before 15 by half a second.
    await waitFor(async () => {
      count = (await this.query(sql, [this.db.slot('streamed')]))[0]?.count ?? 0;
      return count > 0;
    }, 'parts in the statistics of the slot');
    return count;
  }

  /** `table operation id` of each change but the markers. */
  get heard(): string[] {
    return this.streamed.changes
      .filter(({ table }) => table !== 'markers')
      .map((change) => {
        const row = 'record' in change ? change.record : 'oldRecord' in change ? change.oldRecord : {};
        return `${change.operation} ${String((row as Record<string, unknown>)['a'] ?? '')}`.trim();
      });
  }

  async close(): Promise<void> {
    await this.apps.close();
    await this.db.drop();
  }
}
