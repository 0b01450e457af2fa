import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createDatabase, withClient, type TestDatabase } from '../support/database.js';
import { lookOn } from '../support/event-stream.js';
import { leftovers, sendAsWritten, tidyUpAsWritten } from '../support/sample-readme.js';
import { startSample, type SampleProcess } from '../support/sample.js';
import { waitFor } from '../support/wait.js';

/** Not just "already": the listener may say so of its publication, where making the slot had to be tried again. */
const WRITTEN_BEFORE = 'it has its invoice already';
const ORDERS = 200;
const KILLS = 4;

/** The sample signals itself as soon as a folder is made: a signal from the test may come when it has long booted. */
const SIGTERM_AT_FIRST_FOLDER = `--import=data:text/javascript,${encodeURIComponent(
  `import { watch } from 'node:fs';
   const watcher = watch(process.env.TMPDIR, () => { watcher.close(); process.kill(process.pid, 'SIGTERM'); });`,
)}`;

/** The sample as a user runs it: compiled, a process of its own, changed by SQL from outside. */
describe('the sample named-apps', () => {
  let shop: TestDatabase;
  let billing: TestDatabase;
  let sample: SampleProcess;
  const started: SampleProcess[] = [];

  function start(environment: Record<string, string | undefined> = {}): SampleProcess {
    sample = startSample('named-apps', { SHOP_URL: shop.url, BILLING_URL: billing.url, PORT: '0', ...environment });
    started.push(sample);
    return sample;
  }

  beforeAll(async () => {
    [shop, billing] = await Promise.all([createDatabase(), createDatabase()]);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((each) => each.kill()));
  });
  afterAll(async () => {
    await Promise.all([shop?.drop(), billing?.drop()]);
  });

  const addOrders = async (count: number): Promise<number[]> => {
    const rows = await shop.query<{ id: number }>(
      `INSERT INTO orders (customer, amount) SELECT 'Customer ' || n, n FROM generate_series(1, $1::int) n RETURNING id`,
      [count],
    );
    return rows.map(({ id }) => id);
  };
  const pay = (ids: readonly number[]) =>
    shop.query(`UPDATE orders SET status = 'paid' WHERE id = ANY ($1::int[])`, [ids]);
  const invoicesOf = (ids: readonly number[]) =>
    billing.query<{ number: number; order_id: number; amount: string }>(
      'SELECT number, order_id, amount FROM invoices WHERE order_id = ANY ($1::int[]) ORDER BY order_id',
      [ids],
    );
  const ordersOf = (ids: readonly number[]) =>
    shop.query<{ id: number; amount: string; invoice: number | null }>(
      'SELECT id, amount, invoice FROM orders WHERE id = ANY ($1::int[]) ORDER BY id',
      [ids],
    );

  /** Waits until each order knows an invoice, and holds the two databases against each other. */
  async function expectInvoiced(ids: readonly number[]): Promise<void> {
    await waitFor(
      async () => (await ordersOf(ids)).every(({ invoice }) => invoice !== null),
      () => `an invoice for each order; ${sample.output()}`,
    );
    const orders = (await ordersOf(ids)).map(({ id, amount, invoice }) => ({ order_id: id, amount, number: invoice }));
    expect(orders).toHaveLength(ids.length);
    expect(await invoicesOf(ids)).toEqual(orders);
  }

  /** What the databases show may be there before the line that tells of it. */
  const expectPrinted = (line: string) =>
    waitFor(
      () => sample.output().includes(line),
      () => `"${line}" in ${sample.output()}`,
    );

  /** Connections of this database besides the test's own. */
  const connectionsTo = async ({ name, query }: TestDatabase) =>
    query('SELECT pid FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()', [name]);

  async function expectNothingLeft(): Promise<void> {
    for (const database of [shop, billing]) {
      await waitFor(
        async () => (await connectionsTo(database)).length === 0,
        () => `the end of every connection; ${sample.output()}`,
      );
    }
  }

  it('carries a paid order to billing and its invoice back, and ends on SIGTERM with code 0', async () => {
    const { url, output, signal, exited } = start();
    const address = await url();
    for (const [database, end] of [
      [shop, `-c "UPDATE orders SET status = 'paid' WHERE id = 1"`],
      [billing, '-c "SELECT * FROM invoices"'],
    ] as const) {
      expect(output()).toContain(`psql ${database.url} ${end}`);
    }
    const seen = await lookOn(`${address}/changes`);
    const ids = await addOrders(3);
    await shop.query('UPDATE orders SET amount = amount + 1 WHERE id = $1', [ids[2]]);
    await pay(ids.slice(0, 2));
    await expectInvoiced(ids.slice(0, 2));
    // The third one has changed before them, but is not paid.
    expect(await invoicesOf(ids.slice(2))).toEqual([]);
    const { id, invoice } = (await ordersOf(ids))[0]!;
    await expectPrinted(`Order ${id} is paid: wrote its invoice`);
    await expectPrinted(`Order ${id} has invoice ${invoice}`);
    await waitFor(
      () => seen.has(`billing insert ${id}`) && seen.has(`default update ${id}`),
      'both apps in one stream',
    );

    const paidByHttp = await fetch(`${address}/orders/${ids[2]}/pay`, { method: 'POST' });
    expect(paidByHttp.status).toBe(204);
    await expectInvoiced(ids);
    // Billing's answers were updates of orders too, and came before the third payment.
    expect(output()).not.toContain(WRITTEN_BEFORE);
    expect(await healthOf(address)).toEqual({ status: 200, default: 'streaming', billing: 'streaming' });

    // A page that looks on does not hold the end up.
    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
  });

  it('lets one app rest while the other goes on, and catches up', async () => {
    const { url, signal, exited } = start();
    const address = await url();
    const stopped = await fetch(`${address}/billing/stop`, { method: 'POST' });
    expect(await stopped.json()).toMatchObject({ app: 'billing', state: 'stopped' });
    const ids = await addOrders(2);
    await pay(ids);
    await waitFor(async () => (await invoicesOf(ids)).length === 2, 'the invoices');
    expect((await ordersOf(ids)).map(({ invoice }) => invoice)).toEqual([null, null]);
    expect(await healthOf(address)).toEqual({ status: 503, default: 'streaming', billing: 'stopped' });
    await fetch(`${address}/billing/start`, { method: 'POST' });
    await expectInvoiced(ids);
    expect(await healthOf(address)).toEqual({ status: 200, default: 'streaming', billing: 'streaming' });
    signal('SIGINT');
    expect(await exited).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
  });

  it('is delivered a half-done transaction again after kill -9, and writes no second invoice', async () => {
    await start().url();
    const [first, second] = (await addOrders(2)) as [number, number];
    await withClient(billing.url, async (rival) => {
      // An open transaction with the same key holds the handler up between the two orders.
      await rival.query('BEGIN');
      await rival.query(`INSERT INTO invoices (order_id, customer, amount) VALUES ($1, 'rival', 0)`, [second]);
      await pay([first, second]);
      await waitFor(
        async () => (await invoicesOf([first])).length === 1 && (await waitingFor(billing, 'Lock')),
        () => `a handler that waits for the second invoice; ${sample.output()}`,
      );
      await sample.kill();
      await rival.query('ROLLBACK');
    });
    const { url, signal, exited } = start();
    await url();
    await expectInvoiced([first, second]);
    // The dead process's server session may have written the second invoice, so that all is invoiced before it comes again.
    await expectPrinted(`Order ${first} is paid: ${WRITTEN_BEFORE}`);
    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });

  it('lets a running handler finish on SIGTERM, and does not run it again', async () => {
    const address = await start().url();
    const { output, signal, exited } = sample;
    const [first, second] = (await addOrders(2)) as [number, number];
    await withClient(billing.url, async (rival) => {
      await rival.query('BEGIN');
      await rival.query(`INSERT INTO invoices (order_id, customer, amount) VALUES ($1, 'rival', 0)`, [first]);
      await pay([first]);
      await waitFor(() => waitingFor(billing, 'Lock'), 'a handler that waits');
      signal('SIGTERM');
      // The other app has nothing in hand and has ended: so the end has begun.
      await waitFor(async () => (await healthOf(address)).billing === 'stopped', 'the end of the other app');
      await rival.query('ROLLBACK');
    });
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(output()).toContain(`Order ${first} is paid: wrote its invoice`);
    await expectNothingLeft();
    await start().url();
    await pay([second]);
    await expectInvoiced([first, second]);
    expect(sample.output()).not.toContain(WRITTEN_BEFORE);
  });

  it(`writes one invoice for each of ${ORDERS} orders, over ${KILLS} kills in the middle`, async () => {
    const ids: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await start().url();
      const batch = await addOrders(ORDERS / KILLS);
      for (const id of batch) await pay([id]);
      ids.push(...batch);
      // Some way on its way, and not at its end.
      const enough = ids.length - (kill % 2 === 0 ? batch.length / 2 : 1);
      await waitFor(async () => (await invoicesOf(ids)).length >= enough, 'some of the invoices');
      await sample.kill();
    }
    const { url, signal, exited } = start();
    await url();
    await expectInvoiced(ids);
    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
  }, 60_000);

  it('goes on after an invoice whose order is not there', async () => {
    const { url } = start();
    await url();
    const [next] = (await addOrders(1)) as [number];
    await billing.query(`INSERT INTO invoices (order_id, customer, amount) VALUES (-1, 'Nobody', 1)`);
    await pay([next]);
    await expectInvoiced([next]);
    await expectPrinted('Order -1 is gone');
  });

  it('ends with code 0 on a signal that comes while it boots', async () => {
    await Promise.all([shop, billing].map(dropSlots));
    await withClient(shop.url, async (old) => {
      // A new slot waits for the end of every older transaction.
      await old.query('BEGIN');
      await old.query('SELECT pg_current_xact_id()');
      const { signal, exited, output } = start();
      await waitFor(
        async () => (await waitingFor(shop, 'Lock')) && (await waitingFor(billing, 'Lock')),
        () => `a slot that cannot be made yet; ${output()}`,
      );
      signal('SIGTERM');
      expect(await exited).toEqual({ code: 0, signal: null });
    });
    await expectNothingLeft();
  });

  it('says in one sentence which database it cannot use', async () => {
    const wrong = new URL(billing.url);
    wrong.password = 'hunter2';
    wrong.pathname = '/no_such_database';
    const { output, exited } = start({ BILLING_URL: wrong.href });
    expect(await exited).toEqual({ code: 1, signal: null });
    expect(output()).toBe(
      [
        'Named apps starts, in a few seconds …',
        '',
        'Named apps did not start: the database cannot be used: database "no_such_database" does not exist. Create it, or name another one.',
        `  To try it by hand: psql ${wrong.href.replace(':hunter2', '')}`,
        '  BILLING_URL names the database. Without it, the sample starts a PostgreSQL of its own.',
        '',
        '',
      ].join('\n'),
    );
    await expectNothingLeft();
  });

  it('says which SQL takes away all that it has left', async () => {
    const { url, signal, exited } = start();
    await url();
    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
    await tidyUpAsWritten('named-apps', shop);
    expect(await leftovers(shop)).toEqual([]);
    const ofBilling = (sql: string) =>
      sql.replaceAll('named_apps_shop', 'named_apps_billing').replace('orders', 'invoices');
    await tidyUpAsWritten('named-apps', billing, ofBilling);
    expect(await leftovers(billing)).toEqual([]);
  });

  it('says that a port is taken', async () => {
    const first = start();
    const { port } = new URL(await first.url());
    const { output, exited } = start({ PORT: port });
    expect(await exited).toEqual({ code: 1, signal: null });
    expect(output()).toContain(`Named apps did not start: port ${port} is taken.`);
    await first.kill();
  });

  describe('without any set-up', () => {
    let temporary: string;

    beforeAll(() => {
      temporary = mkdtempSync(join(tmpdir(), 'named-apps-'));
      // Where the tests run as root, the server runs as another user.
      chmodSync(temporary, 0o755);
    });
    afterAll(() => rmSync(temporary, { recursive: true, force: true }));

    const startAlone = (environment: Record<string, string> = {}) =>
      start({ SHOP_URL: undefined, BILLING_URL: undefined, TMPDIR: temporary, ...environment });

    it('starts a PostgreSQL with both databases, tells the story, and leaves nothing behind', async () => {
      const { url, output, signal, exited } = startAlone();
      const address = await url();
      expect(await sendAsWritten('named-apps', { 3001: address })).toEqual(['POST /orders/2/pay 204']);
      await waitFor(() => output().includes('Order 2 has invoice 1'), output);
      const [database] = /postgresql:\S+\/billing/.exec(output())!;
      const { rows } = await withClient(database, (client) => client.query('SELECT order_id FROM invoices'));
      expect(rows).toEqual([{ order_id: 2 }]);
      expect(readdirSync(temporary)).toHaveLength(1);
      signal('SIGINT');
      expect(await exited).toEqual({ code: 0, signal: null });
      expect(output()).not.toContain('WARN');
      expect(readdirSync(temporary)).toEqual([]);
      await expect(withClient(database, () => Promise.resolve())).rejects.toThrow('ECONNREFUSED');
    });

    it('ends with code 0 on a signal that comes while PostgreSQL starts', async () => {
      const { exited, output } = startAlone({ NODE_OPTIONS: SIGTERM_AT_FIRST_FOLDER });
      expect(await exited).toEqual({ code: 0, signal: null });
      expect(output()).toBe('Named apps starts, in a few seconds …\n');
      expect(readdirSync(temporary)).toEqual([]);
    });
  });
});

/** Whether somebody else waits in this database. */
async function waitingFor({ name, query }: TestDatabase, kind: string): Promise<boolean> {
  const rows = await query('SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = $2', [name, kind]);
  return rows.length > 0;
}

async function dropSlots({ name, query }: TestDatabase): Promise<void> {
  await waitFor(async () => {
    await query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active`,
      [name],
    );
    return (await query('SELECT 1 FROM pg_replication_slots WHERE database = $1', [name])).length === 0;
  }, 'the end of the slots');
  // Else it would be a gap.
  await query('DELETE FROM nestjs_pg_listener.slots');
}

async function healthOf(address: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${address}/health`);
  const apps = (await response.json()) as Record<'default' | 'billing', { state: string }>;
  return { status: response.status, default: apps.default.state, billing: apps.billing.state };
}
