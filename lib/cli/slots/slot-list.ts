import type { Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { sqlState } from '../../errors/sql-state.js';
import { REFUSALS } from '../../store/own-tables.js';
import { readWalRate } from '../wal-rate.js';

/** A replication slot of the server, of whatever database and kind. */
export interface ListedSlot {
  readonly name: string;
  /** Null: a physical slot. */
  readonly plugin: string | null;
  /** Null: a physical slot. */
  readonly database: string | null;
  readonly temporary: boolean;
  readonly active: boolean;
  /** Who reads from it; null: nobody, or the role may not see who. */
  readonly activePid: number | null;
  readonly application: string | null;
  /** Bytes of write-ahead log that the server keeps for it; null: none, or it cannot be told. */
  readonly retainedBytes: number | null;
  /** `reserved`, `extended`, `unreserved` or `lost` (manual, section 52.24); null: it keeps nothing. */
  readonly walStatus: string | null;
  /** Bytes until the server gives it up; null: no limit is set, or it is lost. */
  readonly safeBytes: number | null;
  /**
   * Seconds until the server gives it up, if nobody reads from it: by `max_slot_wal_keep_size` at the average rate of writing,
   * or by `idle_replication_slot_timeout`, whichever comes first. 0: at the next checkpoint. Null: neither is to be foreseen.
   */
  readonly givenUpInSeconds: number | null;
  /** Why it cannot be read any more; told from PostgreSQL 16 on. */
  readonly invalidation: string | null;
  /** Seconds since somebody read from it; null: somebody does, or the server (before 17) does not tell. */
  readonly idleSeconds: number | null;
  readonly confirmedLsn: string | null;
  readonly restartLsn: string | null;
  /** A copy that a standby keeps of a slot of its primary. */
  readonly synced: boolean;
  /** What is recorded of it in this database; null: it is not one of ours, or the records cannot be read. */
  readonly owner: SlotOwnerRecord | null;
}

export interface SlotOwnerRecord {
  readonly service: string | null;
  readonly app: string;
  /** Seconds since a position was last recorded. */
  readonly recordedSecondsAgo: number;
}

/** Columns that only some versions have are read through JSON: one query for all of them. */
const SLOTS = `
  SELECT s.slot_name AS name, s.plugin, s.database, s.temporary, s.active, s.active_pid::text AS pid,
         a.application_name AS application, s.wal_status AS "walStatus", s.safe_wal_size::text AS safe,
         pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                         s.restart_lsn)::text AS retained,
         s.confirmed_flush_lsn::text AS confirmed, s.restart_lsn::text AS restart,
         coalesce(j ->> 'invalidation_reason', CASE WHEN (j ->> 'conflicting')::boolean THEN 'conflicting' END,
                  CASE WHEN s.wal_status = 'lost' THEN 'wal_removed' END) AS invalidation,
         extract(epoch FROM now() - (j ->> 'inactive_since')::timestamptz)::text AS idle,
         extract(epoch FROM current_setting('idle_replication_slot_timeout', true)::interval)::text AS "idleLimit",
         coalesce((j ->> 'synced')::boolean, false) AS synced
    FROM pg_catalog.pg_replication_slots s
    CROSS JOIN LATERAL to_jsonb(s) AS j
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
   ORDER BY s.slot_name`;

const OWNERS = `
  SELECT slot_name AS name, service, app, extract(epoch FROM now() - recorded_at)::text AS seconds
    FROM ${OWN_SCHEMA}.slots`;

interface SlotRow {
  name: string;
  plugin: string | null;
  database: string | null;
  temporary: boolean;
  active: boolean;
  pid: string | null;
  application: string | null;
  walStatus: string | null;
  safe: string | null;
  retained: string | null;
  confirmed: string | null;
  restart: string | null;
  invalidation: string | null;
  idle: string | null;
  /** 0: none. Null: not known before 18. */
  idleLimit: string | null;
  synced: boolean;
}

/** All slots of the server, by name. */
export async function readSlots(client: Client): Promise<ListedSlot[]> {
  const { rows } = await client.query<SlotRow>(SLOTS);
  const owners = await readOwners(client);
  const walRate = await readWalRate(client);
  return rows.map((row) => ({
    name: row.name,
    plugin: row.plugin,
    database: row.database,
    temporary: row.temporary,
    active: row.active,
    activePid: numberOf(row.pid),
    application: row.application === '' ? null : row.application,
    retainedBytes: row.retained === null ? null : Math.max(0, Number(row.retained)),
    walStatus: row.walStatus,
    safeBytes: numberOf(row.safe),
    givenUpInSeconds: givenUpIn(row, walRate),
    invalidation: row.invalidation,
    idleSeconds: row.active || row.idle === null ? null : Math.max(0, Number(row.idle)),
    confirmedLsn: row.confirmed,
    restartLsn: row.restart,
    synced: row.synced,
    owner: owners.get(row.name) ?? null,
  }));
}

function givenUpIn(
  { safe, invalidation, idle, idleLimit, active, synced }: SlotRow,
  walRate: number | null,
): number | null {
  if (invalidation !== null) return null;
  const limit = Number(idleLimit ?? 0);
  const times = [
    ...(safe === null || walRate === null ? [] : [Number(safe) / walRate]),
    ...(limit === 0 || idle === null || active || synced ? [] : [limit - Number(idle)]),
  ];
  return times.length === 0 ? null : Math.max(0, Math.min(...times));
}

/** Empty where no application of ours has ever run in this database, or the role may not read. */
async function readOwners(client: Client): Promise<Map<string, SlotOwnerRecord>> {
  try {
    const { rows } = await client.query<{ name: string; service: string | null; app: string; seconds: string }>(OWNERS);
    return new Map(
      rows.map(({ name, service, app, seconds }) => [name, { service, app, recordedSecondsAgo: Number(seconds) }]),
    );
  } catch (error) {
    if (REFUSALS.has(sqlState(error))) return new Map();
    throw error;
  }
}

function numberOf(text: string | null): number | null {
  return text === null ? null : Number(text);
}

/** `service "shop", app "default"`. */
export function ownerText({ service, app }: SlotOwnerRecord): string {
  return service === null ? `app "${app}"` : `service "${service}", app "${app}"`;
}
