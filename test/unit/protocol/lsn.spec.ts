import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatLsn, formatLsnParts, INVALID_LSN, lsnFromParts, parseLsn } from '#lib/protocol/lsn.js';

const anyLsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe('LSN', () => {
  it('is written as the manual writes it: upper-case hexadecimal without leading zeroes', () => {
    expect(formatLsn(0x16_b374d848n)).toBe('16/B374D848');
    expect(formatLsn(INVALID_LSN)).toBe('0/0');
    expect(formatLsn((1n << 64n) - 1n)).toBe('FFFFFFFF/FFFFFFFF');
    expect(formatLsn(1n << 32n)).toBe('1/0');
  });

  it('survives the way to text and back, over all 64 bits', () => {
    fc.assert(fc.property(anyLsn, (lsn) => parseLsn(formatLsn(lsn)) === lsn));
  });

  it('keeps its order in the parts, whether the halves are read signed or not', () => {
    fc.assert(
      fc.property(anyLsn, (lsn) => {
        const high = Number(lsn >> 32n);
        const low = Number(lsn & 0xffffffffn);
        expect(lsnFromParts(high, low)).toBe(lsn);
        expect(lsnFromParts(high | 0, low | 0)).toBe(lsn);
        expect(formatLsnParts(high | 0, low | 0)).toBe(formatLsn(lsn));
      }),
    );
  });

  it('is read in either case, and with leading zeroes', () => {
    expect(parseLsn('16/b374d848')).toBe(0x16_b374d848n);
    expect(parseLsn('00000016/0000000A')).toBe(0x16_0000000an);
  });

  it.each(['', '/', '0', '1/', '/1', '1/2/3', '123456789/0', '0/123456789', '-1/0', '0x1/0', 'G/0', ' 1/0', '1/0\n'])(
    'refuses %j with a RangeError that says what is wanted',
    (text) => {
      expect(() => parseLsn(text)).toThrow(RangeError);
      expect(() => parseLsn(text)).toThrow('X/Y');
    },
  );
});
