import { describe, expect, it } from '@jest/globals';
import { HaltApp, SkipChange } from '#lib/errors/verdict.error.js';
import { settlesSoon, turns, until } from '../../waiting.js';
import { Deferred, type TransactionUnderTest } from '../dispatcher-bench.js';
import { BrokenHandler, ParkingBench, textOf } from './parking-bench.js';

const allSettled = (transactions: readonly TransactionUnderTest[]) =>
  until(() => transactions.every(({ settled }) => settled === 1), 'all to settle');

/** `insert 1` and two updates of the row are parked, and `update 2`. */
async function parkedBench(handler: BrokenHandler): Promise<ParkingBench> {
  for (const text of ['insert 1', 'update 2']) handler.broken.add(text);
  const bench = new ParkingBench([handler.spec]);
  await allSettled([
    bench.transaction(0x100n).change(1).commit(),
    bench.update(2, 1),
    bench.update(3, 2),
    bench.update(4, 1, 3),
  ]);
  handler.seen.length = 0;
  return bench;
}

/** `insert 1` is parked, and would be handled now. */
async function oneParked(): Promise<{ handler: BrokenHandler; bench: ParkingBench }> {
  const handler = new BrokenHandler({}, 'insert 1');
  const bench = new ParkingBench([handler.spec]);
  await allSettled(bench.deliver(1));
  handler.broken.clear();
  return { handler, bench };
}

