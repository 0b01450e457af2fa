import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from '@jest/globals';
import { PG_LISTENER_CHANNELS, type CallMessage } from 'nestjs-pg-listener';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { runnerOf } from './dispatcher-bench.js';

const TRANSACTION = new TransactionInfo('default', 0x100n, 1, new Date(0));
const { signal } = new AbortController();
const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;

describe('a call that somebody looks on at', () => {
  const undo: (() => void)[] = [];
  afterEach(() => undo.splice(0).forEach((each) => each()));

  function subscribe() {
    const events: string[] = [];
    const messages: CallMessage[] = [];
    const subscribers = Object.fromEntries(
      EVENTS.map((name) => [
        name,
        (message: unknown) => {
          events.push(name);
          messages.push({ ...(message as CallMessage) });
        },
      ]),
    ) as never;
    const calls = tracingChannel(PG_LISTENER_CHANNELS.call);
    calls.subscribe(subscribers);
    undo.push(() => void calls.unsubscribe(subscribers));
    return { events, messages };
  }
  const run = (handler: () => unknown, payload: unknown = {}) =>
    runnerOf({ id: 'A.b', run: handler }).run(payload, TRANSACTION, 3, signal);

  it('publishes nothing, and makes no message, where nobody does', () => {
    const calls = tracingChannel(PG_LISTENER_CHANNELS.call);
    expect(calls.start.hasSubscribers || calls.asyncEnd.hasSubscribers).toBe(false);
    const promise = Promise.resolve();
    expect(run(() => promise)).toBe(promise);
  });

  it('is told with the very payload, and stays synchronous where it was', () => {
    const { events, messages } = subscribe();
    const payload = { record: { id: 1 } };
    expect(run(() => undefined, payload)).toBeUndefined();
    expect(events).toEqual(['start', 'end']);
    expect(messages[0]).toEqual({ app: 'default', handler: 'A.b', kind: 'table', attempt: 3, payload });
    expect(messages[0]!.payload).toBe(payload);
    expect(messages[1]!.durationMs).toBeGreaterThanOrEqual(0);
  });

  it('hands the very promise on, and is told when it has settled', async () => {
    const { events, messages } = subscribe();
    const promise = new Promise<void>((resolve) => setTimeout(resolve, 20));
    expect(run(() => promise)).toBe(promise);
    await promise;
    await Promise.resolve();
    expect(events).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(messages[1]!.durationMs).toBeUndefined();
    expect(messages[3]!.durationMs).toBeGreaterThan(15);
  });

  it('is told with what it threw, which is thrown on', async () => {
    const { events, messages } = subscribe();
    const error = new Error('no luck');
    const fail = (): never => {
      throw error;
    };
    expect(() => run(fail)).toThrow(error);
    expect(events.splice(0)).toEqual(['start', 'error', 'end']);
    expect(messages.at(-1)!.error).toBe(error);
    await expect(run(async () => fail())).rejects.toBe(error);
    await new Promise(setImmediate);
    expect(events).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  });

  it('runs in what is bound to its start, across its awaits', async () => {
    const store = new AsyncLocalStorage<string>();
    const start = channel(`tracing:${PG_LISTENER_CHANNELS.call}:start`);
    start.bindStore(store, (message) => `span of ${(message as CallMessage).handler}`);
    undo.push(() => void start.unbindStore(store));
    const seen: unknown[] = [];
    await run(async () => {
      seen.push(store.getStore());
      await Promise.resolve();
      seen.push(store.getStore());
    });
    expect(seen).toEqual(['span of A.b', 'span of A.b']);
    expect(store.getStore()).toBeUndefined();
  });

  it('is timed where somebody has asked for it: synchronous, awaited and failed ones', async () => {
    const runner = runnerOf({ run: (what: unknown) => (what as () => unknown)() });
    const call = (what: () => unknown) => runner.run(what, TRANSACTION, 1, signal);
    call(() => undefined);
    expect(runner.times).toBeNull();
    runner.time([0.01, 1]);
    runner.time([5]);
    call(() => undefined);
    await call(() => new Promise((resolve) => setTimeout(resolve, 30)));
    expect(() => call(() => JSON.parse('{'))).toThrow();
    await expect(call(() => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');
    await Promise.resolve();
    const durations = runner.times!.durations;
    expect(durations).toMatchObject({ bounds: [0.01, 1], counts: [3, 1, 0], count: 4 });
    expect(durations.sumSeconds).toBeGreaterThan(0.025);
    // A copy: what was read stays as it was.
    call(() => undefined);
    expect(durations.count).toBe(4);
  });
});
