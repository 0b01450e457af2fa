import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isBeyond, laterOf } from '#lib/changes/wal-position.js';
import type { WalPosition } from '#lib/interfaces/wal-position.interface.js';

/** Few values, so that positions meet; halves beyond 31 bits, as the wire has them: signed. */
const half = fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000 | 0, -1);
const position: fc.Arbitrary<WalPosition> = fc.record({
  commitLsn: fc.constantFrom(1n, 2n, 1n << 63n),
  walHigh: half,
  walLow: half,
  ordinal: fc.nat(2),
});

/** The order of the stream, spelt out: commit, place in the log, ordinal. */
function rankOf({ commitLsn, walHigh, walLow, ordinal }: WalPosition): bigint {
  return (((commitLsn << 32n) | BigInt(walHigh >>> 0)) << 64n) | (BigInt(walLow >>> 0) << 32n) | BigInt(ordinal);
}

describe('a position in the log', () => {
  it('lies beyond another by commit, then by its own place, then by its ordinal', () => {
    fc.assert(
      fc.property(position, position, (one, other) => {
        expect(isBeyond(one, other)).toBe(rankOf(one) > rankOf(other));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the later of two where it lies beyond the other; none is before everything', () => {
    fc.assert(
      fc.property(position, position, (one, other) => {
        const later = laterOf(one, other)!;
        expect(rankOf(later)).toBe(rankOf(one) > rankOf(other) ? rankOf(one) : rankOf(other));
        expect([laterOf(one, null), laterOf(null, one), laterOf(null, null)]).toEqual([one, one, null]);
      }),
    );
  });
});
