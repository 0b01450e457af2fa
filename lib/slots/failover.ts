import { escapeIdentifier, type Client } from 'pg';
import { ServerSetupError, SlotInUseError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import { describeTarget, type ConnectionTarget } from '../connection/connection-target.js';

const FIRST_VERSION = 170_000;

/** @throws ServerSetupError where the server cannot synchronise a slot to its standbys */
export function requireFailover(version: number, target: ConnectionTarget): void {
  if (version >= FIRST_VERSION) return;
  throw new ServerSetupError(
    `\`slot.failover\` needs PostgreSQL 17; ${describeTarget(target)} is ${Math.floor(version / 10_000)}`,
    {
      app: target.app,
      hint:
        'leave it out, or upgrade the server. Without it a promoted standby has no such slot, and the app reports a gap ' +
        'after the promotion.',
    },
  );
}

/** Has an existing slot synchronised, on the replication connection. */
export async function enableFailover(replication: Client, slotName: string, app: string): Promise<void> {
  try {
    await replication.query(`ALTER_REPLICATION_SLOT ${escapeIdentifier(slotName)} (FAILOVER true)`);
  } catch (cause) {
    if (sqlState(cause) !== '55006') throw cause;
    throw new SlotInUseError(`The slot "${slotName}" is in use`, { app, cause });
  }
}

interface PhysicalSlot {
  readonly name: string;
  readonly active: boolean;
  /** Without hot_standby_feedback a standby holds no xmin. */
  readonly hasXmin: boolean;
}

/** The primary's side of what a failover slot needs. */
export interface FailoverFacts {
  readonly synchronizedStandbySlots: string;
  readonly physicalSlots: readonly PhysicalSlot[];
}

/** What the standby needs and the primary cannot tell of. */
export const STANDBY_NEEDS =
  'The slot is synchronised to a standby that has sync_replication_slots = on, hot_standby_feedback = on, a ' +
  'primary_slot_name, and a dbname in primary_conninfo; the primary cannot tell. On the standby: SELECT slot_name, synced, ' +
  'temporary FROM pg_replication_slots; must show the slot, not temporary, before a failover loses nothing';

export async function readFailoverFacts(client: Client): Promise<FailoverFacts> {
  const { rows } = await client.query<{ setting: string; slots: string }>(
    `SELECT current_setting('synchronized_standby_slots') AS setting,
            (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'active', active, 'hasXmin', xmin IS NOT NULL)
                      ORDER BY slot_name), '[]')::text
               FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary) AS slots`,
  );
  const { setting, slots } = rows[0]!;
  return { synchronizedStandbySlots: setting, physicalSlots: JSON.parse(slots) as PhysicalSlot[] };
}

/** What is missing on the primary, and what mends it. */
export interface FailoverFault {
  readonly what: string;
  /** Statements for the primary. */
  readonly sql: readonly string[];
  /** What no statement on the primary can do; with statements, it stands behind them. */
  readonly step: string | null;
}

/** What is missing on the primary, each with its mend, in one line. */
export function failoverFaults(facts: FailoverFacts): string[] {
  return findFailoverFaults(facts).map(({ what, sql, step }) => `${what}. ${[...sql, step ?? ''].join(' ').trimEnd()}`);
}

/** Pure. */
export function findFailoverFaults({ synchronizedStandbySlots, physicalSlots }: FailoverFacts): FailoverFault[] {
  const named = synchronizedStandbySlots
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '' && name !== '*');
  const faults: FailoverFault[] = [];
  if (physicalSlots.length === 0) {
    faults.push({
      what: 'no standby could take the slot over: there is no physical slot',
      sql: ["SELECT pg_create_physical_replication_slot('standby_1');"],
      step: "and on the standby primary_slot_name = 'standby_1'",
    });
  } else if (synchronizedStandbySlots.trim() === '') {
    const names = physicalSlots.map(({ name }) => name).join(',');
    faults.push({
      what: 'synchronized_standby_slots is empty: handlers may see changes that no standby has yet, and that a failover loses',
      sql: [`ALTER SYSTEM SET synchronized_standby_slots = '${names}';`, 'SELECT pg_reload_conf();'],
      step: null,
    });
  }
  for (const name of named) {
    const slot = physicalSlots.find((each) => each.name === name);
    if (slot === undefined) {
      faults.push({
        what: `synchronized_standby_slots names "${name}", and there is no such physical slot: nothing is sent before there is`,
        sql: [`SELECT pg_create_physical_replication_slot('${name}');`],
        step: 'or take it out of the setting',
      });
    } else if (!slot.active) {
      faults.push({
        what: `synchronized_standby_slots names "${name}", and no standby streams from it: nothing is sent before one does`,
        sql: [],
        step: 'Start the standby, or take the slot out of the setting',
      });
    }
  }
  for (const { name } of physicalSlots.filter(({ active, hasXmin }) => active && !hasXmin)) {
    faults.push({
      what: `the standby on the slot "${name}" seems to have hot_standby_feedback off, and then synchronises no slots`,
      sql: [],
      step: 'On the standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();',
    });
  }
  return faults;
}
