import { beforeEach, describe, expect, it } from '@jest/globals';
import { DeliveryProgress } from '#lib/replication/delivery-progress.js';
import { identity } from '../../support/history.js';

let progress: DeliveryProgress;
beforeEach(() => {
  progress = new DeliveryProgress();
});

describe('DeliveryProgress', () => {
  it('knows nothing at first', () => {
    expect(progress.isSettled(0n)).toBe(false);
    expect(progress.isSettled(1n)).toBe(false);
    expect(progress.isMessageSettled(1n)).toBe(false);
  });

  it('takes a transaction for settled whose commit record lies before the end of what is settled', () => {
    progress.settledUpTo(0x130n);
    expect([0x100n, 0x12fn, 0x130n, 0x131n].map((lsn) => progress.isSettled(lsn))).toEqual([true, true, false, false]);
  });

  it('takes a message for settled at its own LSN', () => {
    progress.messageSettled(0x50n);
    expect([0x4fn, 0x50n, 0x51n].map((lsn) => progress.isMessageSettled(lsn))).toEqual([true, true, false]);
    expect(progress.isSettled(0x10n)).toBe(false);
  });

  it('never goes back', () => {
    progress.settledUpTo(100n);
    progress.settledUpTo(50n);
    progress.messageSettled(100n);
    progress.messageSettled(50n);
    expect(progress.isSettled(99n)).toBe(true);
    expect(progress.isMessageSettled(100n)).toBe(true);
  });

  it('keeps what it knows over connections to one history of one cluster', () => {
    expect(progress.enter(identity('7000', '1', 1_000n))).toBe(false);
    progress.settledUpTo(100n);
    expect(progress.enter(identity('7000', '1', 1_000n))).toBe(false);
    expect(progress.isSettled(99n)).toBe(true);
  });

  it.each([
    ['another cluster', '7001', '1'],
    ['a promotion', '7000', '2'],
  ])('forgets everything on %s, and says so', (_name, systemIdentifier, timeline) => {
    progress.enter(identity('7000', '1', 1_000n));
    const { era } = progress;
    progress.settledUpTo(100n);
    progress.messageSettled(100n);
    expect(progress.enter(identity('7000', '1', 1_000n))).toBe(false);
    expect(progress.era).toBe(era);
    expect(progress.enter(identity(systemIdentifier, timeline, 1_000n))).toBe(true);
    expect(progress.era).not.toBe(era);
    expect(progress.isSettled(1n)).toBe(false);
    expect(progress.isMessageSettled(1n)).toBe(false);
    expect(progress.enter(identity(systemIdentifier, timeline, 1_000n))).toBe(false);
  });

  it('forgets everything on a server that was put back: its log ends before what was settled', () => {
    progress.enter(identity('7000', '1', 1_000n));
    progress.settledUpTo(900n);
    expect(progress.enter(identity('7000', '1', 900n))).toBe(false);
    expect(progress.enter(identity('7000', '1', 899n))).toBe(true);
    expect(progress.isSettled(1n)).toBe(false);
  });

  it('knows such a server by anything that was seen of the log, and finds it out once: it may have grown the next time', () => {
    const before = (): void => {
      progress = new DeliveryProgress();
      progress.enter(identity('7000', '1', 1_000n));
      progress.settledUpTo(400n);
    };
    before();
    progress.delivered(900n);
    expect(progress.enter(identity('7000', '1', 899n))).toBe(true);
    before();
    expect(progress.enter(identity('7000', '1', 500n), 500n)).toBe(false);
    const { history, era } = progress;
    expect(progress.enter(identity('7000', '1', 499n), 500n)).toBe(true);
    expect([progress.history, progress.era]).toEqual([history, era + 1]);
    expect(progress.history).not.toBe(history);
    // Not judged yet: an error came in between.
    expect(progress.reached).toBe(500n);
    expect(progress.enter(identity('7000', '1', 480n))).toBe(false);
    expect(progress.reached).toBe(500n);
    progress.judged();
    expect(progress.reached).toBe(0n);
    progress.delivered(490n);
    progress.judged();
    expect(progress.reached).toBe(490n);
    expect(progress.enter(identity('7000', '1', 2_000n), 490n)).toBe(false);
  });
});
