import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TransactionHolds, type Hold } from '#lib/events/transaction-holds.js';

/** A transaction as the stream and its lanes have it. */
interface Told {
  readonly commitLsn: bigint;
  /** Changes in lanes, each with the hold that the lane was given. */
  readonly lanes: Hold[];
  isCommitted: boolean;
  /** Of every connection that brought its Commit. */
  readonly units: { settled: number; settle(): void }[];
}

type Step =
  { readonly kind: 'change' | 'commit' | 'begin' } | { readonly kind: 'done' | 'again'; readonly which: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('change' as const, 'change' as const, 'commit' as const, 'begin' as const) }),
  fc.record({ kind: fc.constantFrom('done' as const, 'done' as const, 'again' as const), which: fc.nat(50) }),
);
const steps = fc.array(step, { maxLength: 80 });

class Driver {
  readonly holds = new TransactionHolds();
  readonly told: Told[] = [];

  step(each: Step): void {
    const open = this.told.at(-1);
    if (each.kind === 'begin' && (open === undefined || open.isCommitted)) {
      this.told.push({ commitLsn: BigInt(this.told.length + 1) * 100n, lanes: [], isCommitted: false, units: [] });
    } else if (each.kind === 'change' && open?.isCommitted === false) {
      open.lanes.push(this.holds.add(open.commitLsn));
    } else if (each.kind === 'commit' && open?.isCommitted === false) {
      open.isCommitted = true;
      this.commit(open);
    } else if (each.kind === 'done') {
      const busy = this.told.filter(({ lanes }) => lanes.length > 0);
      const chosen = busy[each.which % Math.max(busy.length, 1)];
      if (chosen !== undefined) this.holds.done(chosen.lanes.shift()!);
    } else if (each.kind === 'again') {
      // The next connection: what is held is told again, in order.
      const again = this.told.filter(({ isCommitted, commitLsn }) => isCommitted && this.holds.has(commitLsn));
      for (const one of again) if (this.holds.has(one.commitLsn)) this.commit(one);
    }
  }

  private commit(told: Told): void {
    const unit = { settled: 0, settle: () => void unit.settled++ };
    told.units.push(unit);
    this.holds.commit(told.commitLsn, unit);
  }

  /** Not done: changes in lanes, or its Commit to come. */
  isUnfinished({ lanes, isCommitted }: Told): boolean {
    return lanes.length > 0 || !isCommitted;
  }
}

function run(all: readonly Step[], afterEach: (driver: Driver) => void): Driver {
  const driver = new Driver();
  for (const each of all) {
    driver.step(each);
    afterEach(driver);
  }
  return driver;
}

describe('transactions that lanes have something of', () => {
  it('are settled when all of them is done and the Commit is there: not before, at once then, and once', () => {
    fc.assert(
      fc.property(steps, (all) => {
        run(all, (driver) => {
          for (const told of driver.told) {
            const last = told.units.at(-1);
            if (driver.isUnfinished(told)) expect(told.units.map(({ settled }) => settled).filter(Boolean)).toEqual([]);
            else expect(last!.settled).toBe(1);
            for (const { settled } of told.units) expect(settled).toBeLessThanOrEqual(1);
          }
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it('are recognised for as long as something before them, or they themselves, may be sent again', () => {
    fc.assert(
      fc.property(steps, (all) => {
        run(all, ({ holds, told }) => {
          const first = told.findIndex((each) => each.lanes.length > 0);
          if (first < 0) return;
          for (const each of told.slice(first)) {
            if (each.isCommitted || each.lanes.length > 0) expect(holds.has(each.commitLsn)).toBe(true);
          }
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('are forgotten as soon as nothing before them is unfinished: what is remembered is bounded by what is in flight', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const driver = run(all, (now) => {
          const first = now.told.findIndex((each) => now.isUnfinished(each));
          const most = first < 0 ? 0 : now.told.length - first;
          expect(now.holds.size).toBeLessThanOrEqual(most);
        });
        const open = driver.told.at(-1);
        if (open?.isCommitted === false) driver.step({ kind: 'commit' });
        while (driver.told.some(({ lanes }) => lanes.length > 0)) driver.step({ kind: 'done', which: 3 });
        expect(driver.holds.size).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are forgotten where others have confirmed them, and what still runs of them may end', () => {
    const holds = new TransactionHolds();
    const [one, two] = [holds.add(100n), holds.add(200n)];
    holds.commit(100n, { settle: () => undefined });
    holds.confirmedUpTo(150n);
    expect([holds.has(100n), holds.has(200n)]).toEqual([false, true]);
    holds.done(one);
    expect(holds.size).toBe(1);
    let settled = 0;
    holds.commit(200n, { settle: () => settled++ });
    holds.done(two);
    expect([settled, holds.size]).toEqual([1, 0]);
  });

  it('of a history that is over have nothing to do with those of the next one at the same place', () => {
    const holds = new TransactionHolds();
    const old = holds.add(100n);
    holds.clear();
    let settled = 0;
    const mine = holds.add(100n);
    holds.commit(100n, { settle: () => settled++ });
    holds.done(old);
    expect(settled).toBe(0);
    holds.done(mine);
    expect(settled).toBe(1);
  });
});
