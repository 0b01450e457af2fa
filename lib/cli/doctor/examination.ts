import type { Client } from 'pg';
import { TablePattern } from '../../changes/table-pattern.js';
import { closeClient, connectPlain } from '../../connection/connection.js';
import { applicationName, type ConnectionTarget } from '../../connection/connection-target.js';
import { translateServerError } from '../../connection/server-errors.js';
import { PgListenerError } from '../../errors/pg-listener.error.js';
import { PublicationManager } from '../../publications/publication-manager.js';
import { readTables, type ColumnNeeds, type TableRow } from '../../publications/publication-plan.js';
import { OperationBit } from '../../changes/change.js';
import { publishable, readOwnedTables, readPublications } from '../publication-survey.js';
import type { TextParser } from '../../types/type-parsers.js';
import { readSlots } from '../slots/slot-list.js';
import { durationText } from '../text-table.js';
import { checkCreateRight, checkPooler, checkProtocol, checkReplicationRight, unreachable } from './access-checks.js';
import { checkNeeds } from './column-checks.js';
import { fault, ok, type Finding } from './finding.js';
import {
  checkEncoding,
  checkIdleTimeout,
  checkKeepSize,
  checkRoom,
  checkStandby,
  checkSynchronousStandby,
  checkVersion,
  checkWalLevel,
  tellTuning,
} from './server-checks.js';
import { surveyServer, tryReplication, type ServerSurvey } from './server-survey.js';
import { checkSlots, easedBySlot } from './slot-checks.js';
import { checkIdentity, checkListened, checkOwnership, tellPublications } from './table-checks.js';
import { checkOwnSlot, checkWishes, wantedTables } from './wish-checks.js';
import type { Wish } from './wishes.js';
import { checkTransactions, readLongTransactions, readPrepared } from './transaction-checks.js';

/** What the examined service would be asked for. */
export interface Examinee {
  /** What a listener would connect with, its application_name included. */
  readonly listener: ConnectionTarget;
  /** Publications that are to be given to it. */
  readonly publications: readonly string[];
  /** The slot that it is to have; undefined: not looked at. */
  readonly slot: string | undefined;
  /** Options that it is to have. */
  readonly wishes: ReadonlySet<Wish>;
  /** Type parsers that it is to have. */
  readonly parsers: Readonly<Record<string, TextParser>>;
  /** What handlers ask of columns; undefined: nothing. */
  readonly needs: ColumnNeeds | undefined;
  /** Patterns of the tables that it is to hear of. */
  readonly tables: readonly string[];
}

/** Looks at everything, changes nothing. Never rejects for what is wrong with the server: that is a finding. */
export async function examine(target: ConnectionTarget, examinee: Examinee): Promise<Finding[]> {
  let client: Client | undefined;
  try {
    client = await connectPlain(target);
    return await examineWith(client, target, examinee);
  } catch (error) {
    if (client === undefined && error instanceof PgListenerError) return [unreachable(error)];
    throw translateServerError(error, target);
  } finally {
    await closeClient(client);
  }
}

async function examineWith(client: Client, target: ConnectionTarget, examinee: Examinee): Promise<Finding[]> {
  const survey = await surveyServer(client);
  const version = checkVersion(survey);
  // What follows asks for what an older server does not have.
  if (version.level === 'error') return [version];
  const slots = await readSlots(client);
  const own = slots.find(({ name }) => name === examinee.slot);
  const room = easedBySlot(own, checkRoom(survey, slots.length));
  return [
    version,
    checkWalLevel(survey),
    ...checkStandby(survey),
    ...room,
    ...(await examineAccess(survey, room, target)),
    checkKeepSize(survey),
    ...checkIdleTimeout(survey),
    ...checkSynchronousStandby(survey, applicationName(examinee.listener)),
    ...checkEncoding(survey),
    ...checkSlots(slots, survey),
    ...easedBySlot(
      own,
      checkTransactions(await readLongTransactions(client), await readPrepared(client), durationText),
    ),
    ...(await examineTables(client, survey, examinee)),
    tellTuning(survey),
  ];
}

async function examineAccess(
  survey: ServerSurvey,
  room: readonly Finding[],
  target: ConnectionTarget,
): Promise<Finding[]> {
  const isFull = room.some(({ check, level }) => check === 'free-senders' && level === 'error');
  const right = checkReplicationRight(survey);
  const error = isFull || right.level === 'error' ? undefined : await tryReplication(target);
  return [right, ...checkProtocol(error), ...checkPooler(survey)];
}

async function examineTables(client: Client, survey: ServerSurvey, examinee: Examinee): Promise<Finding[]> {
  const tables = await readTables(client);
  const publications = await readPublications(client);
  const owned = await readOwnedTables(client);
  return [
    ...checkCreateRight(survey, publications.length > 0),
    ...checkListened(tables, examinee.tables),
    ...checkOwnership(tables, publications, owned, survey, examinee),
    ...checkIdentity(tables, publications, survey.version),
    ...tellPublications(tables, publications),
    ...(await examineOwn(client, examinee)),
    ...(await examineWishes(client, survey, tables, examinee)),
  ];
}

async function examineWishes(
  client: Client,
  survey: ServerSurvey,
  all: readonly TableRow[],
  { listener, slot, wishes, parsers, needs, publications, tables: patterns }: Examinee,
): Promise<Finding[]> {
  const tables = wantedTables(publishable(all), patterns);
  const own = slot === undefined ? [] : [await checkOwnSlot(client, listener, slot, wishes)];
  const needed =
    needs === undefined ? [] : await checkNeeds(client, needs, { tables, publications, slot: slot ?? 'slot' });
  return [...own, ...needed, ...(await checkWishes(wishes, { client, listener, survey, tables, parsers }))];
}

/** The publications that the service is to be given, held against the tables that it is to hear of: as its boot does. */
async function examineOwn(client: Client, { listener, publications, tables }: Examinee): Promise<Finding[]> {
  if (publications.length === 0) return [];
  const mask = Object.values(OperationBit).reduce((all, bit) => all | bit, 0);
  const subscriptions = [{ pattern: new TablePattern(tables), mask, source: '--table' }];
  const warnings: string[] = [];
  const logger = { log: () => undefined, warn: (text: string) => void warnings.push(text), error: () => undefined };
  const manager = new PublicationManager(listener, { publications, managedName: '', subscriptions }, logger);
  const why = 'a listener that is given these publications would wait for changes that never come.';
  try {
    await manager.ensure(client);
    if (warnings.length === 0) return [ok('given-publications', `${publications.join(', ')} carry what is asked for`)];
    return warnings.map((warning) => fault('warning', 'given-publications', warning, why, []));
  } catch (error) {
    if (!(error instanceof PgListenerError)) throw error;
    const mend = error.hint === undefined ? [] : [{ step: error.hint }];
    return [fault('error', 'given-publications', error.message.split('\n  How to mend it')[0]!, why, mend)];
  }
}
