import { BinaryFormatError } from '../../errors/replication.error.js';
import { expectSize, int32, malformed, padded, uint32, type ReadBinary, type ReadText } from './value-reader.js';

/*
 * Dates and times, under `DateStyle = ISO` and `IntervalStyle = postgres`. Days and microseconds count from the
 * beginning of 2000; "infinity" is the greatest number, "-infinity" the least.
 */

const TWO_32 = 0x1_0000_0000;
const DAY_MICROS = 86_400_000_000;
const DAY_MS = 86_400_000;
const EPOCH_MS = 946_684_800_000;
/** Days from 0000-03-01 to 2000-01-01: a year that begins in March has its leap day at its end. */
const DAYS_BEFORE = 730_425;
const DAYS_OF_400_YEARS = 146_097;
const LEAST = -0x8000_0000;
const GREATEST = 0x7fff_ffff;

// What the last `splitInstant` and `splitDay` found; in variables, for each value would need an object.
let day = 0;
let micros = 0;
let year = 0;
let month = 0;
let dayOfMonth = 0;

/** @returns 'infinity' or '-infinity'; else null, and `day` and `micros` of the day are set */
function splitInstant(b: Buffer, start: number, end: number): 'infinity' | '-infinity' | null {
  expectSize(start, end, 8);
  const high = int32(b, start);
  const low = uint32(b, start + 4);
  if (high === GREATEST && low === 0xffff_ffff) return 'infinity';
  if (high === LEAST && low === 0) return '-infinity';
  const total = high * TWO_32 + low;
  if (Number.isSafeInteger(total)) {
    day = Math.floor(total / DAY_MICROS);
    micros = total - day * DAY_MICROS;
    return null;
  }
  const exact = (BigInt(high) << 32n) | BigInt(low);
  const rest = ((exact % BigInt(DAY_MICROS)) + BigInt(DAY_MICROS)) % BigInt(DAY_MICROS);
  day = Number((exact - rest) / BigInt(DAY_MICROS));
  micros = Number(rest);
  return null;
}

/** Sets `year` (0 is 1 BC), `month` and `dayOfMonth` of a day since 2000, in the Gregorian calendar. */
function splitDay(since2000: number): void {
  const days = since2000 + DAYS_BEFORE;
  const era = Math.floor(days / DAYS_OF_400_YEARS);
  const inEra = days - era * DAYS_OF_400_YEARS;
  const yearOfEra = Math.floor(
    (inEra - Math.floor(inEra / 1_460) + Math.floor(inEra / 36_524) - Math.floor(inEra / 146_096)) / 365,
  );
  const inYear = inEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * inYear + 2) / 153);
  dayOfMonth = inYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
}

function dayText(): string {
  return `${padded(year > 0 ? year : 1 - year, 4)}-${padded(month)}-${padded(dayOfMonth)}`;
}

function eraText(): string {
  return year > 0 ? '' : ' BC';
}

/** Of the seconds: `.5`, or nothing. */
function fractionText(micros: number): string {
  return micros === 0 ? '' : `.${padded(micros, 6).replace(/0+$/, '')}`;
}

function clockText(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const clock = `${padded(Math.floor(minutes / 60))}:${padded(minutes % 60)}:${padded(seconds % 60)}`;
  return clock + fractionText(micros - seconds * 1_000_000);
}

export const dateText: ReadText = (b, start, end) => {
  expectSize(start, end, 4);
  const days = int32(b, start);
  if (days === GREATEST) return 'infinity';
  if (days === LEAST) return '-infinity';
  splitDay(days);
  return dayText() + eraText();
};

export const timestampText: ReadText = (b, start, end) => instantText(b, start, end, '');

/**
 * As a session in UTC writes it: which instant it is does not depend on the session, how it is written does.
 *
 * @throws BinaryFormatError where node-postgres reads another value from the text of another time zone
 */
export const timestamptzText: ReadText = (b, start, end) => {
  const text = instantText(b, start, end, '+00');
  if (isInLastHours() || isNearOddDay()) throw new BinaryFormatError('an instant that only its text tells');
  return text;
};

/** The greatest offset of a time zone is a second less. */
const OFFSET_DAYS = 16 / 24;
/** As a date of JavaScript is counted from 1970, and ends, here from 2000. */
const LAST_DAY = 100_000_000 - 10_957;
/** 29 February of 1 BC, which node-postgres reads as 1 March. */
const ODD_DAY = -730_426;

/** A local time beyond the end of JavaScript's dates is none, also where the instant is before it. */
function isInLastHours(): boolean {
  const at = day + micros / DAY_MICROS;
  return at > LAST_DAY - OFFSET_DAYS && at <= LAST_DAY;
}

function isNearOddDay(): boolean {
  const at = day + micros / DAY_MICROS;
  return at > ODD_DAY - OFFSET_DAYS && at < ODD_DAY + 1 + OFFSET_DAYS;
}

