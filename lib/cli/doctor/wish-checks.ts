import { escapeIdentifier, type Client } from 'pg';
import { canonicalTable, TablePattern } from '../../changes/table-pattern.js';
import { DatabaseTypes } from '../../connection/database-types.js';
import type { ConnectionTarget } from '../../connection/connection-target.js';
import { requireOrigins, requireTwoPhase } from '../../connection/server-facts.js';
import { binaryRefusal, refusalText } from '../../decoder/binary/column-reader.js';
import { PgListenerError } from '../../errors/pg-listener.error.js';
import { sqlName, type TableRow } from '../../publications/publication-plan.js';
import { findFailoverFaults, readFailoverFacts, requireFailover, STANDBY_NEEDS } from '../../slots/failover.js';
import { SlotManager } from '../../slots/slot-manager.js';
import { missingOriginRights } from '../../store/effects/session-origins.js';
import type { TextParser } from '../../types/type-parsers.js';
import { byOwner, bySuperuser, fault, namesText, ok, type Finding } from './finding.js';
import type { ServerSurvey } from './server-survey.js';
import { settingMend } from './setting-mend.js';
import { wishText, type Wish } from './wishes.js';

/** What is looked at, besides what is wished for. */
export interface WishedOf {
  readonly client: Client;
  readonly listener: ConnectionTarget;
  readonly survey: ServerSurvey;
  /** Those that are to be listened to. */
  readonly tables: readonly TableRow[];
  /** Type parsers of the listener's own, by type. */
  readonly parsers: Readonly<Record<string, TextParser>>;
}

const SILENT = { log: () => undefined, warn: () => undefined, error: () => undefined };

/** Whether the server can do what these options ask for, and what they would cost here. */
export async function checkWishes(wishes: ReadonlySet<Wish>, of: WishedOf): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (wishes.has('streaming')) findings.push(checkStreaming(of.survey));
  if (wishes.has('twoPhase')) findings.push(checkTwoPhase(of));
  if (wishes.has('binary')) findings.push(await checkBinary(of, wishes.has('rich')));
  if (wishes.has('toast')) findings.push(await checkToast(of));
  if (wishes.has('origin')) findings.push(await checkOrigin(of));
  if (wishes.has('failover')) findings.push(...(await checkFailover(of)));
  return findings;
}

/** The slot that the listener is to have, as its start would look at it. */
export async function checkOwnSlot(
  client: Client,
  listener: ConnectionTarget,
  name: string,
  wishes: ReadonlySet<Wish>,
): Promise<Finding> {
  const why = 'a listener that is given this slot hears nothing.';
  try {
    const slot = await new SlotManager(listener, name, wishes.has('twoPhase')).inspect(client);
    if (slot === null) return ok('own-slot', `There is no slot "${name}" yet: the listener makes it`);
    if (slot.invalidated !== null) {
      return fault('error', 'own-slot', `The slot "${name}" is lost (${slot.invalidated})`, why, [
        { step: 'its listener halts and tells of a gap: mend what is missing, and acknowledge it (docs/delivery.md)' },
      ]);
    }
    if (slot.holder === null) return ok('own-slot', `The slot "${name}" is there, and free`);
    const what = `The slot "${name}" is being read by ${slot.holder}`;
    return fault('warning', 'own-slot', what, 'a listener stands by until that one ends.', [
      { step: 'if that is another process of the same service, nothing; else choose another `slot` name' },
    ]);
  } catch (error) {
    return refusal('own-slot', error, why);
  }
}

function checkStreaming({ settings }: ServerSurvey): Finding {
  const memory = settings.get('logical_decoding_work_mem')!.value;
  return ok(
    'streaming',
    `Transactions of more than ${memory} come while they are in progress (logical_decoding_work_mem)`,
  );
}

function checkTwoPhase({ survey, listener }: WishedOf): Finding {
  try {
    requireTwoPhase(survey.version, listener);
  } catch (error) {
    return refusal('two-phase', error, 'a listener with this option does not start.');
  }
  const most = survey.settings.get('max_prepared_transactions')!.value;
  if (most !== '0') return ok('two-phase', `Up to ${most} transactions can be prepared (max_prepared_transactions)`);
  return fault(
    'warning',
    'two-phase',
    'No transaction can be prepared here (max_prepared_transactions is 0)',
    `${wishText('twoPhase')} brings nothing then, and ties the slot to it.`,
    settingMend(survey, 'max_prepared_transactions', '64', true),
  );
}

