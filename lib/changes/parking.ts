import { asError } from '../errors/as-error.js';
import { ParkedFilterError } from '../errors/delivery.error.js';
import type { ParkedFilter } from '../interfaces/parked.interface.js';
import { WHOLE_TABLE, type ParkingRequest } from '../interfaces/parked-store.interface.js';
import { formatLsnParts } from '../protocol/lsn.js';
import { parseTableName, type ParsedTableName } from './table-pattern.js';

/** A filter that was looked at; null: any. */
export interface CheckedFilter {
  readonly ids: readonly string[] | null;
  readonly handler: string | null;
  readonly table: ParsedTableName | null;
  readonly limit: number;
}

const CONDITIONS = ['ids', 'handler', 'table', 'limit'];
const DEFAULT_LIMIT = 1000;
const LARGEST_ID = 2n ** 63n - 1n;
const LONGEST_ERROR = 10_000;

/** Never ask a database what a mistake means. @throws ParkedFilterError, TablePatternError */
export function checkFilter(filter: ParkedFilter): CheckedFilter {
  // What JavaScript hands in may be anything.
  const given: unknown = filter;
  if (given === null || typeof given !== 'object') refuse('is no object', "write { handler: 'Orders.onCreated' }.");
  const { ids, handler, table, limit } = filter;
  // A mistyped condition would mean "all", and discard would take everything.
  const unknown = Object.keys(filter).find((key) => !CONDITIONS.includes(key));
  if (unknown !== undefined) refuse(`has an unknown condition "${unknown}"`, `it takes ${CONDITIONS.join(', ')}.`);
  if (ids !== undefined && !(Array.isArray(ids) && ids.every(isId))) {
    refuse('has ids that are none', "ids are an array of numbers as text, as in `ParkedChange.id`: ['17', '18'].");
  }
  if (handler !== undefined && typeof handler !== 'string') {
    refuse('has a handler that is no text', "handler is a handler's id, such as 'Orders.onCreated'.");
  }
  if (table !== undefined && typeof table !== 'string') {
    refuse('has a table that is no text', "table is a name, such as 'orders' or 'billing.invoices'.");
  }
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    refuse('has a limit that is none', 'limit is a whole number above 0.');
  }
  return {
    ids: ids ?? null,
    handler: handler ?? null,
    table: table === undefined ? null : parseTableName(table),
    limit: limit ?? DEFAULT_LIMIT,
  };
}

/** Whether two changes of one table and handler must be handled in their order. */
export function keysOverlap(one: readonly string[], other: readonly string[]): boolean {
  if (one.length === 0 || other.length === 0) return false;
  if (one.includes(WHOLE_TABLE) || other.includes(WHOLE_TABLE)) return true;
  return one.some((key) => other.includes(key));
}

/** The same change for the same handler, in one history of the log: there, a position comes once. */
export function parkingIdentity({ handler, work }: ParkingRequest): string {
  const { transaction, walHigh, walLow, ordinal } = work;
  const time = transaction.commitTimestamp.getTime();
  return [handler, transaction.lsn, formatLsnParts(walHigh, walLow), ordinal, transaction.xid, time].join(' ');
}

/** What is kept of an error. Null bytes are removed: the server's text has none. */
export function parkedErrorText(error: Error): string {
  const { message, name } = asError(error);
  return (message || name).slice(0, LONGEST_ERROR).replaceAll('\0', '');
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && /^\d{1,19}$/.test(id) && BigInt(id) <= LARGEST_ID;
}

function refuse(problem: string, hint: string): never {
  throw new ParkedFilterError(`A filter of parked changes ${problem}`, { hint });
}