function instantText(b: Buffer, start: number, end: number, zone: string): string {
  const infinite = splitInstant(b, start, end);
  if (infinite !== null) {
    day = 0;
    return infinite;
  }
  splitDay(day);
  return `${dayText()} ${clockText(micros)}${zone}${eraText()}`;
}

/** Milliseconds of the second, as node-postgres reads its text: what is less than one is cut off, in this arithmetic. */
function milliseconds(microsOfSecond: number): number {
  return Math.trunc(1_000 * (microsOfSecond / 1_000_000));
}

/** In the time zone of the process, as node-postgres reads a date. */
export const readDate: ReadBinary<Date | number> = (b, start, end) => {
  expectSize(start, end, 4);
  const days = int32(b, start);
  if (days === GREATEST) return Infinity;
  if (days === LEAST) return -Infinity;
  splitDay(days);
  return withYear(new Date(year, month - 1, dayOfMonth));
};

/** In the time zone of the process, as node-postgres reads a timestamp without one. */
export const readTimestamp: ReadBinary<Date | number> = (b, start, end) => {
  const infinite = splitInstant(b, start, end);
  if (infinite !== null) return infinite === 'infinity' ? Infinity : -Infinity;
  splitDay(day);
  const seconds = Math.floor(micros / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const ms = milliseconds(micros - seconds * 1_000_000);
  return withYear(new Date(year, month - 1, dayOfMonth, Math.floor(minutes / 60), minutes % 60, seconds % 60, ms));
};

/** The constructor takes the years 0 to 99 for those of the 20th century. */
function withYear(date: Date): Date {
  if (year >= 0 && year < 100) date.setFullYear(year);
  return date;
}

/** Null: an instant before the year 1, or close to the end of JavaScript's dates, is read from its text. */
export const readTimestamptz: ReadBinary<Date | number | null> = (b, start, end) => {
  const infinite = splitInstant(b, start, end);
  if (infinite !== null) return infinite === 'infinity' ? Infinity : -Infinity;
  if (day < FIRST_OF_YEAR_1 || day >= LAST_DAY - 1) return null;
  const seconds = Math.floor(micros / 1_000_000);
  return new Date(EPOCH_MS + day * DAY_MS + seconds * 1_000 + milliseconds(micros - seconds * 1_000_000));
};

const FIRST_OF_YEAR_1 = -730_119;

export const timeText: ReadText = (b, start, end) => {
  expectSize(start, end, 8);
  return clockText(timeOfDay(b, start));
};

export const timetzText: ReadText = (b, start, end) => {
  expectSize(start, end, 12);
  // Seconds west of Greenwich.
  const zone = int32(b, start + 8);
  const seconds = Math.abs(zone);
  const minutes = Math.floor(seconds / 60);
  let text = `${clockText(timeOfDay(b, start))}${zone <= 0 ? '+' : '-'}${padded(Math.floor(minutes / 60))}`;
  if (seconds % 60 !== 0) text += `:${padded(minutes % 60)}:${padded(seconds % 60)}`;
  else if (minutes % 60 !== 0) text += `:${padded(minutes % 60)}`;
  return text;
};

function timeOfDay(b: Buffer, start: number): number {
  const micros = int32(b, start) * TWO_32 + uint32(b, start + 4);
  return micros >= 0 && micros <= DAY_MICROS ? micros : malformed('a time of day out of its range');
}

export const intervalText: ReadText = (b, start, end) => {
  expectSize(start, end, 16);
  const high = int32(b, start);
  const low = uint32(b, start + 4);
  const days = int32(b, start + 8);
  const months = int32(b, start + 12);
  if (months === GREATEST && days === GREATEST && high === GREATEST && low === 0xffff_ffff) return 'infinity';
  if (months === LEAST && days === LEAST && high === LEAST && low === 0) return '-infinity';
  const time = (BigInt(high) << 32n) | BigInt(low);
  return intervalParts(Math.trunc(months / 12), months % 12, days, time);
};

/** A plus stands where the part before it is negative. */
function intervalParts(years: number, months: number, days: number, time: bigint): string {
  let text = '';
  let isBefore = false;
  for (const [value, unit] of [
    [years, 'year'],
    [months, 'mon'],
    [days, 'day'],
  ] as const) {
    if (value === 0) continue;
    const space = text === '' ? '' : ' ';
    text += `${space}${isBefore && value > 0 ? '+' : ''}${value} ${unit}${value === 1 ? '' : 's'}`;
    isBefore = value < 0;
  }
  if (text !== '' && time === 0n) return text;
  const sign = time < 0n ? '-' : isBefore ? '+' : '';
  const size = time < 0n ? -time : time;
  // Hours may be many more than fit a day.
  const hours = Number(size / 3_600_000_000n);
  const clock = clockText(Number(size % 3_600_000_000n)).slice(2);
  return `${text}${text === '' ? '' : ' '}${sign}${padded(hours)}${clock}`;
}
