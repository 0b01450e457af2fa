import { describe, expect, it } from '@jest/globals';
import { TransactionalCalls } from '#lib/events/effects/transactional-calls.js';
import { SlotInUseError } from '#lib/errors/replication.error.js';
import type { EffectsStore, EffectsTask } from '#lib/interfaces/effects-store.interface.js';
import { HISTORY } from '../../../support/history.js';

const ITEMS = [1, 2, 3, 4].map((number) => ({
  commitLsn: BigInt(number),
  walHigh: 0,
  walLow: number,
  ordinal: 0,
  history: HISTORY,
}));
const [ONE, TWO, THREE, FOUR] = ITEMS as [(typeof ITEMS)[0], (typeof ITEMS)[0], (typeof ITEMS)[0], (typeof ITEMS)[0]];

/** Commits what its body does not reject; knows some places as done. */
class FakeStore implements EffectsStore {
  readonly writtenUpTo = 0n;
  readonly transactions: ('committed' | 'rolled back')[] = [];
  done: readonly number[] = [];
  failure: Error | null = null;

  async open(): Promise<void> {}
  async fold(): Promise<void> {}
  forget(): void {}
  async close(): Promise<void> {}
  async run<T>({ places, body }: EffectsTask<T>): Promise<T | undefined> {
    if (this.failure !== null) throw this.failure;
    const open = [...places.keys()].filter((index) => !this.done.includes(places[index]!.walLow));
    if (open.length === 0) return undefined;
    try {
      const result = await body(undefined as never, open);
      this.transactions.push('committed');
      return result;
    } catch (error) {
      this.transactions.push('rolled back');
      throw error;
    }
  }
}

function callsOf(isBatch: boolean) {
  const store = new FakeStore();
  const superseded: Error[] = [];
  const calls = new TransactionalCalls('orders', store, isBatch, (error) => superseded.push(error));
  const seen: number[][] = [];
  const run = (handle: (ids: number[]) => unknown, items = ITEMS, signal = new AbortController().signal) =>
    calls.run({
      items,
      xid: 1,
      parkedId: null,
      signal,
      invoke: (_, given) => {
        const ids = given.map(({ walLow }) => walLow);
        seen.push(ids);
        return handle(ids);
      },
    });
  return { store, superseded, calls, seen, run };
}

describe('a call in a transaction', () => {
  it('leaves out what is done already, and counts it', async () => {
    const { store, calls, seen, run } = callsOf(true);
    store.done = [1, 3];
    await expect(run(() => undefined)).resolves.toBeUndefined();
    expect(seen).toEqual([[2, 4]]);
    expect(calls.repeats).toBe(2);
    store.done = [1, 2, 3, 4];
    await run(() => undefined);
    expect(seen).toHaveLength(1);
    expect(calls.repeats).toBe(6);
  });

  it('keeps nothing of an array of which some items failed, and calls again with the others', async () => {
    const { store, seen, run } = callsOf(true);
    const no = new Error('no');
    const results = await run((ids) => ids.map((id) => (id === 2 ? no : undefined)));
    expect(results).toEqual([undefined, { status: 'rejected', reason: no }, undefined, undefined]);
    expect(seen).toEqual([
      [1, 2, 3, 4],
      [1, 3, 4],
    ]);
    expect(store.transactions).toEqual(['rolled back', 'committed']);
  });

  it('goes on until none of those that are left fails, or none is left', async () => {
    const { store, seen, run } = callsOf(true);
    // Each time the last one.
    const results = (await run((ids) => ids.map((id) => (id === ids.at(-1) ? new Error(String(id)) : 0)))) as unknown[];
    expect(results.map((result) => (result as { reason: Error }).reason.message)).toEqual(['1', '2', '3', '4']);
    expect(seen.map(({ length }) => length)).toEqual([4, 3, 2, 1]);
    expect(store.transactions).toEqual(['rolled back', 'rolled back', 'rolled back', 'rolled back']);
  });

  it('does not read the result of a handler of single changes', async () => {
    const { store, run } = callsOf(false);
    await expect(run(() => [new Error('what a handler returns')], [ONE])).resolves.toBeUndefined();
    expect(store.transactions).toEqual(['committed']);
  });

  it('passes on what the handler throws', async () => {
    const { store, run } = callsOf(true);
    const no = new Error('no');
    await expect(
      run(() => {
        throw no;
      }, [TWO, THREE]),
    ).rejects.toBe(no);
    expect(store.transactions).toEqual(['rolled back']);
  });

  it('tells of another process that has taken over, once: what was given up knows already', async () => {
    const { store, superseded, run } = callsOf(false);
    store.failure = new SlotInUseError('another one');
    await expect(run(() => undefined, [FOUR])).rejects.toBe(store.failure);
    expect(superseded).toEqual([store.failure]);
    await expect(run(() => undefined, [FOUR], AbortSignal.abort())).rejects.toBe(store.failure);
    expect(superseded).toHaveLength(1);
  });
});