describe('a retry of what is parked', () => {
  it('runs the changes of each key in order, and lets go of it', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    expect(await bench.redriver.retry()).toEqual({ handled: 4, failed: 0, requested: 0 });
    expect(handler.seen.filter((text) => text !== 'update 2')).toEqual(['insert 1', 'update 1', 'update 1>3']);
    expect(handler.seen).toContain('update 2');
    expect([await bench.store.count({}), bench.dispatcher.parking.size]).toEqual([0, 0]);
    const parks = bench.store.parks;
    await allSettled([bench.update(5, 1), bench.update(6, 3), bench.update(7, 2)]);
    expect(handler.seen.slice(4)).toEqual(['update 1', 'update 3', 'update 2']);
    expect(bench.store.parks).toBe(parks);
  });

  it('that fails leaves the change, and what waits behind it, and goes on with others', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.delete('update 2');
    expect(await bench.redriver.retry()).toEqual({ handled: 1, failed: 1, requested: 0 });
    expect(handler.seen).toEqual(['insert 1', 'update 2']);
    expect(await bench.store.texts()).toEqual(['insert 1', 'update 1', 'update 1>3']);
    expect((await bench.store.list({}))[0]).toMatchObject({ attempts: 2, error: 'broken at insert 1' });
    expect(bench.dispatcher.desk.failures).toBe(3);
    expect(bench.errors.at(-1)).toBe(
      'Handler Orders.onChange failed on the parked insert of public.orders (0/100/0): broken at insert 1; it stays parked',
    );
  });

  it('lets go of a key whose rows somebody else has taken out of the table', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    for (const { id } of await bench.store.keys()) await bench.store.handled(id);
    expect(bench.dispatcher.parking.size).toBe(4);
    expect(await bench.redriver.retry()).toEqual({ handled: 0, failed: 0, requested: 0 });
    expect(bench.dispatcher.parking.size).toBe(0);
    await allSettled([bench.update(5, 1)]);
    expect(handler.seen).toEqual(['update 1']);
  });

  it('takes what arrives for the key meanwhile along, in its order', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    const gate = (bench.store.handledGate = new Deferred());
    const retrying = bench.redriver.retry({ handler: 'Orders.onChange' });
    await until(() => handler.seen.length === 1);
    // The row is handled, and still there: what comes now must not pass what waits behind it.
    const live = [bench.update(5, 1), bench.update(6, 9)];
    await allSettled(live);
    expect(handler.seen).toEqual(['insert 1', 'update 9']);
    gate.resolve();
    expect(await retrying).toMatchObject({ handled: 5, failed: 0 });
    expect(handler.seen.filter((text) => !/ [29]$/.test(text))).toEqual([
      'insert 1',
      'update 1',
      'update 1>3',
      'update 1',
    ]);
    expect(bench.dispatcher.parking.size).toBe(0);
  });

  it('lets go of a key when its row is gone, not before: after a crash it would be handled behind what came later', async () => {
    const { handler, bench } = await oneParked();
    const gate = (bench.store.handledGate = new Deferred());
    const refused = expect(bench.redriver.retry()).rejects.toThrow('the server is gone');
    await until(() => handler.seen.length === 2);
    await allSettled([bench.update(2, 1)]);
    gate.reject(new Error('the server is gone'));
    await refused;
    await allSettled([bench.update(3, 1)]);
    expect(handler.seen).toEqual(['insert 1', 'insert 1']);
    bench.store.handledGate = null;
    await bench.redriver.retry();
    expect(handler.seen.slice(2)).toEqual(['insert 1', 'update 1', 'update 1']);
  });

  it('waits for what is still on its way to the table behind what it has handled', async () => {
    const { handler, bench } = await oneParked();
    const handledGate = (bench.store.handledGate = new Deferred());
    const retrying = bench.redriver.retry();
    await until(() => handler.seen.length === 2);
    const parkGate = (bench.store.parkGate = new Deferred());
    const live = bench.update(2, 1);
    handledGate.resolve();
    expect(await settlesSoon(retrying)).toBe(false);
    parkGate.resolve();
    expect(await retrying).toMatchObject({ handled: 2 });
    await allSettled([live]);
    expect(handler.seen.slice(2)).toEqual(['update 1']);
    expect(bench.dispatcher.parking.size).toBe(0);
  });

  it('keeps the order of the log where what was handled comes again and finds a later change parked', async () => {
    const handler = new BrokenHandler({}, 'update 1>2');
    const bench = new ParkingBench([handler.spec]);
    await allSettled([bench.update(1, 1), bench.update(2, 1, 2)]);
    // A crash, before any of it was confirmed.
    bench.dispatcher.abandon();
    bench.dispatcher.forget();
    bench.dispatcher.begin();
    await bench.reconnect();
    await allSettled([bench.update(1, 1), bench.update(2, 1, 2)]);
    handler.broken.clear();
    await bench.redriver.retry();
    expect(handler.seen.at(-1)).toBe('update 1>2');
    expect(bench.dispatcher.parking.size).toBe(0);
  });

  it('is for those that the filter means', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    const [first, second] = await bench.store.list({});
    expect(await bench.redriver.retry({ ids: [second!.id] })).toMatchObject({ handled: 0, failed: 0 });
    expect(await bench.redriver.retry({ handler: 'another' })).toMatchObject({ handled: 0, failed: 0 });
    expect(await bench.redriver.retry({ ids: [first!.id] })).toMatchObject({ handled: 1, failed: 0 });
    expect(handler.seen).toEqual(['insert 1']);
  });

  it('fails for a handler that is gone, with what to do', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    const [parked] = await bench.store.list({});
    await bench.store.park({
      handler: 'Orders.renamed',
      keys: ['1'],
      work: parked!.change as never,
      image: null,
      claims: false,
      error: null,
      attempts: 0,
    });
    expect(await bench.redriver.retry({ handler: 'Orders.renamed' })).toMatchObject({ handled: 0, failed: 1 });
    const [left] = await bench.store.list({ handler: 'Orders.renamed' });
    expect(left!.error).toContain('There is no handler Orders.renamed now');
    expect(left!.error).toContain('Give it its earlier name as `id`');
  });

  it('skips where the handler says so, and halts, leaving the change', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    const verdicts: Error[] = [new SkipChange(), new HaltApp()];
    handler.onCall = () => {
      const verdict = verdicts.shift();
      if (verdict !== undefined) throw verdict;
    };
    const retrying = bench.redriver.retry();
    await expect(retrying).rejects.toMatchObject({ code: 'PG_LISTENER_LIFECYCLE' });
    expect(bench.dispatcher.desk.skipped).toBe(1);
    expect(bench.faults).toHaveLength(1);
    expect(await bench.store.texts()).toEqual(['update 1', 'update 2', 'update 1>3']);
  });

  it('of a handler of arrays obeys what it returns for the item', async () => {
    let isBroken = true;
    const seen: string[][] = [];
    const bench = new ParkingBench([
      {
        id: 'Orders.onChange',
        onExhausted: 'park',
        retry: { attempts: 1 },
        batch: { size: 10, maxWaitMs: 0 },
        run: async (changes: readonly unknown[]) => {
          seen.push(changes.map(textOf));
          return changes.map(() => (isBroken ? new Error('not this one') : undefined));
        },
      },
    ]);
    await allSettled([bench.update(1, 1)]);
    expect(await bench.redriver.retry()).toMatchObject({ handled: 0, failed: 1 });
    expect((await bench.store.list({}))[0]).toMatchObject({ error: 'not this one', attempts: 2 });
    isBroken = false;
    expect(await bench.redriver.retry()).toMatchObject({ handled: 1, failed: 0 });
    expect(seen.at(-1)).toEqual(['update 1']);
  });
});

