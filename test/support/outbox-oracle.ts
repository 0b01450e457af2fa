import type { TestDatabase } from './database.js';

const MESSAGE = 0x4d;
/** Its letter, flags and LSN come before the prefix. */
const PREFIX_AT = 10;

/**
 * What the log has of one prefix of logical messages, in the order of the commits: the server's own word, over SQL and a slot of
 * its own, and nothing of ours.
 */
export class OutboxOracle {
  private constructor(
    private readonly db: TestDatabase,
    private readonly prefix: string,
  ) {}

  static async create(db: TestDatabase, prefix: string): Promise<OutboxOracle> {
    // pgoutput wants the name of one, and sends messages whatever is in it.
    await db.query('CREATE PUBLICATION oracle');
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [db.slot('oracle')]);
    return new OutboxOracle(db, prefix);
  }

  /** Contents as text, since it was created. */
  async contents(): Promise<string[]> {
    const rows = await this.db.query<{ data: Buffer }>(
      `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL,
         'proto_version', '1', 'publication_names', 'oracle', 'messages', 'true')`,
      [this.db.slot('oracle')],
    );
    return rows.flatMap(({ data }) => {
      if (data[0] !== MESSAGE) return [];
      const end = data.indexOf(0, PREFIX_AT);
      if (data.toString('utf8', PREFIX_AT, end) !== this.prefix) return [];
      const length = data.readUInt32BE(end + 1);
      return [data.toString('utf8', end + 5, end + 5 + length)];
    });
  }
}
