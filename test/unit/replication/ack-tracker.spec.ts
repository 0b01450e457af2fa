import { describe, expect, it } from '@jest/globals';
import { AckTracker, type AckUnit } from '#lib/replication/ack-tracker.js';

describe('AckTracker', () => {
  function closedUnit(tracker: AckTracker, endLsn: bigint): AckUnit {
    const unit = tracker.open();
    tracker.close(unit, endLsn);
    return unit;
  }

  it('starts empty', () => {
    expect(new AckTracker()).toMatchObject({ confirmable: 0n, settledEnd: 0n, unsettled: 0 });
  });

  it('confirms the exact end of a transaction when it is settled, not when it is received', () => {
    const tracker = new AckTracker();
    const unit = tracker.open();
    tracker.close(unit, 0x130n);
    expect(tracker.confirmable).toBe(0n);
    tracker.settle(unit);
    expect(tracker.confirmable).toBe(0x130n);
  });

  it('waits for the end of a unit that settles early', () => {
    const tracker = new AckTracker();
    const unit = tracker.open();
    tracker.settle(unit);
    expect(tracker.confirmable).toBe(0n);
    tracker.close(unit, 7n);
    expect(tracker.confirmable).toBe(7n);
  });

  it('holds the position at the first unsettled unit, and catches up when it settles', () => {
    const tracker = new AckTracker();
    const [first, second, third] = [closedUnit(tracker, 10n), closedUnit(tracker, 20n), closedUnit(tracker, 30n)];
    tracker.settle(third);
    tracker.settle(second);
    expect(tracker).toMatchObject({ confirmable: 0n, unsettled: 1 });
    tracker.settle(first);
    expect(tracker).toMatchObject({ confirmable: 30n, settledEnd: 30n, unsettled: 0 });
  });

  it('confirms a keepalive at once where nothing is unsettled', () => {
    const tracker = new AckTracker();
    tracker.keepalive(50n);
    expect(tracker.confirmable).toBe(50n);
    tracker.settle(closedUnit(tracker, 60n));
    tracker.keepalive(70n);
    expect(tracker).toMatchObject({ confirmable: 70n, settledEnd: 60n });
  });

  it('ignores a keepalive inside of an open unit, then and later', () => {
    const tracker = new AckTracker();
    const unit = tracker.open();
    tracker.keepalive(50n);
    expect(tracker.confirmable).toBe(0n);
    tracker.close(unit, 40n);
    tracker.settle(unit);
    expect(tracker.confirmable).toBe(40n);
  });

  it('applies a keepalive behind unsettled units when they settle, and not before', () => {
    const tracker = new AckTracker();
    const first = closedUnit(tracker, 10n);
    const second = closedUnit(tracker, 20n);
    tracker.keepalive(50n);
    tracker.keepalive(45n);
    const third = closedUnit(tracker, 60n);
    tracker.settle(second);
    expect(tracker.confirmable).toBe(0n);
    tracker.settle(first);
    expect(tracker).toMatchObject({ confirmable: 50n, settledEnd: 20n });
    tracker.settle(third);
    expect(tracker.confirmable).toBe(60n);
  });

  it('does not go back for a keepalive of the past', () => {
    const tracker = new AckTracker();
    tracker.keepalive(50n);
    tracker.keepalive(40n);
    expect(tracker.confirmable).toBe(50n);
  });

  it('takes a unit that is settled twice for settled once', () => {
    const tracker = new AckTracker();
    const [first, second] = [closedUnit(tracker, 10n), closedUnit(tracker, 20n)];
    tracker.settle(first);
    tracker.settle(first);
    expect(tracker).toMatchObject({ confirmable: 10n, unsettled: 1 });
    tracker.settle(second);
    expect(tracker.unsettled).toBe(0);
  });

  it('keeps its order over queues of many thousand units', () => {
    const tracker = new AckTracker();
    const units = Array.from({ length: 5_000 }, (_, index) => closedUnit(tracker, BigInt(index + 1)));
    const held = units.splice(3_000, 1)[0]!;
    units.forEach((unit) => tracker.settle(unit));
    expect(tracker).toMatchObject({ confirmable: 3_000n, unsettled: 1 });
    const late = closedUnit(tracker, 6_000n);
    tracker.settle(held);
    expect(tracker).toMatchObject({ confirmable: 5_000n, unsettled: 1 });
    tracker.settle(late);
    expect(tracker).toMatchObject({ confirmable: 6_000n, unsettled: 0 });
  });

  it('needs no memory for settled units behind one that is not', () => {
    const tracker = new AckTracker();
    const held = closedUnit(tracker, 1n);
    for (let end = 2n; end <= 50_000n; end++) tracker.settle(closedUnit(tracker, end));
    expect((tracker as unknown as { queue: unknown[] }).queue).toHaveLength(2);
    tracker.settle(held);
    expect(tracker).toMatchObject({ confirmable: 50_000n, settledEnd: 50_000n, unsettled: 0 });
  });

  describe('where what handlers have written has to be passed first', () => {
    it('confirms a unit when the stream has passed it: by a keepalive, or by the end of another unit', () => {
      const tracker = new AckTracker();
      const [first, second] = [closedUnit(tracker, 10n), closedUnit(tracker, 20n)];
      tracker.settle(first, true, 35n);
      expect(tracker).toMatchObject({ confirmable: 0n, settledEnd: 10n, unsettled: 1 });
      tracker.settle(second, true, 45n);
      expect(tracker).toMatchObject({ confirmable: 0n, settledEnd: 20n, unsettled: 0 });
      tracker.keepalive(34n);
      expect(tracker.confirmable).toBe(0n);
      closedUnit(tracker, 40n);
      expect(tracker.confirmable).toBe(10n);
      tracker.keepalive(45n);
      // The keepalive that came behind it.
      expect(tracker.confirmable).toBe(34n);
    });

    it('confirms nothing behind such a unit before it', () => {
      const tracker = new AckTracker();
      tracker.settle(closedUnit(tracker, 10n), true, 100n);
      tracker.settle(closedUnit(tracker, 20n), false);
      tracker.keepalive(50n);
      expect(tracker.confirmable).toBe(0n);
      tracker.keepalive(100n);
      expect(tracker.confirmable).toBe(100n);
    });

    it('keeps some of the ends, however far the stream is behind what is written', () => {
      const tracker = new AckTracker();
      const held = (): number => (tracker as unknown as { held: unknown[] }).held.length;
      for (let end = 1n; end <= 25_000n; end++) tracker.settle(closedUnit(tracker, end), true, 100_000n + end);
      expect(held()).toBe(10_000);
      tracker.keepalive(109_999n);
      expect(tracker.confirmable).toBe(9_999n);
      // Those that were put together are behind the last of them.
      tracker.keepalive(124_999n);
      expect(tracker.confirmable).toBe(9_999n);
      tracker.keepalive(125_000n);
      expect([tracker.confirmable, held()]).toEqual([125_000n, 0]);
      tracker.settle(closedUnit(tracker, 125_001n), true, 125_001n);
      expect([tracker.confirmable, held()]).toEqual([125_001n, 0]);
    });

    it('is at once where the stream is there already', () => {
      const tracker = new AckTracker();
      const [first, second] = [closedUnit(tracker, 10n), closedUnit(tracker, 20n)];
      tracker.settle(second, true, 15n);
      tracker.settle(first, true, 20n);
      expect(tracker.confirmable).toBe(20n);
    });
  });
});
