import { HISTORY, streamOf } from '../../support/history.js';
import { describe, expect, it } from '@jest/globals';
import { ParkingError } from '#lib/errors/delivery.error.js';
import { SlotInUseError } from '#lib/errors/replication.error.js';
import { HaltApp, ParkChange, RetryChange, SkipChange } from '#lib/errors/verdict.error.js';
import type { PgListenerContext } from '#lib/interfaces/handler.interface.js';
import { settlesSoon, turns, until } from '../waiting.js';
import { Deferred, type TransactionUnderTest } from './dispatcher-bench.js';
import { BrokenHandler, ParkingBench } from './parked/parking-bench.js';

const allSettled = (transactions: readonly TransactionUnderTest[]) =>
  until(() => transactions.every(({ settled }) => settled === 1), 'all to settle');

describe('a change that fails for good under park', () => {
  it('is parked, what follows for its key waits in order, everything else flows on', async () => {
    const handler = new BrokenHandler({}, 'insert 1');
    const bench = new ParkingBench([handler.spec]);
    const all = [
      bench.transaction(0x100n).change(1).commit(),
      bench.update(2, 1),
      bench.transaction(0x300n).change(2).commit(),
      bench.delete(4, 1),
      bench.update(5, 2),
    ];
    await allSettled(all);
    expect(handler.seen).toEqual(['insert 1', 'insert 2', 'update 2']);
    expect(await bench.store.texts()).toEqual(['insert 1', 'update 1', 'delete 1']);
    const [first, second] = await bench.store.list({});
    expect(first).toMatchObject({ error: 'broken at insert 1', attempts: 1, keys: ['1'] });
    expect(second).toMatchObject({ error: null, attempts: 0, lastAttemptAt: null });
    expect(bench.dispatcher.parking.size).toBe(3);
    expect(bench.dispatcher.changesHandled).toBe(5);
    expect(bench.errors).toHaveLength(1);
    expect(bench.errors[0]).toContain('it is parked, and what follows for the same key waits behind it');
  });

  it('is tried as often as its policy says before', async () => {
    const attempts: number[] = [];
    const handler = new BrokenHandler({
      retry: { attempts: 3 },
      run: (_change: never, { attempt }: PgListenerContext) => {
        attempts.push(attempt);
        return Promise.reject(new Error('again'));
      },
    });
    const bench = new ParkingBench([handler.spec]);
    await allSettled(bench.deliver(1));
    expect(attempts).toEqual([1, 2, 3]);
    expect((await bench.store.list({}))[0]).toMatchObject({ attempts: 3, error: 'again' });
  });

  it('holds both keys where it changes one, whether it fails or waits', async () => {
    const waits = new BrokenHandler({}, 'insert 1');
    const waiting = new ParkingBench([waits.spec]);
    await allSettled([
      waiting.transaction(0x100n).change(1).commit(),
      waiting.update(2, 1, 2),
      waiting.update(3, 2),
      waiting.update(4, 3),
    ]);
    expect(await waiting.store.texts()).toEqual(['insert 1', 'update 1>2', 'update 2']);
    expect(waits.seen).toEqual(['insert 1', 'update 3']);
    const fails = new BrokenHandler({}, 'update 1>2');
    const failing = new ParkingBench([fails.spec]);
    await allSettled([failing.update(1, 1, 2), failing.update(2, 2), failing.update(3, 1), failing.update(4, 3)]);
    expect(await failing.store.texts()).toEqual(['update 1>2', 'update 2', 'update 1']);
  });

  it('is waited for by a truncate, which then holds its whole table, and no other', async () => {
    const handler = new BrokenHandler({ tables: ['orders', 'items'] }, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    await allSettled([
      bench.truncate(1),
      bench.update(2, 1),
      bench.update(3, 2),
      bench.truncate(4),
      bench.update(5, 2),
      bench.update(6, 2, 2, 'items'),
      bench.truncate(7, 'items'),
    ]);
    expect(handler.seen).toEqual(['truncate', 'update 1', 'update 2', 'update 2', 'truncate']);
    expect(await bench.store.texts()).toEqual(['update 1', 'truncate', 'update 2']);
  });

  it('holds nothing up for another handler', async () => {
    const broken = new BrokenHandler({ id: 'broken' }, 'update 1');
    const other = new BrokenHandler({ id: 'other' }, 'update 2');
    const bench = new ParkingBench([broken.spec, other.spec]);
    await allSettled([bench.update(1, 1), bench.update(2, 1), bench.update(3, 2), bench.update(4, 2)]);
    expect(broken.seen).toEqual(['update 1', 'update 2', 'update 2']);
    expect(other.seen).toEqual(['update 1', 'update 1', 'update 2']);
    expect(await bench.store.texts('broken')).toEqual(['update 1', 'update 1']);
    expect(await bench.store.texts('other')).toEqual(['update 2', 'update 2']);
  });

  it('is parked alone where it is a message', async () => {
    const handler = new BrokenHandler({ kind: 'message', prefix: null }, 'poison');
    const bench = new ParkingBench([handler.spec]);
    const settled = [bench.message(0x10n, 'poison'), bench.message(0x20n, 'fine'), bench.message(0x30n, 'poison')];
    const inTransaction = bench.transaction(0x100n).message('poison').message('fine').commit();
    await allSettled([inTransaction]);
    expect(settled.map((isSettled) => isSettled())).toEqual([true, true, true]);
    expect(handler.seen).toEqual(['poison', 'fine', 'poison', 'poison', 'fine']);
    expect(await bench.store.texts()).toEqual(['poison', 'poison', 'poison']);
    expect(bench.errors.map((text) => text.endsWith('it is parked'))).toEqual([true, true, true]);
  });
});

describe('until a change is durably parked', () => {
  it('its transaction is not settled, and nothing passes it', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    bench.store.parkGate = new Deferred();
    const all = [bench.update(1, 1), bench.update(2, 2)];
    await turns(10);
    expect(all.map(({ settled }) => settled)).toEqual([0, 0]);
    expect(handler.seen).toEqual(['update 1']);
    bench.store.parkGate.resolve();
    await allSettled(all);
  });

  it('a table that cannot be written is tried on, and the handler is known as blocked', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    bench.store.failures.push(new Error('disk full'), new Error('disk full'));
    const [one, other] = [bench.update(1, 1), bench.update(2, 2)];
    await until(() => bench.store.parks === 1);
    await turns();
    expect([bench.dispatcher.desk.blockedHandler, one.settled]).toEqual(['Orders.onChange', 0]);
    await allSettled([one, other]);
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
    expect(handler.seen).toEqual(['update 1', 'update 2']);
    expect(bench.errors.slice(1)).toEqual([
      'Cannot park update of public.orders (0/100/0) for Orders.onChange; next try in 200 ms, the position holds: disk full',
      'Cannot park update of public.orders (0/100/0) for Orders.onChange; next try in 400 ms, the position holds: disk full',
    ]);
  });

  it('a drain waits for it', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    bench.store.parkGate = new Deferred();
    const transaction = bench.update(1, 1);
    const draining = bench.dispatcher.drain();
    expect(await settlesSoon(draining)).toBe(false);
    bench.store.parkGate.resolve();
    await draining;
    expect([transaction.settled, await bench.store.count({})]).toEqual([1, 1]);
  });

  it.each([{}, { concurrency: 4 }])('a drain does not wait for another try: %p', async (options) => {
    const bench = new ParkingBench([new BrokenHandler(options, 'update 1').spec]);
    bench.store.failures.push(...Array.from({ length: 3 }, () => new Error('disk full')));
    const transaction = bench.update(1, 1);
    // The handler's own, and two of the table's: the next try is 400 ms away.
    await until(() => bench.errors.length === 3);
    expect(await settlesSoon(bench.dispatcher.drain())).toBe(true);
    expect([transaction.settled, await bench.store.count({})]).toEqual([0, 0]);
    bench.dispatcher.begin();
    await bench.reconnect();
    await allSettled([bench.update(1, 1)]);
    expect(await bench.store.texts()).toEqual(['update 1']);
  });

  it('a drain lets a try end, and no other one is announced', async () => {
    const bench = new ParkingBench([new BrokenHandler({}, 'update 1').spec]);
    const gate = (bench.store.parkGate = new Deferred());
    const transaction = bench.update(1, 1);
    const drained = bench.dispatcher.drain();
    expect(await settlesSoon(drained)).toBe(false);
    gate.reject(new Error('disk full'));
    expect(await settlesSoon(drained)).toBe(true);
    expect([transaction.settled, bench.errors.filter((text) => text.includes('next try'))]).toEqual([0, []]);
  });

  it('it comes again where it is given up, and is kept once', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    const gate = (bench.store.parkGate = new Deferred());
    const given = bench.update(1, 1);
    await turns();
    bench.dispatcher.abandon();
    bench.dispatcher.begin();
    await bench.reconnect();
    const again = bench.update(1, 1);
    gate.resolve();
    await allSettled([again]);
    expect([given.settled, await bench.store.count({})]).toEqual([0, 1]);
    await allSettled([bench.update(2, 1)]);
    expect(await bench.store.texts()).toEqual(['update 1', 'update 1']);
  });

  it('no further try is made where it is given up', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    bench.store.failures.push(new Error('disk full'), new Error('disk full'));
    bench.update(1, 1);
    await until(() => bench.errors.length === 2);
    bench.dispatcher.abandon();
    await turns();
    expect(bench.dispatcher.desk.blockedHandler).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(bench.store.parks).toBe(1);
  });

  it('it is given up to another process that has the stream, and comes again when that is over', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    bench.store.failures.push(new SlotInUseError('Another process has taken over'));
    const zombies = [bench.update(1, 1), bench.update(2, 2)];
    await turns();
    bench.update(3, 3);
    expect(handler.seen).toEqual(['update 1']);
    expect([bench.store.parks, await bench.store.count({})]).toEqual([1, 0]);
    await bench.reconnect();
    const again = [bench.update(1, 1), bench.update(2, 2), bench.update(3, 3)];
    await allSettled(again);
    expect(zombies.map(({ settled }) => settled)).toEqual([0, 0]);
    expect(handler.seen).toEqual(['update 1', 'update 1', 'update 2', 'update 3']);
  });
});

