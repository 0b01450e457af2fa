import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AckTracker, type AckUnit } from '#lib/replication/ack-tracker.js';

/** The same rules, said as simply as can be: the stream as a list, read from its start each time. */
class Model {
  readonly stream: ({ unit: AckUnit; end: bigint | null; settled: boolean; delivered: boolean } | bigint)[] = [];

  get units() {
    return this.stream.filter((each) => typeof each !== 'bigint');
  }

  keepalive(walEnd: bigint): void {
    if (this.units.at(-1)?.end !== null) this.stream.push(walEnd);
  }

  read(): { confirmable: bigint; settledEnd: bigint; deliveredEnd: bigint; unsettled: number } {
    let confirmable = 0n;
    let settledEnd = 0n;
    let deliveredEnd = 0n;
    let isOpen = true;
    let unsettled = 0;
    for (const each of this.stream) {
      const isUnit = typeof each !== 'bigint';
      if (isUnit && !(each.settled && each.end !== null)) isOpen = false;
      if (isUnit && !(each.settled && each.end !== null)) unsettled++;
      if (!isOpen) continue;
      const end = isUnit ? each.end! : each;
      if (end > confirmable) confirmable = end;
      if (isUnit) settledEnd = end;
      if (isUnit && each.delivered) deliveredEnd = end;
    }
    return { confirmable, settledEnd, deliveredEnd, unsettled };
  }
}

type Step = { kind: 'open' | 'close' | 'message' | 'settle' | 'pass' | 'keepalive'; gap: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('open', 'close', 'message', 'settle', 'settle', 'pass', 'pass', 'keepalive'),
  gap: fc.nat(1_000),
});

function run(steps: readonly Step[], afterEach: (tracker: AckTracker, model: Model) => void): void {
  const tracker = new AckTracker();
  const model = new Model();
  let wal = 100n;
  let open: Model['units'][number] | undefined;
  for (const { kind, gap } of steps) {
    wal += BigInt(gap % 100);
    if (kind === 'open' && open === undefined) {
      open = { unit: tracker.open(), end: null, settled: false, delivered: false };
      model.stream.push(open);
    } else if (kind === 'close' && open !== undefined) {
      open.end = ++wal;
      tracker.close(open.unit, open.end);
      open = undefined;
    } else if (kind === 'message' && open === undefined) {
      const message = { unit: tracker.open(), end: ++wal, settled: false, delivered: false };
      tracker.close(message.unit, message.end);
      model.stream.push(message);
    } else if (kind === 'settle' || kind === 'pass') {
      const { units } = model;
      const chosen = units[gap % Math.max(units.length, 1)];
      if (chosen === undefined) continue;
      tracker.settle(chosen.unit, kind === 'settle');
      // The first word counts.
      chosen.delivered = chosen.settled ? chosen.delivered : kind === 'settle';
      chosen.settled = true;
    } else if (kind === 'keepalive') {
      tracker.keepalive(wal);
      model.keepalive(wal);
    }
    afterEach(tracker, model);
  }
}

describe('what may be confirmed, whatever happens in whatever order', () => {
  const steps = fc.array(step, { maxLength: 60 });

  it('is what the rules say', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable, settledEnd, deliveredEnd, unsettled }, model) => {
          expect({ confirmable, settledEnd, deliveredEnd, unsettled }).toEqual(model.read());
        }),
      ),
      { numRuns: 1_000 },
    );
  });

  it('never decreases', () => {
    fc.assert(
      fc.property(steps, (each) => {
        let before = 0n;
        run(each, ({ confirmable }) => {
          expect(confirmable >= before).toBe(true);
          before = confirmable;
        });
      }),
    );
  });

  it('never passes a unit that is not settled, nor anything behind it', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable }, { stream }) => {
          const blocking = stream.findIndex(
            (entry) => typeof entry !== 'bigint' && !(entry.settled && entry.end !== null),
          );
          if (blocking < 0) return;
          for (const entry of stream.slice(blocking)) {
            const end = typeof entry === 'bigint' ? entry : entry.end;
            if (end !== null && typeof entry !== 'bigint') expect(confirmable < end).toBe(true);
          }
        }),
      ),
    );
  });

  it('is nothing but positions that the server has sent: no +1, nothing in between', () => {
    fc.assert(
      fc.property(steps, (each) =>
        run(each, ({ confirmable }, { stream }) => {
          const sent = stream.map((entry) => (typeof entry === 'bigint' ? entry : entry.end));
          expect([0n, ...sent]).toContain(confirmable);
        }),
      ),
    );
  });
});

