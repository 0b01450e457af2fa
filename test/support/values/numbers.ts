import fc from 'fast-check';
import { values, type Values } from './values.js';

/** JavaScript's text of a number, but for -0, which it would hide. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const digits = (maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength }).map((each) => each.join(''));

const numeric = fc
  .tuple(fc.constantFrom('', '-'), digits(130), fc.option(digits(60), { nil: undefined }))
  .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}`);

const whole = (min: number, max: number): fc.Arbitrary<string> => fc.integer({ min, max }).map(String);
const big = (min: bigint, max: bigint): fc.Arbitrary<string> => fc.bigInt({ min, max }).map(String);
const hex32 = fc.integer({ min: 0, max: 0xffff_ffff }).map((each) => each.toString(16).toUpperCase());

const MAX_INT8 = 2n ** 63n - 1n;
const unsigned32 = values(['0', '1', '2147483648', '4294967295'], whole(0, 0xffff_ffff));

/** bool, numbers, money, and the counters of the system. */
export const NUMBERS: Readonly<Record<string, Values>> = {
  bool: values(['t', 'f'], fc.boolean().map(String)),
  int2: values(['-32768', '-1', '0', '32767'], whole(-32_768, 32_767)),
  int4: values(['-2147483648', '-1', '0', '2147483647'], whole(-2_147_483_648, 2_147_483_647)),
  int8: values(
    ['-9223372036854775808', '-1', '0', '9007199254740993', '9223372036854775807'],
    big(-MAX_INT8 - 1n, MAX_INT8),
  ),
  float4: values(
    ['NaN', 'Infinity', '-Infinity', '-0', '0', '3.4028235e38', '-3.4028235e38', '1.17549435e-38', '1e-45', '0.1'],
    fc.float().map(numberText),
  ),
  float8: values(
    [
      'NaN',
      'Infinity',
      '-Infinity',
      '-0',
      '0',
      '1.7976931348623157e308',
      '-1.7976931348623157e308',
      '2.2250738585072014e-308',
      '5e-324',
      '-5e-324',
      '0.1',
      '0.30000000000000004',
      '1e21',
      '123456789012345680',
    ],
    fc.double().map(numberText),
  ),
  numeric: values(
    [
      'NaN',
      'Infinity',
      '-Infinity',
      '0',
      '-0',
      '0.000',
      '1.10',
      '1e1000',
      '1e-1000',
      '9'.repeat(150),
      `-${'123456789'.repeat(20)}.${'987654321'.repeat(20)}`,
    ],
    numeric,
  ),
  money: values(
    ['0', '-1', '-0.01', '1234.56', '-92233720368547758.08', '92233720368547758.07'],
    fc
      .tuple(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), fc.integer({ min: 0, max: 99 }))
      .map(([whole, cents]) => `${whole}.${String(cents).padStart(2, '0')}`),
  ),
  oid: unsigned32,
  xid: unsigned32,
  cid: unsigned32,
  xid8: values(['0', '18446744073709551615'], big(0n, 2n ** 64n - 1n)),
  pg_lsn: values(
    ['0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848'],
    fc.tuple(hex32, hex32).map((each) => each.join('/')),
  ),
};
