import { EventEmitter, once } from 'node:events';
import pg from 'pg';
import { escapeIdentifier } from 'pg';
import type { PluginOptions, StreamMessage } from './messages.js';

/** Head of XLogData: its letter, and three times eight bytes. */
const XLOG_DATA = 25;

/**
 * A slot's stream as the server sends it, by node-postgres' own client and nothing of ours: for what comes while a
 * transaction is in progress, which nobody can ask for over SQL.
 */
export class LiveCapture {
  readonly messages: StreamMessage[] = [];
  private constructor(private readonly client: pg.Client) {}

  static async start(url: string, slot: string, options: PluginOptions): Promise<LiveCapture> {
    const client = new pg.Client({ connectionString: url, replication: 'database' } as pg.ClientConfig);
    client.on('error', () => undefined);
    await client.connect();
    const capture = new LiveCapture(client);
    const connection = (client as unknown as { connection: EventEmitter }).connection;
    connection.on('copyData', ({ chunk }: { chunk: Buffer }) => capture.take(chunk));
    const started = once(connection, 'replicationStart');
    const list = Object.entries(options).map(([name, value]) => `${name} '${value.replaceAll("'", "''")}'`);
    const command = `START_REPLICATION SLOT ${escapeIdentifier(slot)} LOGICAL 0/0 (${list.join(', ')})`;
    const ended = client.query(command);
    // It ends with the connection, and otherwise only in an error.
    await Promise.race([started, ended]);
    ended.catch(() => undefined);
    return capture;
  }

  /** How many parts of this transaction have come, from Stream Start to Stream Stop. */
  partsOf(xid: number): number {
    const isPart = ({ data }: StreamMessage): boolean => data[0] === 0x53 && data.readUInt32BE(1) === xid;
    const begun = this.messages.filter(isPart).length;
    const last = this.messages.findLastIndex(({ data }) => data[0] === 0x53 || data[0] === 0x45);
    return this.messages[last]?.data[0] === 0x53 && isPart(this.messages[last]) ? begun - 1 : begun;
  }

  async close(): Promise<void> {
    // A walsender does not wait for a goodbye.
    (this.client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await this.client.end().catch(() => undefined);
  }

  private take(chunk: Buffer): void {
    if (chunk[0] !== 0x77) return;
    this.messages.push({ lsn: chunk.readBigUInt64BE(1), data: Buffer.from(chunk.subarray(XLOG_DATA)) });
  }
}