describe('what is parked already', () => {
  it('is known before the first change is handled', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const earlier = new ParkingBench([handler.spec]);
    await allSettled([earlier.update(1, 1)]);
    const bench = new ParkingBench([handler.spec]);
    for (const { handler: id, keys, change } of await earlier.store.list({})) {
      await bench.store.park({
        handler: id,
        keys,
        work: change as never,
        image: null,
        claims: false,
        error: null,
        attempts: 0,
      });
    }
    const gate = (bench.store.keysGate = new Deferred());
    handler.seen.length = 0;
    bench.dispatcher.hold();
    const opening = bench.dispatcher.open(streamOf(HISTORY));
    const all = [bench.update(2, 1), bench.update(3, 2)];
    await turns();
    expect(handler.seen).toEqual([]);
    gate.resolve();
    await opening;
    await allSettled(all);
    expect(handler.seen).toEqual(['update 2']);
    expect(await bench.store.texts()).toEqual(['update 1', 'update 1']);
  });

  it('is not forgotten where it arrives, nor kept where it goes, while keys are loaded', async () => {
    const handler = new BrokenHandler({}, 'update 1', 'update 2');
    const bench = new ParkingBench([handler.spec]);
    await allSettled([bench.update(1, 1)]);
    const [parked] = await bench.store.keys();
    const parkGate = (bench.store.parkGate = new Deferred());
    bench.update(2, 2);
    const keysGate = (bench.store.keysGate = new Deferred());
    const loading = bench.reconnect();
    parkGate.resolve();
    await bench.store.handled(parked!.id);
    bench.dispatcher.parking.release(parked!.id);
    await until(() => !bench.dispatcher.parking.isParking);
    keysGate.resolve();
    await loading;
    handler.broken.clear();
    await allSettled([bench.update(3, 1), bench.update(4, 2)]);
    expect(handler.seen).toEqual(['update 1', 'update 2', 'update 1']);
    expect(await bench.store.texts()).toEqual(['update 2', 'update 2']);
    expect(bench.dispatcher.parking.size).toBe(2);
  });

  it('still holds its key where a connection is lost while it is on its way', async () => {
    const handler = new BrokenHandler({}, 'update 1');
    const bench = new ParkingBench([handler.spec]);
    const gate = (bench.store.parkGate = new Deferred());
    bench.update(1, 1);
    await bench.reconnect();
    const next = bench.update(2, 1);
    gate.resolve();
    await allSettled([next]);
    expect(await bench.store.texts()).toEqual(['update 1', 'update 1']);
    expect(handler.seen).toEqual(['update 1']);
  });

  it('cannot be known without a table, which is fatal where a handler may need it, and nothing where none does', async () => {
    const missing = new ParkingError('no table; CREATE TABLE', { isTableMissing: true });
    const parking = new ParkingBench([new BrokenHandler().spec]);
    parking.store.keysFailure = missing;
    await expect(parking.reconnect()).rejects.toMatchObject({
      code: 'PG_LISTENER_SERVER_SETUP',
      fatal: true,
      message: expect.stringContaining('Orders.onChange needs the table of parked changes: no table; CREATE TABLE'),
    });
    const blocking = new ParkingBench([new BrokenHandler({ onExhausted: 'block' }).spec]);
    blocking.store.keysFailure = missing;
    await blocking.reconnect();
    await allSettled([blocking.update(1, 1)]);
    const locked = new ParkingError('canceling statement due to lock timeout');
    for (const bench of [parking, blocking]) {
      bench.store.keysFailure = locked;
      await expect(bench.reconnect()).rejects.toBe(locked);
    }
  });
});

