import fc from 'fast-check';
import { numberText } from './numbers.js';
import { text } from './texts.js';

/** A value as text that the server's input function takes, and what `types: 'rich'` must make of it. */
export interface Sample {
  readonly text: string;
  readonly value: unknown;
}

export type Samples = fc.Arbitrary<Sample>;

const identical = (arbitrary: fc.Arbitrary<string>): Samples => arbitrary.map((each) => ({ text: each, value: each }));
const day = fc
  .date({ min: new Date('1000-01-01'), max: new Date('9000-01-01'), noInvalidDate: true })
  .map((each) => each.toISOString().slice(0, 10));
const label = fc.string({ unit: fc.constantFrom(...'abcXYZ_019'), minLength: 1, maxLength: 8 });

/** Scalars: what node-postgres makes of each is plain to see. */
export const SCALARS = {
  int: fc.integer().map((value) => ({ text: String(value), value })),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((each) => ({ text: `${each}`, value: `${each}` })),
  numeric: identical(fc.tuple(fc.integer(), fc.nat(999)).map(([whole, rest]) => `${whole || 1}.${100 + (rest % 900)}`)),
  float8: fc.double({ noNaN: true }).map((value) => ({ text: numberText(value), value })),
  bool: fc.boolean().map((value) => ({ text: value ? 't' : 'f', value })),
  text: identical(text),
  timestamptz: fc
    .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
    .map((value) => ({ text: value.toISOString(), value })),
  date: day.map((each) => {
    const [year, month, date] = each.split('-').map(Number) as [number, number, number];
    return { text: each, value: new Date(year, month - 1, date) };
  }),
  bytea: fc.uint8Array({ maxLength: 20 }).map((bytes) => {
    const value = Buffer.from(bytes);
    return { text: `\\x${value.toString('hex')}`, value };
  }),
  jsonb: fc
    .array(fc.oneof(fc.integer(), text, fc.constant(null)), { maxLength: 4 })
    .map((value) => ({ text: JSON.stringify(value), value })),
  mood: identical(fc.constantFrom('sad', 'o k', 'ha"ppy', 'ü{,}b\\er', '🎉', '', 'NULL', 'null', '(', ' ')),
  small: fc.integer({ min: 1, max: 999 }).map((value) => ({ text: String(value), value })),
  citext: identical(text),
  ltree: identical(fc.array(label, { minLength: 1, maxLength: 5 }).map((each) => each.join('.'))),
  box: identical(fc.tuple(fc.nat(99), fc.nat(99)).map(([x, y]) => `(${x + 1},${y + 1}),(${x},${y})`)),
} as const satisfies Record<string, Samples>;

const quotedIn = (text: string, escape: (sign: string) => string): string => `"${text.replace(/["\\]/g, escape)}"`;
const doubled = (text: string): string => quotedIn(text, (sign) => sign + sign);
const escaped = (text: string): string => quotedIn(text, (sign) => `\\${sign}`);

