import type { RowChange } from '../changes/change.js';
import { WHOLE_TABLE } from '../interfaces/parked-store.interface.js';

type Row = Readonly<Record<string, unknown>>;

const WHOLE: readonly string[] = [WHOLE_TABLE];

/**
 * Which rows a change is of, by the values of the key columns as text: one key, two where the change moved its row from
 * one key to another, `WHOLE_TABLE` where it is of all rows or does not tell. Equal rows have equal keys; where two keys
 * are one text by accident, more is kept in order than need be.
 *
 * @param columns null: what the server sends does not tell rows apart
 */
export function keysOf(change: RowChange, columns: readonly string[] | null): readonly string[] {
  if (columns === null) return WHOLE;
  switch (change.operation) {
    case 'truncate':
      return WHOLE;
    case 'insert':
      return single(keyText(change.record, columns));
    case 'delete':
      return single(keyText(change.oldRecord, columns));
    case 'update': {
      const now = keyText(change.record, columns, change.oldRecord);
      if (now === null || change.oldRecord === null) return single(now);
      const before = keyText(change.oldRecord, columns);
      if (before === null) return WHOLE;
      return before === now ? [now] : [before, now];
    }
  }
}

function single(key: string | null): readonly string[] {
  return key === null ? WHOLE : [key];
}

/**
 * Null where a value is missing, or cannot be told as text.
 *
 * @param before has the values that the server did not send again (unchanged TOAST); null: they are missing
 */
function keyText(row: Row | null, columns: readonly string[], before: Row | null = null): string | null {
  if (row === null) return null;
  if (columns.length === 1) {
    const text = valueText(valueOf(row, columns[0]!, before));
    return text === WHOLE_TABLE ? JSON.stringify([text]) : text;
  }
  const texts = columns.map((column) => valueText(valueOf(row, column, before)));
  return texts.includes(null) ? null : JSON.stringify(texts);
}

function valueOf(row: Row, column: string, before: Row | null): unknown {
  const value = row[column];
  return value === undefined && before !== null ? before[column] : value;
}

function valueText(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? null : objectText(value);
    default:
      return null;
  }
}

function objectText(value: object): string | null {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  try {
    // Of a type that the user's own parser makes: dates, decimals and the like have a JSON form.
    return JSON.stringify(value) ?? null;
  } catch {
    return null;
  }
}
