import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { LogicalMessageEvent } from '#lib/changes/logical-message.js';
import { TransactionInfo } from '#lib/changes/transaction.js';
import { Insert } from '#lib/changes/change.js';
import { WHOLE_TABLE, type ParkedStore, type ParkingRequest } from '#lib/interfaces/parked-store.interface.js';
import { parkingOf, type Received } from './wire-source.js';

export interface ContractSamples {
  /** Inserts into public.orders, at least 8; one statement made them. */
  readonly orders: readonly Received[];
  /** Inserts into shop.items, at least 2. */
  readonly items: readonly Received[];
  /** A transactional message and one outside of any transaction. */
  readonly messages: readonly Received[];
}

/** What a handler sees of it, and where it stands in the log. */
export function told(work: unknown): unknown {
  const { transaction, walHigh, walLow, ordinal } = work as Received['work'];
  return {
    kind: (work as object).constructor.name,
    content: (work as Received['work']).toJSON(),
    place: [walHigh >>> 0, walLow >>> 0, ordinal],
    origin: transaction.origin,
  };
}

/** What every store of parked changes must do; `open` gives an empty one. */
export function parkedStoreContract(open: () => ParkedStore, samples: () => ContractSamples): void {
  let store: ParkedStore;
  let next: { orders: number; items: number };

  beforeEach(() => {
    store = open();
    next = { orders: 0, items: 0 };
  });
  afterEach(() => store.close());

  const order = (given: Partial<ParkingRequest>) => parkingOf(samples().orders[next.orders++]!, given);
  const item = (given: Partial<ParkingRequest>) => parkingOf(samples().items[next.items++]!, given);

  async function park(...requests: ParkingRequest[]): Promise<string[]> {
    const ids: string[] = [];
    for (const request of requests) ids.push((await store.park(request))!.id);
    return ids;
  }
  async function dueIds(filter = {}, except: string[] = [], limit = 100): Promise<string[]> {
    return (await store.due(filter, except, limit)).map(({ id }) => id);
  }

  it('keeps a change, with what is known of it', async () => {
    const request = order({ keys: ['1', '2'] });
    const before = Date.now();
    const parked = (await store.park(request))!;
    const row = { id: parked.id, handler: 'Orders.on', schema: 'public', table: 'orders', keys: ['1', '2'] };
    expect(parked).toEqual(row);
    expect(parked.id).toMatch(/^\d+$/);
    expect(await store.keys()).toEqual([row]);
    const [listed, ...others] = await store.list({});
    expect(others).toEqual([]);
    expect(listed).toEqual({
      id: parked.id,
      app: 'default',
      handler: 'Orders.on',
      change: expect.any(Insert),
      table: 'public.orders',
      operation: 'insert',
      keys: ['1', '2'],
      error: 'it failed',
      attempts: 3,
      parkedAt: expect.any(Date),
      lastAttemptAt: expect.any(Date),
    });
    expect(told(listed!.change)).toEqual(told(request.work));
    expect(listed!.parkedAt.getTime()).toBeGreaterThan(before - 60_000);
    const due = await store.due({}, [], 10);
    expect(due).toEqual([{ ...row, work: expect.any(Insert), attempts: 3 }]);
    expect(told(due[0]!.work)).toEqual(told(request.work));
  });

  it('keeps what waits, without an error', async () => {
    await park(order({ keys: ['1'], error: null, attempts: 0 }));
    expect(await store.list({})).toMatchObject([{ error: null, attempts: 0, lastAttemptAt: null }]);
  });

  it('keeps messages, which wait for nobody', async () => {
    const requests = samples().messages.map((message) => parkingOf(message, { handler: 'Outbox.on' }));
    const ids = await park(...requests);
    expect(await store.keys()).toEqual(
      ids.map((id) => ({ id, handler: 'Outbox.on', schema: null, table: null, keys: [] })),
    );
    expect(await store.due({}, [], 10)).toMatchObject(ids.map((id) => ({ id, attempts: 3 })));
    const listed = await store.list({});
    expect(listed.map(({ change }) => told(change))).toEqual(requests.map(({ work }) => told(work)));
    expect(listed.every(({ change }) => change instanceof LogicalMessageEvent)).toBe(true);
    expect(listed).toMatchObject([
      { table: null, operation: null },
      { table: null, operation: null },
    ]);
    expect(listed.map(({ change }) => (change as LogicalMessageEvent).content)).toEqual(
      requests.map(({ work }) => (work as LogicalMessageEvent).content),
    );
  });

  it('keeps a change once for each handler', async () => {
    const request = order({ keys: ['1'] });
    await park(request);
    expect(await store.park(request)).toBeNull();
    expect(await store.park({ ...request, error: new Error('another time'), attempts: 9 })).toBeNull();
    await park({ ...request, handler: 'Audit.on' });
    expect(await store.list({})).toMatchObject([
      { handler: 'Orders.on', error: 'it failed', attempts: 3 },
      { handler: 'Audit.on' },
    ]);
  });

  it('takes a change at the same place of another history for another one', async () => {
    const { work, image } = samples().orders[0]!;
    const { transaction, relation, record, ...place } = work as Insert;
    const { app, commitLsn, xid, commitTimestamp } = transaction;
    const same = new TransactionInfo(app, commitLsn, xid, new Date(commitTimestamp));
    const others = [
      new TransactionInfo(app, commitLsn, xid + 1, commitTimestamp),
      new TransactionInfo(app, commitLsn, xid, new Date(commitTimestamp.getTime() + 1)),
    ];
    await park(parkingOf({ work, image }));
    for (const other of others) await park(parkingOf({ work: new Insert(other, relation, place, record), image }));
    expect(await store.park(parkingOf({ work: new Insert(same, relation, place, record), image }))).toBeNull();
    expect(await store.count({})).toBe(3);
  });

  it('gives as due what is first with its keys, oldest first', async () => {
    const [a, b, , c, , d] = await park(
      order({ keys: ['1'] }),
      order({ keys: ['2'] }),
      order({ keys: ['1'] }),
      order({ keys: ['3', '4'] }),
      order({ keys: ['4', '5'] }),
      order({ keys: ['6'] }),
    );
    expect(await dueIds()).toEqual([a, b, c, d]);
    expect(await dueIds({}, [], 2)).toEqual([a, b]);
    expect(await dueIds({}, [], 0)).toEqual([]);
  });

  it('lets the next one follow when the one before it is handled', async () => {
    const [a, b, c] = await park(order({ keys: ['1'] }), order({ keys: ['1', '2'] }), order({ keys: ['2'] }));
    expect(await dueIds()).toEqual([a]);
    await store.handled(a!);
    expect(await dueIds()).toEqual([b]);
    await store.handled(b!);
    await store.handled(b!);
    expect(await dueIds()).toEqual([c]);
    await store.handled(c!);
    expect(await store.keys()).toEqual([]);
  });

  it('goes by the order of the log where what was handled comes again, and is parked behind later ones', async () => {
    const [first, second, third, fourth, fifth] = Array.from({ length: 5 }, () => order({}));
    const [c] = await park({ ...third!, keys: ['1'] });
    const [d] = await park({ ...fourth!, keys: [WHOLE_TABLE] });
    const [b] = await park({ ...second!, keys: ['1'] });
    const [a] = await park({ ...first!, keys: ['1', '2'] });
    const [e] = await park({ ...fifth!, keys: ['3'] });
    expect(await dueIds({ ids: [b!, c!, d!, e!] })).toEqual([]);
    const turns: string[][] = [];
    for (let due = await dueIds(); due.length > 0; due = await dueIds()) {
      turns.push(due);
      for (const id of due) await store.handled(id);
    }
    expect(turns).toEqual([[a], [b], [c], [d], [e]]);
  });

  it('leaves out what is excepted, and what waits behind that', async () => {
    const [a, , c, d] = await park(
      order({ keys: ['1'] }),
      order({ keys: ['1'] }),
      order({ keys: ['2'] }),
      order({ keys: ['3'] }),
    );
    expect(await dueIds({}, [a!, d!])).toEqual([c]);
  });

  it('holds a whole table behind its parked keys, and later keys behind the whole table', async () => {
    const [a, b, whole, d] = await park(
      order({ keys: ['1'] }),
      order({ keys: ['2'] }),
      order({ keys: [WHOLE_TABLE] }),
      order({ keys: ['3'] }),
    );
    expect(await dueIds()).toEqual([a, b]);
    await store.handled(a!);
    expect(await dueIds()).toEqual([b]);
    await store.handled(b!);
    expect(await dueIds()).toEqual([whole]);
    await store.handled(whole!);
    expect(await dueIds()).toEqual([d]);
  });

  it('holds a whole table behind another one', async () => {
    const [a] = await park(order({ keys: [WHOLE_TABLE] }), order({ keys: [WHOLE_TABLE] }), order({ keys: ['1'] }));
    expect(await dueIds()).toEqual([a]);
  });

  it('holds nothing across tables and handlers', async () => {
    const shared = order({ keys: [WHOLE_TABLE] });
    const ids = await park(shared, { ...shared, handler: 'Audit.on' }, item({ keys: ['1'] }), item({ keys: ['2'] }));
    expect(await dueIds()).toEqual(ids);
  });

  it('filters what is due by handler, table and id, and holds it by what is not asked for', async () => {
    const [a, b, c, d] = await park(
      order({ keys: ['1'] }),
      order({ keys: ['1'] }),
      order({ keys: ['2'], handler: 'Audit.on' }),
      item({ keys: ['1'] }),
    );
    expect(await dueIds({ handler: 'Audit.on' })).toEqual([c]);
    expect(await dueIds({ table: 'shop.items' })).toEqual([d]);
    expect(await dueIds({ table: 'orders', handler: 'Orders.on' })).toEqual([a]);
    expect(await dueIds({ ids: [b!, d!] })).toEqual([d]);
    expect(await dueIds({ ids: [] })).toEqual([]);
  });

  it('counts one more try, with its error', async () => {
    const [id] = await park(order({ keys: ['1'], attempts: 0, error: null }));
    await store.failed(id!, new Error('again\0 and again'));
    expect(await store.list({})).toMatchObject([
      { attempts: 1, error: 'again and again', lastAttemptAt: expect.any(Date) },
    ]);
    await store.failed(id!, new Error('x'.repeat(20_000)));
    const [listed] = await store.list({});
    expect(listed).toMatchObject({ attempts: 2 });
    expect(listed!.error).toHaveLength(10_000);
    expect(await store.due({}, [], 1)).toMatchObject([{ id, attempts: 2 }]);
  });

  it('lists, counts and discards by filter', async () => {
    const [a, b, c, d] = await park(
      order({ keys: ['1'] }),
      order({ keys: ['1'] }),
      order({ keys: ['2'], handler: 'Audit.on' }),
      item({ keys: ['1'] }),
    );
    const listed = async (filter = {}) => (await store.list(filter)).map(({ id }) => id);
    expect(await listed()).toEqual([a, b, c, d]);
    expect(await listed({ limit: 2 })).toEqual([a, b]);
    expect(await listed({ handler: 'Audit.on', table: 'public.orders' })).toEqual([c]);
    expect(await listed({ ids: [d!, b!, '987654321'] })).toEqual([b, d]);
    expect([await store.count({}), await store.count({ table: 'shop.items' })]).toEqual([4, 1]);
    expect(await store.discard({ ids: [a!] })).toEqual([
      { id: a, handler: 'Orders.on', schema: 'public', table: 'orders', keys: ['1'] },
    ]);
    expect(await dueIds()).toEqual([b, c, d]);
    expect(await store.discard({ table: 'items' })).toEqual([]);
    expect((await store.discard({ table: 'shop.items' })).map(({ id }) => id)).toEqual([d]);
    expect((await store.discard({})).map(({ id }) => id)).toEqual([b, c]);
    expect(await store.count({})).toBe(0);
  });

  it('hands on what was asked for, once', async () => {
    const [a, b, c] = await park(order({ keys: ['1'] }), order({ keys: ['2'] }), order({ keys: ['3'] }));
    expect(await store.request({ ids: [c!, a!] }, 'retry')).toBe(2);
    expect(await store.request({ ids: [b!] }, 'retry')).toBe(1);
    expect(await store.request({ ids: [b!] }, 'discard')).toBe(1);
    expect(await store.request({ handler: 'Nobody' }, 'discard')).toBe(0);
    expect(await store.takeRequests()).toEqual([
      { id: a, what: 'retry' },
      { id: b, what: 'discard' },
      { id: c, what: 'retry' },
    ]);
    expect(await store.takeRequests()).toEqual([]);
    expect(await store.count({})).toBe(3);
  });

  it.each([
    [{ ids: ['12', 'x'] }, /ids/],
    [{ ids: ['9223372036854775808'] }, /ids/],
    [{ ids: '12' }, /ids/],
    [{ handlers: 'Orders.on' }, /unknown condition "handlers"/],
    [{ handler: 1 }, /handler/],
    [{ table: 5 }, /table/],
    [{ table: 'shop.*' }, /"shop\.\*" is a pattern/],
    [{ limit: 0 }, /limit/],
    [{ limit: Number.NaN }, /limit/],
    [null, /no object/],
  ])('refuses the filter %j in words', async (filter, words) => {
    for (const ask of [
      () => store.list(filter as never),
      () => store.count(filter as never),
      () => store.discard(filter as never),
      () => store.due(filter as never, [], 1),
      () => store.request(filter as never, 'retry'),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        code: expect.stringMatching(/^PG_LISTENER_(PARKED_FILTER|TABLE_PATTERN)$/),
        message: expect.stringMatching(words),
      });
    }
  });
}