describe('a retry in the middle of which the app stops', () => {
  it('takes out what its handler has finished, and leaves the rest', async () => {
    const call = new Deferred();
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    handler.onCall = () => call.promise;
    const retrying = bench.redriver.retry();
    const outcome = expect(retrying).rejects.toMatchObject({ code: 'PG_LISTENER_LIFECYCLE' });
    await until(() => handler.seen.length === 1);
    const draining = bench.dispatcher.drain();
    call.resolve();
    await draining;
    await outcome;
    await bench.redriver.settled();
    expect(await bench.store.texts()).toEqual(['update 1', 'update 2', 'update 1>3']);
    expect(handler.seen).toEqual(['insert 1']);
  });

  it('does not count a failure while it drains, nor what is given up', async () => {
    for (const end of ['drain', 'abandon'] as const) {
      const call = new Deferred();
      const handler = new BrokenHandler();
      const bench = await parkedBench(handler);
      const { failures } = bench.dispatcher.desk;
      handler.broken.clear();
      handler.onCall = () => call.promise;
      const outcome = expect(bench.redriver.retry()).rejects.toMatchObject({ code: 'PG_LISTENER_LIFECYCLE' });
      await until(() => handler.seen.length === 1);
      const ending = bench.dispatcher[end]();
      call.reject(new Error('the pool is closed'));
      await ending;
      await outcome;
      expect((await bench.store.list({}))[0]).toMatchObject({ attempts: 1 });
      expect(bench.dispatcher.desk.failures).toBe(failures);
    }
  });

  it('gives nothing to handlers that the next process may have handled', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    handler.broken.clear();
    const gate = (bench.store.handledGate = new Deferred());
    const outcome = expect(bench.redriver.retry()).rejects.toThrow('The stream was lost');
    await until(() => handler.seen.length === 1);
    bench.isStreaming = false;
    gate.resolve();
    await outcome;
    expect(handler.seen).toEqual(['insert 1']);
  });
});

describe('a process that does not stream', () => {
  it('asks the one that does', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    bench.isStreaming = false;
    handler.broken.clear();
    expect(await bench.redriver.retry({ table: 'orders' })).toEqual({ handled: 0, failed: 0, requested: 4 });
    expect(await bench.redriver.discard({ handler: 'another' })).toBe(0);
    await turns();
    expect(handler.seen).toEqual([]);
    expect(await bench.store.takeRequests()).toHaveLength(4);
  });
});

describe('what is discarded', () => {
  it('holds nothing any more', async () => {
    const handler = new BrokenHandler();
    const bench = await parkedBench(handler);
    expect(await bench.redriver.discard({})).toBe(4);
    await allSettled([bench.update(5, 1), bench.update(6, 3)]);
    expect(handler.seen).toEqual(['update 1', 'update 3']);
    expect(bench.dispatcher.parking.size).toBe(0);
  });
});