describe('a failure while the app drains', () => {
  it.each(['park', 'skip', 'halt', 'block'] as const)(
    'neither parks, skips, halts nor counts: %s',
    async (onExhausted) => {
      for (const error of [new Error('the pool is closed'), new ParkChange(), new SkipChange(), new HaltApp()]) {
        const call = new Deferred();
        const handler = new BrokenHandler({ onExhausted, run: () => call.promise });
        const bench = new ParkingBench([handler.spec]);
        const transaction = bench.update(1, 1);
        const draining = bench.dispatcher.drain();
        call.reject(error);
        await draining;
        expect([transaction.settled, bench.store.parks, bench.faults.length, bench.errors.length]).toEqual([
          0, 0, 0, 0,
        ]);
        expect(bench.dispatcher.desk).toMatchObject({ failures: 0, skipped: 0, blockedHandler: null });
      }
    },
  );
});

describe('what a handler throws', () => {
  it('parks, skips or halts at once, under every policy', async () => {
    for (const onExhausted of ['block', 'park', 'skip', 'halt'] as const) {
      const verdicts = [new ParkChange({ reason: 'unknown customer' }), new SkipChange(), new HaltApp()];
      const handler = new BrokenHandler({
        onExhausted,
        retry: { attempts: 5 },
        run: () => Promise.reject(verdicts.shift()!),
      });
      const bench = new ParkingBench([handler.spec]);
      const all = [bench.update(1, 1), bench.update(2, 2), bench.update(3, 3)];
      await until(() => bench.faults.length === 1);
      expect(all.map(({ settled }) => settled)).toEqual([1, 1, 0]);
      expect((await bench.store.list({}))[0]).toMatchObject({ attempts: 1, keys: ['1'] });
      expect((await bench.store.list({}))[0]!.error).toContain('unknown customer');
      expect(bench.dispatcher.desk).toMatchObject({ failures: 3, skipped: 1 });
      expect(bench.faults[0]).toMatchObject({ code: 'PG_LISTENER_HANDLER_HALT' });
    }
  });

  it('asks for other tries, which are none of its attempts', async () => {
    const attempts: number[] = [];
    const handler = new BrokenHandler({
      retry: { attempts: 2 },
      run: (_change: never, { attempt }: PgListenerContext) => {
        attempts.push(attempt);
        throw attempt % 2 === 1 && attempt < 6 ? new RetryChange({ delayMs: 0 }) : new Error('no luck');
      },
    });
    const bench = new ParkingBench([handler.spec]);
    await allSettled([bench.update(1, 1)]);
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await bench.store.count({})).toBe(1);
  });

  it('cannot park a whole transaction: that is a failure like any other', async () => {
    const errors = [new ParkChange(), new ParkChange()];
    const bench = new ParkingBench([
      {
        id: 'Audit.onCommit',
        kind: 'transaction',
        run: () => (errors.length === 0 ? undefined : Promise.reject(errors.pop()!)),
      },
    ]);
    const transaction = bench.update(1, 1);
    await allSettled([transaction]);
    expect(bench.store.parks).toBe(0);
    expect(bench.errors).toHaveLength(2);
    expect(bench.errors[0]).toContain('A whole transaction cannot be parked');
    expect(bench.errors[0]).toContain('next try in');
  });
});