/** Arrays of up to three dimensions, with nulls. */
export function arraySamples(of: Samples, delimiter = ','): Samples {
  const item = fc.option(of, { freq: 6 });
  const list = (items: readonly (Sample | null)[]): Sample => ({
    text: `{${items.map((each) => (each === null ? 'NULL' : escaped(each.text))).join(delimiter)}}`,
    value: items.map((each) => each && each.value),
  });
  const outer = (items: readonly Sample[]): Sample => ({
    text: `{${items.map(({ text }) => text).join(delimiter)}}`,
    value: items.map(({ value }) => value),
  });
  const row = (length: number): Samples => fc.array(item, { minLength: length, maxLength: length }).map(list);
  const grid = (rows: number, length: number): Samples =>
    fc.array(row(length), { minLength: rows, maxLength: rows }).map(outer);
  const size = fc.integer({ min: 1, max: 3 });
  return fc.oneof(
    { weight: 4, arbitrary: fc.array(item, { maxLength: 5 }).map(list) },
    { weight: 2, arbitrary: fc.tuple(size, size).chain(([rows, length]) => grid(rows, length)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(size, size, size)
        .chain(([depth, rows, length]) => fc.array(grid(rows, length), { minLength: depth, maxLength: depth }))
        .map(outer),
    },
    // Bounds of its own leave no trace.
    {
      weight: 1,
      arbitrary: fc.tuple(fc.integer({ min: -5, max: 5 }), row(2)).map(([from, { text, value }]) => ({
        text: `[${from}:${from + 1}]=${text}`,
        value,
      })),
    },
  );
}

/** Composite values: by the names of the attributes, in their order. */
export function compositeSamples(attributes: readonly (readonly [string, Samples])[]): Samples {
  const fields = attributes.map(([, samples]) => fc.option(samples, { freq: 5 }));
  return fc.tuple(...fields).map((items) => {
    const value = {};
    attributes.forEach(([name], index) => own(value, name, items[index] === null ? null : items[index]!.value));
    return { text: `(${items.map((each) => (each === null ? '' : doubled(each.text))).join(',')})`, value };
  });
}

interface Bounds {
  readonly lower: Sample | null;
  readonly upper: Sample | null;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;
}

const EMPTY: Sample = {
  text: 'empty',
  value: { lower: null, upper: null, lowerInclusive: false, upperInclusive: false, isEmpty: true },
};

function range({ lower, upper, ...inclusive }: Bounds): Sample {
  const lowerInclusive = inclusive.lowerInclusive && lower !== null;
  const upperInclusive = inclusive.upperInclusive && upper !== null;
  const bound = (each: Sample | null): string => (each === null ? '' : doubled(each.text));
  return {
    text: `${lowerInclusive ? '[' : '('}${bound(lower)},${bound(upper)}${upperInclusive ? ']' : ')'}`,
    value: {
      lower: lower && lower.value,
      upper: upper && upper.value,
      lowerInclusive,
      upperInclusive,
      isEmpty: false,
    },
  };
}

/**
 * Ranges between different bounds, which are put in order; empty and unbounded ones.
 *
 * @param isDiscrete the server writes all of them as `[a,b)`
 */
export function rangeSamples(of: Samples, compare: (a: Sample, b: Sample) => number, isDiscrete = false): Samples {
  const ordered = fc.tuple(of, of).filter(([a, b]) => compare(a, b) !== 0);
  const some = fc
    .tuple(ordered, fc.boolean(), fc.boolean(), fc.nat(7))
    .map(([pair, lowerInclusive, upperInclusive, open]) => {
      const [lower, upper] = [...pair].sort(compare) as [Sample, Sample];
      return range({
        lower: open === 0 || open === 1 ? null : lower,
        upper: open === 0 || open === 2 ? null : upper,
        lowerInclusive: isDiscrete || lowerInclusive,
        upperInclusive: !isDiscrete && upperInclusive,
      });
    });
  const one = of.map((each) => range({ lower: each, upper: each, lowerInclusive: true, upperInclusive: true }));
  const arms = [some, some, some, fc.constant(EMPTY)];
  return fc.oneof(...arms, ...(isDiscrete ? [] : [one]));
}

/** Ranges apart from each other, in their order. */
export function multirangeSamples(of: Samples, compare: (a: Sample, b: Sample) => number): Samples {
  return fc.array(of, { maxLength: 8 }).map((bounds) => {
    const sorted = bounds.toSorted(compare).filter((each, at, all) => at === 0 || compare(all[at - 1]!, each) !== 0);
    const ranges: Sample[] = [];
    for (let at = 0; at + 1 < sorted.length; at += 2) {
      const [lower, upper] = [sorted[at]!, sorted[at + 1]!];
      ranges.push(range({ lower, upper, lowerInclusive: true, upperInclusive: false }));
    }
    return { text: `{${ranges.map(({ text }) => text).join(',')}}`, value: ranges.map(({ value }) => value) };
  });
}

const byLengthAndBytes = (a: string, b: string): number =>
  Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b));

/** hstore: keys in the server's order, one of them what no plain assignment can set. */
export const hstoreSamples: Samples = fc
  .uniqueArray(
    fc.tuple(
      fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '', '1', 'NULL', '=>')),
      fc.option(text, { freq: 4 }),
    ),
    { maxLength: 6, selector: ([key]) => key },
  )
  .map((pairs) => {
    const value = {};
    for (const [key, item] of pairs.toSorted(([a], [b]) => byLengthAndBytes(a, b))) own(value, key, item);
    const written = pairs.map(([key, item]) => `${escaped(key)}=>${item === null ? 'NULL' : escaped(item)}`);
    return { text: written.join(', '), value };
  });

export const byNumber = (a: Sample, b: Sample): number => (a.value as number) - (b.value as number) || 0;
export const byTime = (a: Sample, b: Sample): number => (a.value as Date).getTime() - (b.value as Date).getTime();
export const byBytes = (a: Sample, b: Sample): number => Buffer.compare(Buffer.from(a.text), Buffer.from(b.text));

function own(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}
