import { beforeEach, describe, expect, it } from '@jest/globals';
import { GapError } from '#lib/errors/replication.error.js';
import { SlotMemory } from '#lib/replication/slot-memory.js';

let memory: SlotMemory;

/** One connection: what was found is compared, then the stream begins. A missing slot is made at `madeAt`. */
function connect(found: bigint | null, options: { system?: string; madeAt?: bigint } = {}): string | null {
  const { system = '7000', madeAt = 1_000n } = options;
  const warning = memory.compare(system, found === null ? null : { confirmedLsn: found }, 'billing');
  memory.enter(system, { confirmedLsn: found ?? madeAt });
  return warning;
}

beforeEach(() => {
  memory = new SlotMemory('shop');
});

describe('what this process remembers of its slot', () => {
  it('is nothing at first: any slot will do, and none', () => {
    expect(() => connect(500n)).not.toThrow();
    memory = new SlotMemory('shop');
    expect(() => connect(null)).not.toThrow();
  });

  it('lets a slot pass that stands where it was, where we confirmed, or in between', () => {
    connect(100n);
    expect(connect(100n)).toBeNull();
    memory.confirmed(300n);
    expect(connect(100n)).toBeNull();
    memory.confirmed(300n);
    expect(connect(200n)).toBeNull();
    memory.confirmed(300n);
    expect(connect(300n)).toBeNull();
  });

  it('lets a slot pass that we made ourselves', () => {
    connect(null, { madeAt: 900n });
    expect(connect(900n)).toBeNull();
  });

  it('warns where the slot stands beyond what we confirmed: a sibling may have streamed, or it was re-created', () => {
    connect(100n);
    memory.confirmed(0x1_0000_0080n);
    expect(connect(0x1_0000_0081n)).toMatch(/"shop" stands at 1\/81, beyond 1\/80.*unless another process/);
    expect(connect(0x1_0000_0081n)).toBeNull();
  });

  it('does not take a lower position for the one it confirmed', () => {
    connect(100n);
    memory.confirmed(300n);
    memory.confirmed(200n);
    expect(connect(300n)).toBeNull();
  });

  it('finds a gap where the slot has vanished', () => {
    connect(100n);
    expect(() => connect(null)).toThrow(GapError);
    expect(() => connect(null)).toThrow('has vanished');
  });

  it('finds a gap where another cluster answers', () => {
    connect(100n);
    expect(() => connect(100n, { system: '8000' })).toThrow(GapError);
    expect(() => connect(100n, { system: '8000' })).toThrow(/8000.*7000/);
  });

  it('finds the gap of a vanished slot again and again, also after a promotion, until the process is begun anew', () => {
    connect(100n);
    for (let round = 0; round < 3; round++) expect(() => connect(null)).toThrow(GapError);
    expect(connect(100n)).toBeNull();
  });

  it('expects nothing of temporary slots, but the same cluster', () => {
    memory = new SlotMemory(null);
    connect(null, { madeAt: 100n });
    expect(() => connect(null, { madeAt: 900n })).not.toThrow();
    expect(() => connect(null, { system: '8000' })).toThrow(GapError);
  });

  it('keeps nothing of a position before a connection was begun', () => {
    memory.confirmed(5_000n);
    connect(100n);
    expect(connect(200n)).not.toBeNull();
  });
});
