// Not the global ones: a user's test that has put fake timers in must not hold a measurement up.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Client } from 'pg';
import { asError } from '../errors/as-error.js';
import { translateServerError } from '../connection/server-errors.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import type { SlotStats } from '../interfaces/slot-stats.interface.js';
import { parseLsn, type Lsn } from '../protocol/lsn.js';
import { StoreSession } from '../store/store-session.js';
import { SlotForecast, type SlotMeasurement } from './slot-forecast.js';

/** Connecting and asking together. A health check must not wait for a server that does not answer. */
const PATIENCE_MS = 3_000;
/** Between two scrapes or health checks the connection stays. */
const IDLE_MS = 20_000;
const DEFAULT_MAX_AGE_MS = 5_000;

interface MeasurementRow {
  at: string;
  wal_end: string;
  found: boolean;
  restart: string | null;
  confirmed: string | null;
  active: boolean | null;
  safe: string | null;
  inactive_since: string | null;
  /** In units of `idle_unit`; null: the server knows no such thing. */
  idle: string | null;
  idle_unit: string | null;
  invalidated: string | null;
}

/** One row whether there is a slot or not. `inactive_since` is told from 17 on, the timeout from 18 on. */
const MEASUREMENT = `
  SELECT extract(epoch FROM clock_timestamp())::text AS at,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS wal_end,
         s.slot_name IS NOT NULL AS found, s.restart_lsn::text AS restart, s.confirmed_flush_lsn::text AS confirmed,
         s.active, s.safe_wal_size::text AS safe,
         extract(epoch FROM (to_jsonb(s) ->> 'inactive_since')::timestamptz)::text AS inactive_since,
         i.setting AS idle, i.unit AS idle_unit,
         CASE WHEN s.wal_status = 'lost' THEN coalesce(to_jsonb(s) ->> 'invalidation_reason', 'wal_removed') END AS invalidated
    FROM (SELECT) AS one
    LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = $1
    LEFT JOIN pg_catalog.pg_settings i ON i.name = 'idle_replication_slot_timeout'`;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Asks the server about a slot, when somebody wants to know: on an ordinary connection of its own, one query at a time,
 * and not again as long as the last answer is fresh.
 */
export class SlotMonitor {
  private readonly session: StoreSession;
  private readonly forecast = new SlotForecast();
  private asking: Promise<void> | undefined;
  private askedAt = -Infinity;
  private found: SlotStats | null = null;
  private reason: string | null = null;

  /** @param slotName asked each time: a temporary slot has another name on each connection */
  constructor(
    private readonly target: ConnectionTarget,
    private readonly slotName: () => string,
  ) {
    this.session = new StoreSession(target, { prepare: () => Promise.resolve(), idleMs: IDLE_MS });
  }

  /** As it was measured last; null: never, or in vain, or there is no slot. */
  get stats(): SlotStats | null {
    return this.found;
  }
  /** Why it is null, where the server was asked. */
  get problem(): string | null {
    return this.reason;
  }

  /** Measures, where the last measurement is older than that. Never rejects. */
  async measure(maxAgeMs = DEFAULT_MAX_AGE_MS): Promise<void> {
    if (this.asking === undefined && performance.now() - this.askedAt < maxAgeMs) return;
    this.asking ??= this.ask().finally(() => {
      this.askedAt = performance.now();
      this.asking = undefined;
    });
    await this.asking;
  }

  async close(): Promise<void> {
    await this.session.close();
    await this.asking;
    this.found = this.reason = null;
    this.askedAt = -Infinity;
  }

  private async ask(): Promise<void> {
    let isLate = false;
    const impatient = setTimeout(() => {
      isLate = true;
      void this.session.close();
    }, PATIENCE_MS);
    try {
      const row = await this.session.run(true, (client) => this.read(client));
      this.found = row.found ? this.forecast.add(measurementOf(this.slotName(), row)) : null;
      this.reason = row.found ? null : `there is no slot "${this.slotName()}"`;
    } catch (error) {
      this.found = null;
      this.reason = isLate
        ? `no answer within ${PATIENCE_MS} ms`
        : asError(translateServerError(error, this.target)).message;
    } finally {
      clearTimeout(impatient);
    }
  }

  private async read(client: Client): Promise<MeasurementRow> {
    const { rows } = await client.query<MeasurementRow>(MEASUREMENT, [this.slotName()]);
    return rows[0]!;
  }
}

function measurementOf(name: string, row: MeasurementRow): SlotMeasurement {
  return {
    name,
    atMs: Number(row.at) * 1000,
    walEnd: parseLsn(row.wal_end),
    restart: lsnOf(row.restart),
    confirmed: lsnOf(row.confirmed),
    isActive: row.active === true,
    safeBytes: row.safe === null ? null : Number(row.safe),
    inactiveSinceMs: row.inactive_since === null ? null : Number(row.inactive_since) * 1000,
    idleTimeoutMs: row.idle === null ? 0 : Number(row.idle) * (UNIT_MS[row.idle_unit ?? 's'] ?? 1_000),
    invalidated: row.invalidated,
  };
}

function lsnOf(text: string | null): Lsn | null {
  return text === null ? null : parseLsn(text);
}
