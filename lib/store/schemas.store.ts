import type { Client } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { SlotInUseError } from '../errors/replication.error.js';
import type { EffectPlace, StreamHistory } from '../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { TableShape } from '../interfaces/schema-change.interface.js';
import type { KnownShape, SchemaStore } from '../interfaces/schema-store.interface.js';
import { formatLsn, lsnFromParts, lsnParts, parseLsn } from '../protocol/lsn.js';
import { SCHEMA_TABLES } from './own-tables.sql.js';
import { ensureOwnTables, type OwnTablesState } from './own-tables.js';
import { heldBy } from './parked.sql.js';
import { StoreSession } from './store-session.js';
import type { StreamLease } from './stream-lease.js';

const DESCRIBED = `${OWN_SCHEMA}.described`;

/** In the order in which they were told: the last one of an oid has its present name. */
const LOAD = `SELECT shape::text AS shape, system_identifier, timeline, commit_lsn::text AS commit_lsn,
       wal_lsn::text AS wal_lsn, ordinal::text AS ordinal
  FROM ${DESCRIBED} WHERE slot_name = $1 ORDER BY recorded_at, commit_lsn, wal_lsn, ordinal`;

/**
 * $1 slot, then the columns; $11 and $12 as `heldBy` has them. Of the tables that had the name before, the last one is kept:
 * it may come again under another.
 */
const RECORD = `${heldBy(11)}, recorded AS (
  INSERT INTO ${DESCRIBED}
    (slot_name, schema_name, table_name, relation_oid, shape, system_identifier, timeline, commit_lsn, wal_lsn, ordinal)
  SELECT $1::text, $2::text, $3::text, $4::oid, $5::jsonb, $6::text, $7::text, $8::pg_lsn, $9::pg_lsn, $10::integer
    FROM held WHERE held
  ON CONFLICT (slot_name, schema_name, table_name, relation_oid) DO UPDATE SET
    shape = EXCLUDED.shape, system_identifier = EXCLUDED.system_identifier, timeline = EXCLUDED.timeline,
    commit_lsn = EXCLUDED.commit_lsn, wal_lsn = EXCLUDED.wal_lsn, ordinal = EXCLUDED.ordinal,
    recorded_at = EXCLUDED.recorded_at
), former AS (
  SELECT relation_oid, recorded_at FROM ${DESCRIBED}
   WHERE slot_name = $1::text AND schema_name = $2::text AND table_name = $3::text AND relation_oid <> $4::oid
), forgotten AS (
  DELETE FROM ${DESCRIBED}
   WHERE slot_name = $1::text AND schema_name = $2::text AND table_name = $3::text AND (SELECT held FROM held)
     AND relation_oid IN (SELECT relation_oid FROM former WHERE recorded_at < (SELECT max(recorded_at) FROM former))
) SELECT held FROM held`;

interface Row {
  shape: string;
  system_identifier: string;
  timeline: string;
  commit_lsn: string;
  wal_lsn: string;
  ordinal: string;
}

export interface PgSchemaStoreOptions {
  readonly app: string;
  readonly slotName: string;
  readonly lease: StreamLease;
  readonly logger: ListenerLogger;
}

/** What is known of tables, in the source database: the table `described` of our own schema. */
export class PgSchemaStore implements SchemaStore {
  private readonly session: StoreSession;
  private state: OwnTablesState = { isUsable: true };
  private isWarned = false;

  constructor(
    target: ConnectionTarget,
    private readonly options: PgSchemaStoreOptions,
  ) {
    this.session = new StoreSession(target, { prepare: (client) => this.prepare(client) });
  }

  async load(history: StreamHistory): Promise<readonly KnownShape[] | null> {
    const rows = await this.run(async (client) => (await client.query<Row>(LOAD, [this.options.slotName])).rows);
    return rows === null ? null : rows.map((row) => knownShape(row, history));
  }

  async record(shape: TableShape, since: EffectPlace): Promise<void> {
    const { slotName, lease, app } = this.options;
    const { systemIdentifier, timeline } = since.history!;
    const { commitLsn, walHigh, walLow, ordinal } = since;
    const place = [formatLsn(commitLsn), formatLsn(lsnFromParts(walHigh, walLow)), ordinal];
    const text = JSON.stringify(shape);
    const described = [slotName, shape.schema, shape.table, shape.oid, text, systemIdentifier, timeline, ...place];
    const epoch = lease.epoch === null ? null : String(lease.epoch);
    const rows = await this.run(
      async (client) => (await client.query<{ held: boolean }>(RECORD, [...described, lease.slotName, epoch])).rows,
    );
    if (rows !== null && rows[0]!.held !== true) {
      throw new SlotInUseError(`The slot "${slotName}" was taken over by another process`, { app });
    }
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  /** @returns null where the tables cannot be used */
  private run<T>(work: (client: Client) => Promise<T>): Promise<T | null> {
    return this.session.run(true, async (client) => (this.state.isUsable ? work(client) : null));
  }

  private async prepare(client: Client): Promise<void> {
    // Under another isolation, the look at the lease fails where it should wait. What was told must outlive a crash.
    await client.query(
      `SELECT set_config('default_transaction_isolation', 'read committed', false),
              CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'local', false) END`,
    );
    this.state = await ensureOwnTables(client, SCHEMA_TABLES);
    if (this.state.isUsable || this.isWarned) return;
    this.isWarned = true;
    this.options.logger.warn(
      'How tables are described cannot be recorded in the database, so that @OnSchemaChange does not hear of what is ' +
        `altered while no process of this service runs: ${this.state.reason}`,
    );
  }
}

function knownShape(row: Row, history: StreamHistory): KnownShape {
  const shape = JSON.parse(row.shape) as TableShape;
  const isHere = row.system_identifier === history.systemIdentifier && row.timeline === history.timeline;
  if (!isHere) return { shape, since: null };
  const commitLsn = parseLsn(row.commit_lsn);
  return { shape, since: { commitLsn, ...lsnParts(parseLsn(row.wal_lsn)), ordinal: Number(row.ordinal), history } };
}
