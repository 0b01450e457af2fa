import { types } from 'node:util';

/** What is used of a column. */
export interface DrizzleColumn {
  readonly name: string;
  /** The name is that of the property, for want of one of its own. */
  readonly keyAsName: boolean;
  readonly columnType: string;
  readonly withTimezone?: boolean;
  /** Of an array. */
  readonly baseColumn?: DrizzleColumn;
  mapFromDriverValue(value: unknown): unknown;
}

/**
 * node-postgres' value to Drizzle's. Drizzle reads dates and intervals as text and takes a time without a zone for one in
 * UTC, where node-postgres makes objects of them and takes it for local: it gets a text again, of what the clock showed.
 * What the object does not have is lost: microseconds, and how the server would have spelt an interval.
 */
export function driverValueReader(column: DrizzleColumn): (value: unknown) => unknown {
  if (column.columnType === 'PgArray' && column.baseColumn !== undefined) return arrayReader(column, column.baseColumn);
  const asText = textMaker(column);
  return (value) => {
    if (value === null || value === undefined) return value;
    return column.mapFromDriverValue(asText === null ? value : asText(value));
  };
}

/** Of any depth: node-postgres nests arrays where Drizzle has a column of arrays of arrays. */
function arrayReader(column: DrizzleColumn, base: DrizzleColumn): (value: unknown) => unknown {
  const readItem = driverValueReader(base);
  return (value) => {
    if (value === null || value === undefined) return value;
    return Array.isArray(value) ? (value as unknown[]).map(readItem) : column.mapFromDriverValue(value);
  };
}

type TextMaker = (value: unknown) => unknown;

/** Null: Drizzle takes the value as node-postgres has it. */
function textMaker({ columnType, withTimezone }: DrizzleColumn): TextMaker | null {
  switch (columnType) {
    case 'PgDate':
    case 'PgDateString':
      return (value) => timeText(value, localDate);
    case 'PgTimestamp':
      return withTimezone === true ? null : (value) => timeText(value, localDateTime);
    case 'PgTimestampString':
      return (value) => timeText(value, withTimezone === true ? instant : localDateTime);
    case 'PgInterval':
      return intervalText;
    default:
      return null;
  }
}

function timeText(value: unknown, write: (date: Date) => string): unknown {
  if (types.isDate(value)) return write(value);
  if (value === Infinity) return 'infinity';
  return value === -Infinity ? '-infinity' : value;
}

function intervalText(value: unknown): unknown {
  const { toPostgres } = (value ?? {}) as { toPostgres?: unknown };
  return typeof toPostgres === 'function' ? (toPostgres as () => string).call(value) : value;
}

function instant(value: Date): string {
  return `${value.toISOString().slice(0, -1).replace('T', ' ')}+00`;
}

function localDate(value: Date): string {
  return `${digits(value.getFullYear(), 4)}-${digits(value.getMonth() + 1, 2)}-${digits(value.getDate(), 2)}`;
}

function localDateTime(value: Date): string {
  const clock = [value.getHours(), value.getMinutes(), value.getSeconds()].map((each) => digits(each, 2)).join(':');
  return `${localDate(value)} ${clock}.${digits(value.getMilliseconds(), 3)}`;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
