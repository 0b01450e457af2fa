import fc from 'fast-check';
import { padded, values, type Values } from './values.js';

type Element = string | null;

/** node-postgres reads arrays a character at a time; one long element shows what there is to see. */
const LONGEST_ELEMENT = 30_000;

function element(text: Element): string {
  return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * Arrays of these elements: empty, with nulls, of one to three dimensions, with lower bounds of their own.
 *
 * @param elements undefined: no value of the element's type can be made
 */
export function arrayOf(elements: Values | undefined, delimiter = ','): Values {
  const list = (items: readonly string[]): string => `{${items.join(delimiter)}}`;
  const nulls = ['{}', list(['NULL']), `[3:4]=${list(['NULL', 'NULL'])}`];
  if (elements === undefined) return values(nulls, fc.constantFrom(...nulls));
  const all = elements.examples.filter((each) => each.length < LONGEST_ELEMENT).map(element);
  const [a, b = a!] = all.slice(-2) as [string, string?];
  const grid = list([list([a, b]), list([b, 'NULL'])]);
  const examples = [
    ...nulls,
    list(all),
    list([...all, 'NULL', ...all]),
    grid,
    list([grid, grid]),
    `[0:1]=${list([a, b])}`,
    `[-2:-1][5:6]=${grid}`,
  ];
  const item = fc.option(elements.arbitrary, { freq: 8 });
  const flat = fc.array(item, { maxLength: 6 }).map((items) => list(items.map(element)));
  const rectangle = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
    .chain(([rows, columns]) =>
      fc
        .array(fc.array(item, { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows })
        .map((each) => list(each.map((row) => list(row.map(element))))),
    );
  const shifted = fc
    .tuple(fc.integer({ min: -9, max: 9 }), fc.array(item, { minLength: 1, maxLength: 4 }))
    .map(([from, items]) => `[${from}:${from + items.length - 1}]=${list(items.map(element))}`);
  return values(examples, fc.oneof(flat, rectangle, shifted));
}

/** A composite value of these fields. */
export function rowOf(fields: readonly Values[]): Values {
  const row = (items: readonly Element[]): string =>
    `(${items.map((each) => (each === null ? '' : `"${each.replace(/["\\]/g, '$&$&')}"`)).join(',')})`;
  const longest = Math.max(...fields.map(({ examples }) => examples.length));
  const examples = Array.from({ length: longest }, (_, index) =>
    row(fields.map(({ examples }) => examples[index % examples.length]!)),
  );
  return values(
    [row(fields.map(() => null)), ...examples],
    fc.tuple(...fields.map(({ arbitrary }) => fc.option(arbitrary, { freq: 6 }))).map(row),
  );
}

/** Ranges between two of these bounds, which come in any order. */
export function rangeOf<T>(
  bound: fc.Arbitrary<T>,
  compare: (a: T, b: T) => number,
  format: (bound: T) => string,
  extra: readonly string[] = [],
): Values {
  const quote = (each: T): string => `"${format(each).replace(/["\\]/g, '$&$&')}"`;
  const open = fc.constantFrom('[', '(');
  const close = fc.constantFrom(']', ')');
  const range = fc.tuple(open, fc.tuple(bound, bound), close, fc.nat(9)).map(([open, pair, close, unbounded]) => {
    const [low, high] = pair.sort(compare).map(quote);
    return `${open}${unbounded === 0 ? '' : low},${unbounded === 1 ? '' : high}${close}`;
  });
  return values(['empty', '(,)', '[,]', ...extra], range);
}

export function multirangeOf({ examples, arbitrary }: Values): Values {
  return values(
    ['{}', '{empty}', '{(,)}', ...examples.map((each) => `{${each}}`), `{${examples.slice(-2).join(',')}}`],
    fc.array(arbitrary, { maxLength: 4 }).map((each) => `{${each.join(',')}}`),
  );
}

const numbers = (a: number, b: number): number => a - b;
const bigints = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
/** Days since 1970, in the years 1 to 9999. */
const day = fc.integer({ min: -719_000, max: 2_900_000 });
const dateText = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);
const micros = fc.bigInt({ min: -62_000_000_000_000_000n, max: 250_000_000_000_000_000n });
const stamp = (micros: bigint): string => {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const text = new Date(Number((micros - fraction) / 1_000n)).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)}.${padded(Number(fraction), 6)}`;
};

const STAMPS = [
  '[2026-01-01 00:00:00,infinity]',
  '(-infinity,"2026-01-01 12:00:00.000001")',
  '["0044-03-15 00:00:00 BC",)',
];

export const RANGES: Readonly<Record<string, Values>> = {
  int4range: rangeOf(fc.integer({ min: -(2 ** 30), max: 2 ** 30 }), numbers, String, ['[1,10)', '(,-5]', '[3,3]']),
  int8range: rangeOf(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), bigints, String, ['[1,9007199254740993)']),
  numrange: rangeOf(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), bigints, (each) => `${each}e-3`, [
    '[-1.10,2.20)',
    '[1,Infinity]',
    '(-Infinity,NaN]',
  ]),
  daterange: rangeOf(day, numbers, dateText, [
    '[2026-01-01,infinity]',
    '[2026-01-01,infinity)',
    '["0044-03-15 BC",2026-01-01)',
  ]),
  tsrange: rangeOf(micros, bigints, stamp, STAMPS),
  tstzrange: rangeOf(micros, bigints, (each) => `${stamp(each)}+00`, STAMPS),
};
