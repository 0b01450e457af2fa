import fc from 'fast-check';
import { padded, values, type Values } from './values.js';

const fraction = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 0, max: 999_999 }).map((each) => `.${padded(each, 6)}`),
  fc.integer({ min: 0, max: 999 }).map((each) => `.${padded(each, 3)}`),
);
const time = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fraction)
  .map(([hour, minute, second, rest]) => `${padded(hour)}:${padded(minute)}:${padded(second)}${rest}`);
const year = fc.oneof(fc.integer({ min: 1900, max: 2100 }), fc.integer({ min: 1, max: 4_700 }), fc.nat(270_000));

interface Moment {
  readonly day: string;
  readonly era: string;
}
const moment: fc.Arbitrary<Moment> = fc
  .tuple(year, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }), fc.nat(9))
  .map(([year, month, day, era]) => ({
    day: `${padded(Math.max(year, 1), 4)}-${padded(month)}-${padded(day)}`,
    era: era === 0 && year < 4_700 ? ' BC' : '',
  }));

const offset = fc
  .tuple(fc.constantFrom('+', '-'), fc.nat(14), fc.nat(59), fc.option(fc.nat(59), { nil: undefined }))
  .map(([sign, hours, minutes, seconds]) => {
    return `${sign}${padded(hours)}:${padded(minutes)}${seconds === undefined ? '' : `:${padded(seconds)}`}`;
  });

const TIMES = ['00:00:00', '24:00:00', '23:59:59.999999', '04:05:06.000001', '12:30:00.5'];
const DATES = [
  'infinity',
  '-infinity',
  '0001-01-01',
  '0099-12-31',
  '9999-12-31',
  '10000-01-01',
  '1970-01-01',
  '2000-02-29',
  '1883-11-18',
  '2011-12-30',
  '2026-03-29',
  '0001-12-31 BC',
  '4713-11-24 BC',
];
/** Days with a gap or a fold in some zone, and local mean times of before the zones. */
const TIMESTAMPS = [
  'infinity',
  '-infinity',
  '0001-01-01 00:00:00',
  '0001-12-31 23:59:59.999999 BC',
  '4713-11-24 00:00:00 BC',
  '294276-12-31 23:59:59.999999',
  '275760-09-13 00:00:00',
  '10000-01-01 00:00:00.000001',
  '1969-12-31 23:59:59.999',
  '2026-03-29 02:30:00',
  '2026-10-25 02:30:00.123456',
  '1883-11-18 12:03:57',
  '0044-03-15 12:00:00 BC',
];

const part = (unit: string, max: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(''),
    fc.integer({ min: -max, max }).map((each) => `${each} ${unit} `),
  );
const interval = fc
  .tuple(part('years', 10_000), part('mons', 30), part('days', 5_000), fc.constantFrom('', '-'), fc.nat(100_000), time)
  .map(([years, months, days, sign, hours, rest]) => `${years}${months}${days}${sign}${hours}${rest.slice(2)}`);
const INTERVALS = [
  '0',
  '1 year',
  '-1 year',
  '1 year -2 mons +3 days -04:05:06.789',
  '-1 mons +1 day',
  '00:00:00.000001',
  '-00:00:00.000001',
  '-00:00:01.5',
  '178000000 years',
  '-178000000 years',
  '2147483647 days',
  '-2147483648 days',
  '-3 days +100:00:00',
  '1 day -00:00:01',
];

function intervalsOf(version: number): string[] {
  return [...(version >= 15 ? ['2562047788:00:54.775807'] : []), ...(version >= 17 ? ['infinity', '-infinity'] : [])];
}

/** @param version such as 17: 15 has longer intervals than 14, 17 has infinite ones */
export function times(version: number): Readonly<Record<string, Values>> {
  return {
    date: values(
      [...DATES, '5874897-12-31'],
      moment.map(({ day, era }) => day + era),
    ),
    time: values(TIMES, time),
    timetz: values(
      [
        '00:00:00+15:59:59',
        '24:00:00-15:59:59',
        '04:05:06.789-08:30:15',
        '12:00:00+00',
        '23:59:59.999999+05:45',
        '01:02:03+00:00:01',
        '01:02:03-00:00:01',
      ],
      fc.tuple(time, offset).map((each) => each.join('')),
    ),
    timestamp: values(
      TIMESTAMPS,
      fc.tuple(moment, time).map(([{ day, era }, time]) => `${day} ${time}${era}`),
    ),
    timestamptz: values(
      // Without the end of JavaScript's dates, which its time zone may lie beyond: the binary format gives way to text.
      TIMESTAMPS.map((each) => each.replace('275760-09-13 00:00', '275760-09-12 07:59')).map((each) =>
        each.replace(/( BC)?$/, each.includes('infinity') ? '' : '+00$1'),
      ),
      fc.tuple(moment, time, offset).map(([{ day, era }, time, offset]) => `${day} ${time}${offset}${era}`),
    ),
    interval: values([...INTERVALS, ...intervalsOf(version)], interval),
  };
}
