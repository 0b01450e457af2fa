import { describe, expect, it } from '@jest/globals';
import { findGaps, type SlotEvidence, type SlotTrace } from '#lib/slots/gap-finder.js';

const trace = (position: bigint, more: Partial<SlotTrace> = {}): SlotTrace => ({
  systemIdentifier: '7000',
  timeline: '1',
  position,
  ...more,
});
const slotAt = (confirmedLsn: bigint, invalidated: string | null = null): SlotEvidence['slot'] => ({
  confirmedLsn,
  invalidated,
});

/** Kinds of the gaps, where nothing else is said: a slot at 100, a server whose log ends at 5000. */
async function kinds(more: Partial<SlotEvidence> & { timeline?: string; system?: string; fork?: bigint | null }) {
  const { timeline = '1', system = '7000', fork = null, ...evidence } = more;
  const gaps = await findGaps({
    slotName: 'shop',
    isTemporary: false,
    identity: { systemIdentifier: system, timeline, walEnd: 5_000n },
    slot: slotAt(100n),
    recorded: null,
    remembered: null,
    reached: 0n,
    forkOf: async () => fork,
    ...evidence,
  });
  return gaps.map(({ kind }) => kind);
}

describe('a gap', () => {
  it('is none where nothing was left: any slot will do, and none', async () => {
    await expect(kinds({})).resolves.toEqual([]);
    await expect(kinds({ slot: null })).resolves.toEqual([]);
  });

  it('is none where the slot stands where it was recorded, or before', async () => {
    await expect(kinds({ recorded: trace(100n) })).resolves.toEqual([]);
    await expect(kinds({ recorded: trace(300n) })).resolves.toEqual([]);
  });

  it('is there where the slot stands one byte beyond what was recorded', async () => {
    await expect(kinds({ recorded: trace(99n) })).resolves.toEqual(['slot-advanced']);
  });

  it('is not told from a sibling by memory alone', async () => {
    await expect(kinds({ remembered: trace(99n) })).resolves.toEqual([]);
  });

  it('is there where the slot is gone that a position is known of', async () => {
    await expect(kinds({ slot: null, recorded: trace(100n) })).resolves.toEqual(['slot-missing']);
    await expect(kinds({ slot: null, remembered: trace(100n) })).resolves.toEqual(['slot-missing']);
  });

  it('is there where the slot was invalidated, whatever is known of it', async () => {
    await expect(kinds({ slot: slotAt(100n, 'wal_removed') })).resolves.toEqual(['slot-invalidated']);
    await expect(kinds({ slot: slotAt(100n, 'wal_removed'), recorded: trace(50n) })).resolves.toEqual([
      'slot-invalidated',
    ]);
  });

  it('is there where another cluster answers, and nothing else is then', async () => {
    const other = { system: '8000', slot: null };
    await expect(kinds({ ...other, recorded: trace(100n) })).resolves.toEqual(['other-cluster']);
    await expect(kinds({ ...other, remembered: trace(100n), reached: 9_000n })).resolves.toEqual(['other-cluster']);
  });

  it('is none for a temporary slot, but another cluster', async () => {
    const temporary = { isTemporary: true, slot: null, remembered: trace(900n), reached: 9_000n };
    await expect(kinds(temporary)).resolves.toEqual([]);
    await expect(kinds({ ...temporary, system: '8000' })).resolves.toEqual(['other-cluster']);
  });
});

describe('a history that was lost', () => {
  const promoted = { timeline: '2', fork: 1_000n, remembered: trace(100n) };

  it('is one where handlers have come further than the fork', async () => {
    await expect(kinds({ ...promoted, reached: 1_001n })).resolves.toEqual(['history-lost']);
    await expect(kinds({ ...promoted, reached: 1_000n })).resolves.toEqual([]);
  });

  it('is one where the fork cannot be told, and handlers have seen anything', async () => {
    await expect(kinds({ ...promoted, fork: null, reached: 1n })).resolves.toEqual(['history-lost']);
    await expect(kinds({ ...promoted, fork: null, reached: 0n })).resolves.toEqual([]);
  });

  it('is one where the log of the same timeline ends before what handlers have seen', async () => {
    await expect(kinds({ remembered: trace(100n), reached: 5_001n })).resolves.toEqual(['history-lost']);
    await expect(kinds({ remembered: trace(100n), reached: 5_000n })).resolves.toEqual([]);
  });

  it('comes together with a slot that was not there to be promoted', async () => {
    await expect(kinds({ ...promoted, slot: null, recorded: trace(100n), reached: 1_001n })).resolves.toEqual([
      'history-lost',
      'slot-missing',
    ]);
  });
});

describe('a slot beyond its record, after a promotion', () => {
  it('is what the standby had of it, up to the fork: the record follows a moment later', async () => {
    await expect(kinds({ timeline: '2', fork: 150n, recorded: trace(50n) })).resolves.toEqual([]);
  });

  it('was advanced or re-created where it stands beyond the fork', async () => {
    await expect(kinds({ timeline: '2', fork: 99n, recorded: trace(50n) })).resolves.toEqual(['slot-advanced']);
    await expect(kinds({ timeline: '2', fork: null, recorded: trace(50n) })).resolves.toEqual(['slot-advanced']);
  });
});