describe('handlers that settle in any order', () => {
  /** Transactions in stream order, how many of them are read in between two endings, and in which order they end. */
  const lives = fc.record({
    count: fc.integer({ min: 1, max: 12 }),
    order: fc.array(fc.nat(100), { minLength: 40, maxLength: 40 }),
    reads: fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }),
    keepalives: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
  });

  /** Reads and settles until all is settled. */
  function live(
    { count, order, reads, keepalives }: { count: number; order: number[]; reads: number[]; keepalives: boolean[] },
    after: (tracker: AckTracker, ends: readonly bigint[], settled: ReadonlySet<number>) => void,
  ): AckTracker {
    const tracker = new AckTracker();
    const units: AckUnit[] = [];
    const ends: bigint[] = [];
    const settled = new Set<number>();
    for (let turn = 0; settled.size < count; turn++) {
      for (let read = reads[turn % 40]!; read > 0 && units.length < count; read--) {
        const unit = tracker.open();
        units.push(unit);
        ends.push(BigInt(units.length) * 100n);
        tracker.close(unit, ends.at(-1)!);
        // Behind it, and before the next one.
        if (keepalives[units.length]) tracker.keepalive(ends.at(-1)! + 50n);
      }
      if (units.length === 0 && turn > 40) return tracker;
      const open = units.map((_, index) => index).filter((index) => !settled.has(index));
      const chosen = open[order[turn % 40]! % Math.max(open.length, 1)];
      if (chosen === undefined) {
        if (turn > 200) return tracker;
        continue;
      }
      tracker.settle(units[chosen]!);
      settled.add(chosen);
      after(tracker, ends, settled);
    }
    return tracker;
  }

  it('move the position to the end of the settled prefix, exactly, and to a keepalive behind it at most', () => {
    fc.assert(
      fc.property(lives, (each) => {
        live(each, ({ confirmable, settledEnd }, ends, settled) => {
          const prefix = ends.findIndex((_, index) => !settled.has(index));
          const done = prefix < 0 ? ends.length : prefix;
          const end = done === 0 ? 0n : ends[done - 1]!;
          expect(settledEnd).toBe(end);
          const keepalive = done > 0 && each.keepalives[done] ? end + 50n : end;
          expect(confirmable).toBe(keepalive);
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('end where those end that settle in order', () => {
    fc.assert(
      fc.property(lives, (each) => {
        const anyOrder = live(each, () => undefined);
        const inOrder = live({ ...each, order: each.order.map(() => 0) }, () => undefined);
        const result = ({ confirmable, settledEnd, unsettled }: AckTracker) => ({ confirmable, settledEnd, unsettled });
        expect(result(anyOrder)).toEqual(result(inOrder));
      }),
    );
  });

  it('may settle one unit twice: the second time says nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 1, maxLength: 20 }), (order) => {
        const tracker = new AckTracker();
        const units = [1n, 2n, 3n, 4n, 5n].map((end) => {
          const unit = tracker.open();
          tracker.close(unit, end);
          return unit;
        });
        const settled = new Set<number>();
        for (const index of order) {
          tracker.settle(units[index]!);
          settled.add(index);
          expect(tracker.unsettled).toBe(5 - settled.size);
        }
      }),
    );
  });
});
