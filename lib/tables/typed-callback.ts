import type { RowChange } from '../changes/change.js';
import { tableKey } from '../changes/transaction.js';
import type { HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type { RowsOfClass } from './resolved-table.js';
import type { RowMapping } from './row-mapping.js';

/** What is to be done with the changes of one table before a handler gets them. */
export interface TableTyping {
  readonly mapping: RowMapping | null;
  /** Rows of other classes are not for the handler. */
  readonly only: RowsOfClass | null;
}

export interface TableTypings {
  /** By `tableKey`. */
  readonly byTable: ReadonlyMap<string, TableTyping>;
  /** Undefined: the handler gets them as they are. */
  readonly others: TableTyping | undefined;
}

/** The handler's method, for changes that are mapped, or of which some are not meant. */
export function typedCallback(callback: HandlerMethod, typings: TableTypings): HandlerMethod {
  const { byTable, others } = typings;
  const typingOf = (change: RowChange): TableTyping | undefined => byTable.get(tableKey(change.relation)) ?? others;
  return function (this: object, payload, context) {
    if (Array.isArray(payload)) return callBatch(callback.bind(this), payload as RowChange[], context, typingOf);
    const change = payload as RowChange;
    const typing = typingOf(change);
    if (typing === undefined) return callback.call(this, change, context);
    if (!isMeant(change, typing)) return undefined;
    return callback.call(this, typing.mapping?.map(change) ?? change, context);
  };
}

function callBatch(
  callback: (payload: unknown, context: unknown) => unknown,
  changes: readonly RowChange[],
  context: unknown,
  typingOf: (change: RowChange) => TableTyping | undefined,
): unknown {
  const given: RowChange[] = [];
  const places: number[] = [];
  for (const [index, change] of changes.entries()) {
    const typing = typingOf(change);
    if (typing !== undefined && !isMeant(change, typing)) continue;
    places.push(index);
    given.push(typing?.mapping?.map(change) ?? change);
  }
  if (given.length === 0) return undefined;
  const result = callback(given, context);
  if (given.length === changes.length) return result;
  const spread = (results: unknown): unknown => spreadOut(results, places, changes.length);
  return isThenable(result) ? Promise.resolve(result).then(spread) : spread(result);
}

/** What a handler says of each item is told by its place: of those that it was given, to those that were there. */
function spreadOut(results: unknown, places: readonly number[], length: number): unknown {
  if (!Array.isArray(results) || results.length !== places.length) return results;
  const all: unknown[] = Array.from({ length });
  for (const [index, place] of places.entries()) all[place] = results[index];
  return all;
}

/** Where the server does not tell whose row it was, it may be one that is meant. */
function isMeant(change: RowChange, { only }: TableTyping): boolean {
  if (only === null || change.operation === 'truncate') return true;
  const row = change.operation === 'delete' ? change.oldRecord : change.record;
  if (row === null || !Object.hasOwn(row, only.column)) return true;
  return only.values.has(String(row[only.column]));
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
