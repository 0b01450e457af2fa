import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KeyScheduler, type Scheduled } from '#lib/events/lanes/key-scheduler.js';
import { WHOLE_TABLE } from '#lib/interfaces/parked-store.interface.js';

interface Item extends Scheduled {
  readonly number: number;
}

type Step =
  | { readonly kind: 'add'; readonly table: string; readonly keys: readonly string[] }
  | { readonly kind: 'take'; readonly size: number }
  | { readonly kind: 'finish'; readonly which: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const keys = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(key) },
  { weight: 3, arbitrary: fc.tuple(key, key).filter(([one, two]) => one !== two) },
  { weight: 1, arbitrary: fc.constant([WHOLE_TABLE]) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), table: fc.constantFrom('t', 'u'), keys }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take' as const), size: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(10) }) },
);
const steps = fc.array(step, { maxLength: 80 });

/** The rule, said as simply as can be. */
function areOrdered(one: Item, two: Item): boolean {
  if (one.table !== two.table) return false;
  return [one, two].some((each) => each.keys.includes(WHOLE_TABLE)) || one.keys.some((each) => two.keys.includes(each));
}

/** Drives a scheduler, and keeps all that was ever added in a list. */
class Driver {
  readonly scheduler = new KeyScheduler<Item>();
  readonly added: Item[] = [];
  readonly finished = new Set<Item>();
  readonly taken = new Set<Item>();
  readonly bunches: Item[][] = [];

  step(each: Step): void {
    if (each.kind === 'add') this.add(each.table, each.keys);
    else if (each.kind === 'take') this.take(each.size);
    else if (this.bunches.length > 0) this.finish(each.which % this.bunches.length);
  }

  add(table: string, itsKeys: readonly string[]): void {
    const item: Item = {
      number: this.added.length,
      table,
      keys: itsKeys,
      blockers: 0,
      dependents: null,
      tail: null,
    };
    this.added.push(item);
    this.scheduler.add(item);
  }

  take(size: number): void {
    const isFull = this.scheduler.fills(size);
    const bunch = this.scheduler.take(size);
    expect(bunch.length).toBeLessThanOrEqual(size);
    expect(isFull).toBe(bunch.length === size);
    const mine = new Set<Item>();
    for (const item of bunch) {
      expect(this.taken.has(item)).toBe(false);
      // All that it has an order with is done, or stands before it in its own bunch.
      const before = this.added.slice(0, item.number).filter((other) => areOrdered(item, other));
      expect(before.filter((other) => !this.finished.has(other) && !mine.has(other))).toEqual([]);
      mine.add(item);
      this.taken.add(item);
    }
    if (bunch.length > 0) this.bunches.push(bunch);
  }

  finish(which: number): void {
    const [bunch] = this.bunches.splice(which, 1);
    this.scheduler.finish(bunch!);
    for (const item of bunch!) this.finished.add(item);
  }

  /** What could be taken now, by the rule. */
  get free(): Item[] {
    const open = this.added.filter((item) => !this.finished.has(item));
    return open.filter(
      (item) => !this.taken.has(item) && !open.some((other) => other.number < item.number && areOrdered(item, other)),
    );
  }
}

describe('who may run side by side, whatever is added, taken and finished in whatever order', () => {
  it('nobody who shares a key with something unfinished, and the order of each key is that of adding', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const driver = new Driver();
        for (const each of all) driver.step(each);
        const running = driver.bunches;
        for (const [index, bunch] of running.entries()) {
          for (const other of running.slice(index + 1)) {
            expect(bunch.some((one) => other.some((two) => areOrdered(one, two)))).toBe(false);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('everybody else: what is free can be taken at once', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const driver = new Driver();
        for (const each of all) driver.step(each);
        const { free, scheduler } = driver;
        expect(scheduler.hasReady).toBe(free.length > 0);
        const alone = free.map(() => scheduler.take(1)[0]);
        expect(new Set(alone)).toEqual(new Set(free));
        expect(scheduler.hasReady).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('and in the end everybody has been taken once', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(10)), (all, order) => {
        const driver = new Driver();
        for (const each of all) driver.step(each);
        for (let turn = 0; driver.finished.size < driver.added.length; turn++) {
          driver.take(1 + (turn % 3));
          expect(driver.bunches.length).toBeGreaterThan(0);
          driver.finish((order[turn % Math.max(order.length, 1)] ?? 0) % driver.bunches.length);
        }
        expect(driver.taken.size).toBe(driver.added.length);
        expect(driver.scheduler.waiting).toBe(0);
        expect(driver.scheduler.take(10)).toEqual([]);
        // Nothing of them is remembered.
        const tables = (
          driver.scheduler as unknown as {
            tables: Map<string, { tails: Map<string, { item: Item | null }>; whole: unknown }>;
          }
        ).tables;
        for (const { tails, whole } of tables.values()) {
          expect([[...tails.values()].filter(({ item }) => item !== null), whole]).toEqual([[], null]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('the oldest first, where all are free', () => {
    const driver = new Driver();
    for (let number = 0; number < 5_000; number++) driver.add('t', [`key ${number}`]);
    const order: number[] = [];
    while (driver.scheduler.hasReady) order.push(...driver.scheduler.take(7).map(({ number }) => number));
    expect(order).toEqual(driver.added.map(({ number }) => number));
  });

  it('nobody any more, after it was cleared', () => {
    const driver = new Driver();
    driver.add('t', ['a']);
    driver.add('t', ['a']);
    driver.scheduler.clear();
    expect(driver.scheduler).toMatchObject({ hasReady: false, waiting: 0 });
    driver.add('t', ['a']);
    expect(driver.scheduler.take(3)).toHaveLength(1);
  });
});

it('keeps some hundred of what is finished at most, whatever number of keys comes by', () => {
  const scheduler = new KeyScheduler<Item>();
  const { tables } = scheduler as unknown as { tables: Map<string, { tails: Map<string, { item: Item | null }> }> };
  let most = 0;
  for (let number = 0; number < 20_000; number++) {
    scheduler.add({ number, table: 't', keys: [`${number}`], blockers: 0, dependents: null, tail: null });
    // Fifty are always on their way.
    if (number >= 50) scheduler.finish(scheduler.take(1));
    most = Math.max(most, tables.get('t')!.tails.size);
  }
  expect(most).toBeLessThan(600);
});
