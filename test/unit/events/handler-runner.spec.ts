import { describe, expect, it } from '@jest/globals';
import { EMPTY, of, throwError } from 'rxjs';
import { TransactionInfo } from '#lib/changes/transaction.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { RETRY, runnerOf } from './dispatcher-bench.js';

const TRANSACTION = new TransactionInfo('default', 0x100n, 1, new Date(0));
const { signal } = new AbortController();

function resultOf(run: () => unknown): PromiseLike<unknown> | undefined {
  return runnerOf({ run }).run({}, TRANSACTION, 1, signal);
}

describe('what a handler returns', () => {
  it.each([[undefined], [null], [0], ['text'], [true], [{}], [[1]], [() => 1]])('is done at once: %p', (value) => {
    expect(resultOf(() => value)).toBeUndefined();
  });

  it('is waited for where it is a promise: that very one', () => {
    const promise = Promise.resolve(1);
    expect(resultOf(() => promise)).toBe(promise);
  });

  it('is waited for where it can be awaited, and settles once', async () => {
    // eslint-disable-next-line unicorn/no-thenable
    const thenable = { then: (resolve: (value: number) => void) => [resolve(1), resolve(2)] };
    expect(await resultOf(() => thenable)).toBe(1);
  });

  it('is waited for where it is an Observable: until it completes, with or without values', async () => {
    expect(await resultOf(() => of(1, 2))).toBe(2);
    expect(await resultOf(() => EMPTY)).toBeUndefined();
    await expect(resultOf(() => throwError(() => new Error('no luck')))).rejects.toThrow('no luck');
  });

  it('is thrown on where a synchronous handler throws', () => {
    expect(() =>
      resultOf(() => {
        throw new Error('no luck');
      }),
    ).toThrow('no luck');
  });
});

describe('the context of a handler', () => {
  const contexts: PgListenerContext[] = [];
  const runner = runnerOf({ id: 'A.b', run: (_: unknown, context) => void contexts.push(context) });

  it('says who is called, for the how-manieth time, and in which transaction', () => {
    runner.run({}, TRANSACTION, 1, signal);
    runner.run({}, TRANSACTION, 2, signal);
    expect(contexts.map(({ app, handler, attempt }) => ({ app, handler, attempt }))).toEqual([
      { app: 'default', handler: 'A.b', attempt: 1 },
      { app: 'default', handler: 'A.b', attempt: 2 },
    ]);
    expect(contexts.every(({ transaction }) => transaction === TRANSACTION)).toBe(true);
  });

  it('is one object for all first attempts in a transaction', () => {
    contexts.length = 0;
    runner.run({ id: 1 }, TRANSACTION, 1, signal);
    runner.run({ id: 2 }, TRANSACTION, 1, signal);
    expect(contexts[1]).toBe(contexts[0]);
  });

  it('is not the one of another transaction, attempt or run', () => {
    const other = new TransactionInfo('default', 0x200n, 1, new Date(0));
    const nextRun = new AbortController();
    contexts.length = 0;
    runner.run({}, TRANSACTION, 1, signal);
    runner.run({}, TRANSACTION, 2, signal);
    runner.run({}, TRANSACTION, 1, signal);
    runner.run({}, other, 1, signal);
    runner.run({}, other, 1, nextRun.signal);
    expect(contexts.map(({ attempt, transaction }) => [attempt, transaction === other])).toEqual([
      [1, false],
      [2, false],
      [1, false],
      [1, true],
      [1, true],
    ]);
    expect(contexts.map((context) => context.signal === nextRun.signal)).toEqual([false, false, false, false, true]);
  });
});

describe('the options of a handler', () => {
  it('are its own where it has some, option by option, else those of the app', () => {
    expect(runnerOf({ run: () => 1 })).toMatchObject({ retry: RETRY, onExhausted: 'block' });
    expect(runnerOf({ run: () => 1, retry: { attempts: 9 } }).retry).toEqual({ ...RETRY, attempts: 9 });
  });
});
