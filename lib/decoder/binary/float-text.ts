import { expectSize, padded, type ReadBinary, type ReadText } from './value-reader.js';

/*
 * Floats as PostgreSQL writes them with `extra_float_digits` of 1 to 3: the fewest digits that come back as the same
 * float, never a number that lies just between two floats, and an exponent from 10^15 (float8) or 10^6 (float4) on.
 */

const SMALLEST_NORMAL_FLOAT4 = 2 ** -126;
const LARGEST_EXACT = 2 ** 53;

export const readFloat8: ReadBinary<number> = (b, start, end) => {
  expectSize(start, end, 8);
  return b.readDoubleBE(start);
};

/** The number that the float's shortest text means: 0.1, where the float itself is 0.10000000149011612. */
export const readFloat4: ReadBinary<number> = (b, start, end) => {
  expectSize(start, end, 4);
  const value = b.readFloatBE(start);
  return Number.isInteger(value) && Math.abs(value) < 0x100_0000 ? value : Number(shortestFloat4(value));
};

export const float8Text: ReadText = (b, start, end) => textOfFloat8(readFloat8(b, start, end));

export const float4Text: ReadText = (b, start, end) => {
  expectSize(start, end, 4);
  return formatted(shortestFloat4(b.readFloatBE(start)), 6);
};

export function textOfFloat8(value: number): string {
  return formatted(shortestFloat8(value), 15);
}

/** JavaScript's shortest text, but for what it is not: a number in the middle of two floats, where it says 5e22. */
function shortestFloat8(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  if (Math.abs(value) < LARGEST_EXACT || !Number.isFinite(value) || !isMiddle(text, value)) return text;
  for (let digits = 1; digits < 17; digits++) {
    const longer = value.toPrecision(digits);
    if (Number(longer) === value && !isMiddle(longer, value)) return longer;
  }
  return value.toPrecision(17);
}

/** Whether a decimal number that is read as `value` lies just between it and one of its neighbours. */
function isMiddle(text: string, value: number): boolean {
  const [mantissa, exponent = '0'] = text.split('e') as [string, string?];
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?];
  const power = Number(exponent) - fraction.length;
  // A float of this size is a whole number, and so is the middle of two.
  if (power < 0) return false;
  const decimal = BigInt(whole + fraction) * 10n ** BigInt(power);
  const exact = BigInt(value);
  if (decimal === exact) return false;
  const twice = 2n * decimal - exact;
  // The neighbour on the far side of the decimal, if it is one.
  const neighbour = Number(twice);
  return Number.isFinite(neighbour) && BigInt(neighbour) === twice && isNeighbour(exact, twice);
}

function isNeighbour(one: bigint, other: bigint): boolean {
  const middle = (one + other) / 2n;
  return [one, other].includes(BigInt(Number(middle)));
}

/** The fewest digits whose number lies nearer to `value` than to any other float4. */
function shortestFloat4(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  const { low, high } = boundsOf(size);
  const sign = value < 0 ? '-' : '';
  // Six digits are always kept, so that none fewer can be right and not be found in them; not so below the normal ones.
  for (let digits = size < SMALLEST_NORMAL_FLOAT4 ? 1 : 6; digits < 9; digits++) {
    const found = nearest(size, digits, low, high);
    if (found !== undefined) return sign + found;
  }
  return sign + rounded(size, 9);
}

/** The middles between a float4 and its neighbours: a float8 holds them. */
function boundsOf(size: number): { low: number; high: number } {
  FLOAT[0] = size;
  const bits = BITS[0]!;
  BITS[0] = bits - 1;
  const low = (size + FLOAT[0]) / 2;
  BITS[0] = bits + 1;
  // Beyond the largest there is none: as far as from the one below.
  const high = Number.isFinite(FLOAT[0]) ? (size + FLOAT[0]) / 2 : 2 * size - low;
  return { low, high };
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

function nearest(size: number, digits: number, low: number, high: number): string | undefined {
  const text = rounded(size, digits);
  const number = Number(text);
  if (number > low && number < high) return text;
  // A power of two has its lower neighbour nearer than its upper one: a number further up may still be its own.
  const [mantissa, exponent] = size.toExponential(digits - 1).split('e') as [string, string];
  const next = `${Number(mantissa.replace('.', '')) + 1}e${Number(exponent) - digits + 1}`;
  const above = Number(next);
  return above > low && above < high ? next : undefined;
}

/** What lies in the middle goes to the even digit, where JavaScript rounds up. */
function rounded(size: number, digits: number): string {
  const text = size.toPrecision(digits);
  if (!/5(?:e|$)/.test(size.toPrecision(digits + 1))) return text;
  // Enough digits to be exact for what has a 5 so near to its front.
  // oxlint-disable-next-line oxc/number-arg-out-of-range
  const [mantissa, exponent] = size.toExponential(40).split('e') as [string, string];
  const all = mantissa.replace('.', '');
  const isMiddle = /^50*$/.test(all.slice(digits));
  if (!isMiddle || Number(all[digits - 1]) % 2 === 1) return text;
  return `${all.slice(0, digits)}e${Number(exponent) - digits + 1}`;
}

/**
 * Digits and exponent of a decimal number, written as C's `%g` would.
 *
 * @param limit from this exponent of ten on, and below -4, it is written with an exponent
 */
function formatted(text: string, limit: number): string {
  if (text === '0' || text === '-0' || text === 'NaN' || text.endsWith('y')) return text;
  const sign = text.startsWith('-') ? '-' : '';
  const [mantissa, power = '0'] = text.slice(sign.length).split('e') as [string, string?];
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?];
  const all = whole + fraction;
  const leading = /^0*/.exec(all)![0].length;
  const digits = all.slice(leading).replace(/0+$/, '');
  const exponent = Number(power) + whole.length - 1 - leading;
  if (exponent < -4 || exponent >= limit) {
    const rest = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${sign}${digits[0]!}${rest}e${exponent < 0 ? '-' : '+'}${padded(Math.abs(exponent))}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const wholes = exponent + 1;
  if (digits.length <= wholes) return sign + digits.padEnd(wholes, '0');
  return `${sign}${digits.slice(0, wholes)}.${digits.slice(wholes)}`;
}
