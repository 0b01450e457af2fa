import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { OutboxOracle } from '../support/outbox-oracle.js';
import { leftovers, sendAsWritten, tidyUpAsWritten } from '../support/sample-readme.js';
import { startSample, type SampleProcess } from '../support/sample.js';
import { sleep, waitFor, waitForCount } from '../support/wait.js';

const KILLS = 4;
const WRITERS = 4;
/** Events that reach the broker between two kills, at least. */
const EVENTS = 100;

interface Event {
  readonly id: string;
  readonly type: string;
  readonly order: number;
}

interface Delivery {
  readonly event: Event;
  readonly isDuplicate: boolean;
}

/** The sample as a user runs it: shop and relay in one process, the broker in another, which outlives it. */
describe('the sample outbox', () => {
  let db: TestDatabase;
  let oracle: OutboxOracle;
  let broker: SampleProcess;
  let brokerUrl: string;
  let sample: SampleProcess;
  let address: string;
  const started: SampleProcess[] = [];

  beforeAll(async () => {
    broker = startSample('outbox/broker', { BROKER_PORT: '0' });
    brokerUrl = await broker.url();
  });
  beforeEach(async () => {
    db = await createDatabase();
    oracle = await OutboxOracle.create(db, 'outbox');
    seenBefore = (await allDeliveries()).length;
    await setMood('fine');
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((each) => each.kill()));
    await db?.drop();
  });
  afterAll(() => broker?.kill());

  let seenBefore = 0;
  const allDeliveries = async () => (await (await fetch(`${brokerUrl}/deliveries`)).json()) as Delivery[];
  /** Of this test. */
  const deliveries = async () => (await allDeliveries()).slice(seenBefore);
  const sent = async () => (await deliveries()).map(({ event: { type, order } }) => `${type} ${order}`);
  const setMood = (mood: string) => fetch(`${brokerUrl}/mood/${mood}`, { method: 'POST' });

  async function launch(environment: Record<string, string | undefined> = {}) {
    const process = startSample('outbox', { DATABASE_URL: db.url, BROKER_URL: brokerUrl, PORT: '0', ...environment });
    started.push(process);
    return { process, address: await process.url() };
  }
  async function start(environment: Record<string, string | undefined> = {}): Promise<void> {
    ({ process: sample, address } = await launch(environment));
  }
  async function stop(): Promise<void> {
    sample.signal('SIGTERM');
    expect(await sample.exited).toEqual({ code: 0, signal: null });
    await waitFor(async () => (await connections()) === 0, 'the end of every connection');
  }
  const connections = async (): Promise<number> =>
    (await db.query(`SELECT FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, [db.name])).length;

  const post = (path: string) => fetch(`${address}/${path}`, { method: 'POST' });
  const place = async (item: string, quantity: number): Promise<number> => {
    const response = await post(`orders/${item}/${quantity}`);
    expect(response.status).toBe(201);
    return ((await response.json()) as { id: number }).id;
  };
  const health = async () => {
    const response = await fetch(`${address}/health`);
    return { code: response.status, ...((await response.json()) as { status: string; reason?: string }) };
  };
  const parked = async () => (await (await fetch(`${address}/parked`)).json()) as { error: string; attempts: number }[];
  const expectSent = async (wanted: readonly string[]) => {
    await waitFor(
      async () => (await sent()).length >= wanted.length,
      () => `${wanted.join()}; ${sample.output()}`,
    );
    expect(await sent()).toEqual(wanted);
  };

  it('sends what is committed, in order, and nothing of what is rolled back', async () => {
    await start();
    const first = await place('lamp', 2);
    // Written after the order and its event, and refused.
    expect((await post('orders/lamp/2')).status).toBe(409);
    expect((await post('orders/unicorn/1')).status).toBe(404);
    expect((await post(`shipments/${first}`)).status).toBe(204);
    expect((await post(`shipments/${first}`)).status).toBe(404);
    const last = await place('lamp', 1);
    await expectSent([`order.placed ${first}`, `order.shipped ${first}`, `order.placed ${last}`]);
    expect(await db.query('SELECT id, status FROM orders ORDER BY id')).toEqual([
      { id: first, status: 'shipped' },
      { id: last, status: 'placed' },
    ]);
    // Two orders were written and rolled back; their numbers are gone.
    expect(last).toBe(first + 3);
    await stop();
    // No table keeps them.
    const tables = await db.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`);
    expect(tables.map(({ tablename }) => tablename)).toEqual(['orders', 'stock']);
  });

  it('holds events while the broker is down, says so, and sends them in order when it is back', async () => {
    await start();
    await setMood('down');
    const orders = [await place('book', 1), await place('book', 2), await place('book', 3)];
    await waitFor(async () => (await health()).code === 503, 'health to be down');
    expect(await health()).toMatchObject({ status: 'down', reason: expect.stringContaining('relay') });
    // A restart forgets nothing, and nothing else: what nobody has is still to be sent.
    await stop();
    await start();
    expect(await sent()).toEqual([]);
    await setMood('fine');
    await expectSent(orders.map((id) => `order.placed ${id}`));
    await waitFor(async () => (await health()).code === 200, 'health to be up');
    expect(await parked()).toEqual([]);
    await stop();
  });

  it('parks what the broker refuses at once, and sends it when it is told to', async () => {
    await start();
    await setMood('picky');
    const large = await place('book', 11);
    const small = await place('book', 1);
    await db.query(`SELECT pg_logical_emit_message(true, 'outbox', 'not an event')`);
    const next = await place('book', 2);
    await expectSent([`order.placed ${small}`, `order.placed ${next}`]);
    const waiting = await waitFor(async () => {
      const list = await parked();
      return list.length === 2 ? list : undefined;
    }, 'both to be parked');
    expect(waiting.map(({ error, attempts }) => [error, attempts])).toEqual([
      [expect.stringContaining('the broker refuses it'), 1],
      [expect.stringContaining('it is not an event of the shop'), 1],
    ]);
    expect((await health()).code).toBe(200);
    await setMood('fine');
    await post('parked/retry');
    await expectSent([`order.placed ${small}`, `order.placed ${next}`, `order.placed ${large}`]);
    expect(await parked()).toHaveLength(1);
    await stop();
    await tidyUpAsWritten('outbox', db);
    expect(await leftovers(db)).toEqual(['publication oracle', `slot ${db.slot('oracle')}`]);
    expect(await db.query('SELECT id FROM nestjs_pg_listener.parked')).toEqual([]);
  });

  it('parks after three attempts where the policy says so', async () => {
    await start({ ON_EXHAUSTED: 'park' });
    await setMood('down');
    const late = await place('book', 1);
    const [waiting] = await waitFor(async () => {
      const list = await parked();
      return list.length > 0 ? list : undefined;
    }, 'the event to be parked');
    expect(waiting).toMatchObject({ error: expect.stringContaining('503'), attempts: 3 });
    await setMood('fine');
    const next = await place('book', 2);
    await expectSent([`order.placed ${next}`]);
    await post('parked/retry');
    await expectSent([`order.placed ${next}`, `order.placed ${late}`]);
    await stop();
  });

  it('refuses a policy that there is not', async () => {
    const environment = { DATABASE_URL: db.url, BROKER_URL: brokerUrl, ON_EXHAUSTED: 'shrug', PORT: '0' };
    const { exited, output } = (sample = startSample('outbox', environment));
    started.push(sample);
    expect(await exited).toEqual({ code: 1, signal: null });
    expect(output()).toContain('Outbox did not start: ');
    expect(output()).toContain('onExhausted');
  });

  it(`loses no event and keeps the order over ${KILLS} kills under load; what comes twice bears the same id`, async () => {
    await start();
    let relay = sample;
    let isOpen = true;
    let refused = 0;
    // Always to the copy that lives on: what is lost, the relay has lost.
    const writers = Array.from({ length: WRITERS }, async () => {
      while (isOpen) {
        const response = await post('orders/book/1');
        await post(`shipments/${((await response.json()) as { id: number }).id}`);
        if ((await post('orders/lamp/4')).status === 409) refused++;
      }
    });
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        // It stands by, takes orders, and takes over.
        const next = await launch();
        address = next.address;
        const before = (await deliveries()).length;
        await waitForCount(
          async () => (await deliveries()).length,
          before + EVENTS,
          () => next.process.output(),
        );
        await relay.kill();
        relay = next.process;
      }
      const before = (await deliveries()).length;
      await waitForCount(
        async () => (await deliveries()).length,
        before + EVENTS,
        () => relay.output(),
      );
    } finally {
      isOpen = false;
      await Promise.all(writers);
    }
    sample = relay;

    const committed = (await oracle.contents()).map((text) => JSON.parse(text) as Event);
    const placeOf = new Map(committed.map(({ id }, place) => [id, place]));
    const distinct = async () => new Set((await deliveries()).map(({ event }) => event.id)).size;
    await waitForCount(distinct, committed.length, () => sample.output());
    await stop();
    await sleep(100);

    const arrived = await deliveries();
    const firsts = arrived.filter(({ isDuplicate }) => !isDuplicate).map(({ event }) => event);
    expect(firsts).toEqual(committed);
    // Each copy that took over began somewhere before the end, and went on without a hole.
    const places = arrived.map(({ event }) => placeOf.get(event.id)!);
    const backwards = places.filter((place, index) => index > 0 && place !== places[index - 1]! + 1).length;
    expect(backwards).toBeLessThanOrEqual(KILLS);
    const duplicates = arrived.filter(({ isDuplicate }) => isDuplicate);
    expect(duplicates.map(({ event }) => event)).toEqual(
      duplicates.map(({ event }) => committed[placeOf.get(event.id)!]),
    );
    // Else no kill has hit anything.
    expect(duplicates.length).toBeGreaterThan(0);

    const orders = await db.query<{ id: number; status: string }>('SELECT id, status FROM orders');
    const told = orders.flatMap(({ id, status }) =>
      ['placed', 'shipped'].slice(0, status === 'placed' ? 1 : 2).map((each) => `order.${each} ${id}`),
    );
    expect(firsts.map(({ type, order }) => `${type} ${order}`).sort()).toEqual(told.sort());
    expect(refused).toBeGreaterThan(0);
    console.log(
      `${committed.length} events, ${duplicates.length} of them twice, ${backwards} jumps back, ${refused} rolled back`,
    );
  }, 120_000);

  it('starts a PostgreSQL and a broker without any set-up, and leaves nothing behind', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'outbox-'));
    // Where the tests run as root, the server runs as another user.
    chmodSync(temporary, 0o755);
    try {
      await start({ DATABASE_URL: undefined, BROKER_URL: undefined, BROKER_PORT: '0', TMPDIR: temporary });
      const [, own] = /(http:\S+)\/deliveries/.exec(sample.output())!;
      expect(await sendAsWritten('outbox', { 3003: address, 3004: own! })).toEqual([
        'POST /orders/book/2 201',
        'POST /shipments/1 204',
        'GET /deliveries 200',
      ]);
      await waitFor(
        () => sample.output().includes('order.shipped 1, event '),
        () => sample.output(),
      );
      expect(await (await fetch(`${own}/deliveries`)).json()).toMatchObject([
        { event: { type: 'order.placed', order: 1, quantity: 2 }, isDuplicate: false },
        { event: { type: 'order.shipped', order: 1 }, isDuplicate: false },
      ]);
      sample.signal('SIGINT');
      expect(await sample.exited).toEqual({ code: 0, signal: null });
      expect(sample.output()).not.toContain('WARN');
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      await sample.kill();
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});
