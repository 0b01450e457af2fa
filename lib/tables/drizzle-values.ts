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

/** As of a session in UTC. */
function instant(value: Date): string {
  const clock = [value.getUTCHours(), value.getUTCMinutes(), value.getUTCSeconds(), value.getUTCMilliseconds()];
  const day = [value.getUTCFullYear(), value.getUTCMonth(), value.getUTCDate()];
  return serverText(day, `${clockText(clock)}+00`);
}

function localDate(value: Date): string {
  return serverText([value.getFullYear(), value.getMonth(), value.getDate()], null);
}

function localDateTime(value: Date): string {
  const clock = [value.getHours(), value.getMinutes(), value.getSeconds(), value.getMilliseconds()];
  return serverText([value.getFullYear(), value.getMonth(), value.getDate()], clockText(clock));
}

/** As the server writes it: JavaScript's year 0 is 1 BC. */
function serverText([year, month, day]: number[], clock: string | null): string {
  const text = `${digits(year! > 0 ? year! : 1 - year!, 4)}-${digits(month! + 1, 2)}-${digits(day!, 2)}`;
  return `${text}${clock === null ? '' : ` ${clock}`}${year! > 0 ? '' : ' BC'}`;
}

/** A fraction only where there is one, without zeros at its end. */
function clockText([hours, minutes, seconds, milliseconds]: number[]): string {
  const fraction = milliseconds === 0 ? '' : `.${digits(milliseconds!, 3).replace(/0+$/, '')}`;
  return `${[hours, minutes, seconds].map((each) => digits(each!, 2)).join(':')}${fraction}`;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
