import { beforeEach, describe, expect, it } from '@jest/globals';
import { SlotMemory } from '#lib/slots/slot-memory.js';

let memory: SlotMemory;

const enter = (confirmedLsn: bigint): void => memory.enter('7000', '1', { confirmedLsn });
const doubt = (confirmedLsn: bigint | null): string | null =>
  memory.doubtOf(confirmedLsn === null ? null : { confirmedLsn });

beforeEach(() => {
  memory = new SlotMemory('shop');
});

describe('what this process remembers of its slot', () => {
  it('is nothing at first: any slot will do, and none', () => {
    expect(memory.trace).toBeNull();
    expect(doubt(500n)).toBeNull();
    expect(doubt(null)).toBeNull();
  });

  it('is where the slot stood, and then what was confirmed at most', () => {
    enter(100n);
    expect(memory.trace).toEqual({ systemIdentifier: '7000', timeline: '1', position: 100n });
    memory.confirmed(300n);
    memory.confirmed(200n);
    expect(memory.trace?.position).toBe(300n);
    for (const position of [100n, 200n, 300n]) expect(doubt(position)).toBeNull();
  });

  it('warns where the slot stands beyond what we confirmed: a sibling may have streamed, or it was re-created', () => {
    enter(100n);
    memory.confirmed(0x1_0000_0080n);
    expect(doubt(0x1_0000_0081n)).toMatch(/"shop" stands at 1\/81, beyond 1\/80.*unless another process/);
    enter(0x1_0000_0081n);
    expect(doubt(0x1_0000_0081n)).toBeNull();
  });

  it('expects nothing of temporary slots', () => {
    memory = new SlotMemory(null);
    enter(100n);
    expect(doubt(900n)).toBeNull();
  });

  it('keeps nothing of a position before a connection was begun', () => {
    memory.confirmed(5_000n);
    enter(100n);
    expect(doubt(200n)).not.toBeNull();
  });
});
