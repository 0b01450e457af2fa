import { withClient } from './database.js';

/** A commit as the server tells of it in its own Begin message. */
export interface WitnessedCommit {
  readonly lsn: string;
  readonly xid: string;
}

const SLOT = 'witness';

/** The fields of a Begin message (manual, section 54.9), cut out and formatted by the server itself. */
const COMMITS = `
  SELECT ('0/0'::pg_lsn + ('x' || encode(substr(data, 2, 8), 'hex'))::bit(64)::bigint)::text AS lsn,
         (('x' || encode(substr(data, 18, 4), 'hex'))::bit(32)::bigint)::text AS xid
  FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)
  WHERE get_byte(data, 0) = ascii('B')`;

/** A second slot beside the listener's, read with SQL: no code of ours has a part in what it says. */
export class CommitWitness {
  private constructor(
    private readonly url: string,
    private readonly publication: string,
  ) {}

  /** Sees what is committed from now on to tables of this publication. */
  static async create(url: string, publication: string): Promise<CommitWitness> {
    await withClient(url, (client) =>
      client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [SLOT]),
    );
    return new CommitWitness(url, publication);
  }

  /** All commits since it was created, in their order. */
  async commits(): Promise<WitnessedCommit[]> {
    return withClient(this.url, async (client) => (await client.query(COMMITS, [SLOT, this.publication])).rows);
  }
}
