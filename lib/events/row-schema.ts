import type { Insert, RowChange, Update } from '../changes/change.js';
import { asError } from '../errors/as-error.js';
import { RowSchemaError } from '../errors/handler.error.js';
import type { HandlerMethod } from '../interfaces/handler-definition.interface.js';
import type {
  StandardSchemaIssue,
  StandardSchemaResult,
  StandardSchemaV1,
} from '../interfaces/standard-schema.interface.js';
import { isPromise, settledResult } from './settled-result.js';

/** An item of an array: as the handler gets it, or why it does not. */
type Checked = { readonly change: unknown } | { readonly error: Error };

/**
 * Puts a schema before a handler: the row of an insert or update is validated, and what the schema makes of it is the
 * `record` that the handler gets. Deletes and truncates pass. A synchronous schema costs no promise.
 *
 * @param parks a row that does not fit is parked: what has its key must not overtake it within an array
 */
export function withSchema(
  schema: StandardSchemaV1,
  isBatch: boolean,
  method: HandlerMethod,
  parks = false,
): HandlerMethod {
  if (isBatch) return batchWithSchema(schema, method, parks);
  return function (payload, context) {
    const change = validated(schema, payload);
    return isPromise(change)
      ? change.then((each) => method.call(this, each, context))
      : method.call(this, change, context);
  };
}

/** Items that do not fit have failed, each for itself; the handler gets the others. */
function batchWithSchema(schema: StandardSchemaV1, method: HandlerMethod, parks: boolean): HandlerMethod {
  return function (payload, context) {
    const checks = (payload as readonly unknown[]).map((each) => checked(schema, each));
    const call = (all: readonly Checked[]): unknown => {
      const items = parks ? heldBack(all) : all;
      const fitting = items.flatMap((item) => ('change' in item ? [item.change] : []));
      if (fitting.length === items.length) return method.call(this, fitting, context);
      if (fitting.length === 0) return resultsOf(items, undefined, 0);
      const result = settledResult(method.call(this, fitting, context));
      const merge = (value: unknown): unknown => resultsOf(items, value, fitting.length);
      return isPromise(result) ? result.then(merge) : merge(result);
    };
    return checks.some(isPromise) ? Promise.all(checks).then(call) : call(checks as Checked[]);
  };
}

/** From the first that does not fit, all have failed: they are tried one by one then, and each sees what is parked by then. */
function heldBack(items: readonly Checked[]): readonly Checked[] {
  const first = items.find((item) => 'error' in item);
  if (first === undefined) return items;
  const at = items.indexOf(first);
  return items.map((item, index) => (index < at || 'error' in item ? item : first));
}

/** What the handler says of those that it got, in the places of all. */
function resultsOf(items: readonly Checked[], value: unknown, fitting: number): unknown[] {
  const results = Array.isArray(value) && value.length === fitting ? (value as unknown[]) : [];
  let next = 0;
  return items.map((item) => ('error' in item ? { status: 'rejected', reason: item.error } : results[next++]));
}

function checked(schema: StandardSchemaV1, payload: unknown): Checked | Promise<Checked> {
  const failed = (thrown: unknown): Checked => ({ error: asError(thrown) });
  try {
    const change = validated(schema, payload);
    return isPromise(change) ? change.then((each) => ({ change: each }), failed) : { change };
  } catch (error) {
    return failed(error);
  }
}

/** @throws RowSchemaError, or what the schema throws; a promise of an asynchronous schema rejects with it */
function validated(schema: StandardSchemaV1, payload: unknown): unknown {
  const change = payload as RowChange;
  if (change.operation !== 'insert' && change.operation !== 'update') return change;
  const result = settledResult(schema['~standard'].validate(change.record));
  return isPromise(result)
    ? result.then((each) => withRow(change, each as StandardSchemaResult<unknown>))
    : withRow(change, result as StandardSchemaResult<unknown>);
}

function withRow(change: Insert | Update, result: StandardSchemaResult<unknown>): Insert | Update {
  if (result.issues !== undefined) throw rowError(change, result.issues);
  return result.value === change.record ? change : change.withRecord(result.value as Insert['record']);
}

function rowError(change: Insert | Update, issues: readonly StandardSchemaIssue[]): Error {
  const { schema, table } = change;
  const unchangedToast = change.operation === 'update' ? change.unchangedToast : [];
  const columns = [...new Set(issues.flatMap(({ path }) => columnOf(path)))];
  const unsent = columns.filter((column) => unchangedToast.includes(column));
  const hint =
    unsent.length === 0
      ? 'mend the schema, or the row by another update. Parked changes are tried again with listener.parked.retry().'
      : `the server does not send large columns that an update leaves as they are (${unsent.join(', ')}): let the schema do without them, set \`toast: 'reread'\`, or ALTER TABLE ${quoted(schema)}.${quoted(table)} REPLICA IDENTITY FULL;`;
  return new RowSchemaError(`${schema}.${table}`, columns, issues, hint);
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** The first part of a path only: what follows are keys within a value. */
function columnOf(path: StandardSchemaIssue['path']): string[] {
  const first = path?.[0];
  if (first === undefined) return [];
  return [String(typeof first === 'object' ? first.key : first)];
}