const COLUMNS = `
  SELECT n.nspname || '.' || c.relname AS table, a.attname AS column, a.atttypid::text AS oid
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.oid = ANY ($1::oid[])
   ORDER BY n.nspname, c.relname, a.attnum`;

/** With the parsers of node-postgres as they are in this process, and those that were given. */
async function checkBinary({ client, tables, parsers }: WishedOf, rich: boolean): Promise<Finding> {
  const oids = tables.map(({ oid }) => oid);
  const { rows } = await client.query<{ table: string; column: string; oid: string }>(COLUMNS, [oids]);
  const known = new DatabaseTypes({ customTypes: undefined, rich, parsers }, SILENT);
  const types = await known.readFor(
    client,
    rows.map(({ oid }) => Number(oid)),
  );
  const refusals = rows.flatMap(({ table, column, oid }) => {
    const reason = binaryRefusal(Number(oid), types);
    return reason === undefined ? [] : [refusalText(table, column, reason)];
  });
  if (refusals.length === 0) return ok('binary', 'All columns can come in the binary format');
  return fault(
    'warning',
    'binary',
    `Not in the binary format: ${namesText(refusals)}`,
    'with the first row of such a table, all of the app goes on in text.',
    [{ step: `leave ${wishText('binary')} out, or leave these tables to another app` }],
  );
}

/** What is read again is read as the role. */
async function checkToast({ client, survey, tables }: WishedOf): Promise<Finding> {
  const { rows } = await client.query<{ oid: string; schema: string; usage: boolean }>(
    `SELECT c.oid::text AS oid, c.relnamespace::regnamespace::text AS schema,
            has_schema_privilege(c.relnamespace, 'USAGE') AS usage
       FROM pg_catalog.pg_class c
      WHERE c.oid = ANY ($1::oid[])
        AND NOT (has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))`,
    [tables.map(({ oid }) => oid)],
  );
  if (rows.length === 0) return ok('toast', 'The role may read large values again');
  const closed = new Set(rows.map(({ oid }) => oid));
  const unread = tables.filter(({ oid }) => closed.has(oid));
  const role = escapeIdentifier(survey.role.name);
  const schemas = new Set(rows.filter(({ usage }) => !usage).map(({ schema }) => schema));
  return fault(
    'warning',
    'toast',
    `The role ${role} may not read ${namesText(unread.map(({ schema, table }) => canonicalTable(schema, table)))}`,
    `large values that an update does not touch stay away then, with ${wishText('toast')} or without.`,
    byOwner(
      ...[...schemas].map((schema) => `GRANT USAGE ON SCHEMA ${schema} TO ${role};`),
      `GRANT SELECT ON ${unread.map(sqlName).join(', ')} TO ${role};`,
    ),
  );
}

async function checkOrigin({ client, listener, survey }: WishedOf): Promise<Finding> {
  try {
    requireOrigins(survey.version, listener);
  } catch (error) {
    return refusal('origin', error, 'a listener with this option does not start.');
  }
  const grants = await missingOriginRights(client);
  if (grants.length === 0) return ok('origin', 'What transactional handlers write can bear an origin');
  const what = `The role ${escapeIdentifier(survey.role.name)} may not mark what it writes`;
  return fault('error', 'origin', what, 'transactional handlers fail with this option then.', bySuperuser(...grants));
}

async function checkFailover({ client, listener, survey }: WishedOf): Promise<Finding[]> {
  try {
    requireFailover(survey.version, listener);
  } catch (error) {
    return [refusal('failover', error, 'a listener with this option does not start.')];
  }
  const faults = findFailoverFaults(await readFailoverFacts(client));
  if (faults.length === 0) return [ok('failover', STANDBY_NEEDS)];
  return faults.map(({ what, sql, step }) =>
    fault('warning', 'failover', what, `${wishText('failover')} is for a promotion that loses nothing.`, [
      ...bySuperuser(...sql),
      ...(step === null ? [] : [{ step }]),
    ]),
  );
}

/** An error of the listener's own, whose hint is the mend. */
function refusal(check: string, error: unknown, why: string): Finding {
  if (!(error instanceof PgListenerError)) throw error;
  const { message, hint } = error;
  return fault('error', check, message.split('\n')[0]!, why, hint === undefined ? [] : [{ step: hint }]);
}

/** Of patterns. */
export function wantedTables(tables: readonly TableRow[], patterns: readonly string[]): TableRow[] {
  const pattern = new TablePattern(patterns);
  return tables.filter(({ schema, table }) => pattern.matches(schema, table));
}
