import { describe, expect, it } from '@jest/globals';
import { throwError } from 'rxjs';
import type { RowChange } from '#lib/changes/change.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { turns, until } from '../waiting.js';
import { Deferred, DispatcherBench, type HandlerSpec } from './dispatcher-bench.js';

const WAYS_TO_FAIL: readonly (readonly [string, () => unknown])[] = [
  [
    'throws',
    () => {
      throw new Error('no luck');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no luck'))],
  ['returns an Observable that errors', () => throwError(() => new Error('no luck'))],
  ['throws something that is no error', () => Promise.reject('no luck' as unknown as Error)],
];

/** Fails a number of times, then succeeds; notes the attempts. */
function failing(times: number, fail: () => unknown, attempts: number[]): HandlerSpec {
  return {
    id: 'Orders.onChange',
    run: (_change: RowChange, { attempt }: PgListenerContext) => {
      attempts.push(attempt);
      return attempts.length > times ? undefined : fail();
    },
  };
}

describe.each(WAYS_TO_FAIL)('a handler that %s', (_way, fail) => {
  it('is tried again, and its context counts the attempts', async () => {
    const attempts: number[] = [];
    const bench = new DispatcherBench([failing(2, fail, attempts)]);
    const [transaction] = bench.deliver(1);
    expect(transaction!.settled).toBe(0);
    await until(() => transaction!.settled === 1);
    expect(attempts).toEqual([1, 2, 3]);
    expect(bench.dispatcher.changesHandled).toBe(1);
    expect(bench.dispatcher.desk).toMatchObject({ failures: 2, blockedHandler: null });
  });

  it('holds everything behind it until it succeeds', async () => {
    const attempts: number[] = [];
    const bench = new DispatcherBench([failing(2, fail, attempts)]);
    const transactions = bench.deliver(1, 2);
    await until(() => transactions[1]!.settled === 1);
    expect(transactions[0]!.settled).toBe(1);
    expect(attempts).toEqual([1, 2, 3, 1]);
  });

  it('is tried on beyond its attempts, loudly, and known as blocked until it succeeds', async () => {
    const attempts: number[] = [];
    const bench = new DispatcherBench([failing(6, fail, attempts)]);
    const [transaction] = bench.deliver(1);
    await until(() => attempts.length >= 5);
    expect(bench.dispatcher.desk.blockedHandler).toBe('Orders.onChange');
    await until(() => transaction!.settled === 1);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
    expect(bench.errors.map((error) => error.includes('the position holds until it succeeds'))).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
  });

  it('is told in the log with handler, change and reason, and no value of the row', async () => {
    const bench = new DispatcherBench([failing(1, fail, [])]);
    const transaction = bench.transaction(0x100n).change(4_711).commit();
    await until(() => transaction.settled === 1);
    expect(bench.errors).toHaveLength(1);
    expect(bench.errors[0]).toContain('Handler Orders.onChange failed on insert of public.orders (0/100/0)');
    expect(bench.errors[0]).toContain('(attempt 1): no luck; next try in 1 ms');
    expect(bench.errors[0]).not.toContain('4711');
  });
});

describe('a failure', () => {
  it('shows its stack at the first attempt and at the last one of the policy, not each time', async () => {
    const bench = new DispatcherBench([failing(6, () => Promise.reject(new Error('no luck')), [])]);
    const [transaction] = bench.deliver(1);
    await until(() => transaction!.settled === 1);
    expect(bench.stacks.map((stack) => stack !== undefined)).toEqual([true, false, true, false, false, false]);
    expect(bench.stacks[0]).toContain('Error: no luck');
  });

  it('of one handler does not run the ones before it again', async () => {
    const seen: string[] = [];
    let failures = 1;
    const bench = new DispatcherBench([
      { id: 'a', run: () => void seen.push('a') },
      {
        id: 'b',
        run: async () => {
          seen.push('b');
          if (failures-- > 0) throw new Error('once');
        },
      },
      { id: 'c', run: () => void seen.push('c') },
    ]);
    const [transaction] = bench.deliver(1);
    await until(() => transaction!.settled === 1);
    expect(seen).toEqual(['a', 'b', 'b', 'c']);
  });

  it('of one handler does not count as an attempt of the next', async () => {
    const attempts: Record<string, number[]> = { a: [], b: [] };
    const spec = (id: 'a' | 'b', isSync: boolean): HandlerSpec => ({
      id,
      run: (_change: RowChange, { attempt }: PgListenerContext) => {
        attempts[id]!.push(attempt);
        if (attempts[id]!.length > 2) return undefined;
        if (isSync) throw new Error('again');
        return Promise.reject(new Error('again'));
      },
    });
    const bench = new DispatcherBench([spec('a', true), spec('b', false)]);
    const [transaction] = bench.deliver(1);
    await until(() => transaction!.settled === 1);
    expect(attempts).toEqual({ a: [1, 2, 3], b: [1, 2, 3] });
  });

  it('that is over blocks no more, although the next handler of the change still runs', async () => {
    const wait = new Deferred();
    let failures = 4;
    const bench = new DispatcherBench([
      {
        id: 'a',
        run: () => {
          if (failures-- > 0) throw new Error('again');
        },
      },
      { id: 'b', run: () => wait.promise },
    ]);
    const [transaction] = bench.deliver(1);
    await until(() => failures < 0);
    await turns();
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
    wait.resolve();
    await until(() => transaction!.settled === 1);
  });

  it("obeys the handler's own retry options", async () => {
    const attempts: number[] = [];
    const spec = failing(3, () => Promise.reject(new Error('again')), attempts);
    const bench = new DispatcherBench([{ ...spec, retry: { attempts: 1, maxDelayMs: 1 } }]);
    const [transaction] = bench.deliver(1);
    await until(() => transaction!.settled === 1);
    expect(bench.errors.every((error) => error.includes('the position holds'))).toBe(true);
  });

  it('of a handler of messages or of whole transactions is tried again as well', async () => {
    const attempts: number[] = [];
    const again = failing(2, () => Promise.reject(new Error('again')), attempts);
    const bench = new DispatcherBench([
      { ...again, kind: 'message', id: 'Outbox.onMessage' },
      { ...again, kind: 'transaction', id: 'Audit.onCommit' },
    ]);
    const isSettled = bench.message(0x50n);
    await until(isSettled);
    expect(bench.errors[0]).toContain('Outbox.onMessage failed on the message with prefix "outbox" (0/50)');
    attempts.length = 0;
    const [transaction] = bench.deliver(1);
    await until(() => transaction!.settled === 1);
    expect(attempts).toEqual([1, 2, 3]);
    expect(bench.errors.at(-1)).toContain('Audit.onCommit failed on the transaction committed at 0/100');
  });
});
