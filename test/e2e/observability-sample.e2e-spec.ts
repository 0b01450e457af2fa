import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createDatabase, dropSlots, withClient, type TestDatabase } from '../support/database.js';
import { leftovers, sendAsWritten, tidyUpAsWritten } from '../support/sample-readme.js';
import { Scrape } from '../support/prometheus-text.js';
import { startSample, type SampleProcess } from '../support/sample.js';
import { waitFor } from '../support/wait.js';

/** The sample as a user runs it: compiled, a process of its own. */
describe('the sample observability', () => {
  let db: TestDatabase;
  let sample: SampleProcess;
  let address: string;

  beforeAll(async () => {
    db = await createDatabase();
  });
  afterEach(() => sample?.kill());
  afterAll(async () => {
    if (db === undefined) return;
    await withClient(db.url, (client) => dropSlots(client, db.name));
    await db.drop();
  });

  async function start(environment: Record<string, string | undefined> = {}): Promise<void> {
    sample = startSample('observability', { DATABASE_URL: db.url, PORT: '0', ...environment });
    address = await sample.url();
  }
  const post = async (path: string): Promise<any> => (await fetch(`${address}/${path}`, { method: 'POST' })).json();
  const health = async () => {
    const response = await fetch(`${address}/health`);
    return { code: response.status, ...((await response.json()) as { status: string; details: unknown }) };
  };
  const scrape = async (): Promise<Scrape> => new Scrape(await (await fetch(`${address}/metrics`)).text());
  const metric = async (name: string, labels: Record<string, string> = {}) =>
    (await scrape()).value(`pg_listener_${name}`, { handler: 'reserve', ...labels });
  const handled = () => metric('handler_changes_total', { outcome: 'handled' });

  async function stop(): Promise<void> {
    sample.signal('SIGTERM');
    expect(await sample.exited).toEqual({ code: 0, signal: null });
  }

  it('is ok, then degraded while its handler is slow, and says which call was slow', async () => {
    await start();
    await post('orders');
    await waitFor(async () => (await handled()) === 1, 'the order');
    expect(await health()).toMatchObject({ code: 200, status: 'ok' });
    await post('warehouse/slow');
    await post('orders');
    await waitFor(async () => (await metric('handler_in_flight')) === 1, 'the slow call');
    expect(
      (
        await waitFor(async () => {
          const answer = await health();
          return answer.status === 'degraded' ? answer : undefined;
        }, 'the lag')
      ).code,
    ).toBe(200);
    await waitFor(async () => (await handled()) === 2, 'the slow order');
    await waitFor(() => /reserve took 2\d\d\d ms \(attempt 1\)/.test(sample.output()), 'the slow call in the log');
    await waitFor(async () => (await health()).status === 'ok', 'all to be well');
    await stop();
  });

  it('counts failures, parks, and handles what was parked when it is told to', async () => {
    await start();
    await post('warehouse/broken');
    await post('orders');
    await waitFor(async () => (await metric('handler_parked_changes')) === 1, 'the parked order');
    expect(await metric('handler_failures_total')).toBe(2);
    expect(await health()).toMatchObject({ code: 200, status: 'degraded', details: { orders: { parked: 1 } } });
    await post('warehouse/fine');
    await post('parked/retry');
    await waitFor(async () => (await metric('handler_parked_changes')) === 0, 'nothing parked');
    expect(await handled()).toBe(1);
    expect(await health()).toMatchObject({ status: 'ok' });
    await stop();
  });

  it('has a guard, an interceptor and a filter around its handler, and counts what they decide', async () => {
    await start();
    const of = (outcome: string) => metric('handler_changes_total', { outcome });
    await post('orders/test');
    const { id } = await post('orders/unicorn');
    await post('orders/book');
    await waitFor(async () => (await handled()) === 2, 'the orders');
    expect([await of('skipped'), await of('parked')]).toEqual([1, 0]);
    expect(await metric('handler_failures_total')).toBe(1);
    expect((await scrape()).text).toMatch(/^shop_out_of_stock_total 1$/m);
    await waitFor(
      () => new RegExp(`reserve [0-9A-F]+/[0-9A-F]+/0 \\(attempt 1\\): reserved order ${id + 1}`).test(sample.output()),
      'the line of the log with its change',
    );
    expect(sample.output()).toMatch(new RegExp(`order ${id} waits until the warehouse has it`));
    expect(await post('orders/dragon')).toMatchObject({ statusCode: 400 });
    await stop();
  });

  it('refuses a mood that there is not', async () => {
    await start();
    expect(await post('warehouse/sad')).toMatchObject({ statusCode: 400 });
    await stop();
  });

  it('says which SQL takes away all that it has left', async () => {
    await start();
    await stop();
    await tidyUpAsWritten('observability', db);
    expect(await leftovers(db)).toEqual([]);
  });

  it('starts a PostgreSQL without any set-up, knows its limit, and leaves nothing behind', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'observability-'));
    // Where the tests run as root, the server runs as another user.
    chmodSync(temporary, 0o755);
    try {
      await start({ DATABASE_URL: undefined, TMPDIR: temporary });
      expect(await sendAsWritten('observability', { 3002: address })).toEqual([
        'POST /orders 201',
        'GET /health 200',
        'GET /metrics 200',
      ]);
      const { value } = await scrape().then((each) => ({ value: each.value.bind(each) }));
      expect(value('pg_listener_slot_safe_bytes')!).toBeLessThan(300_000_000);
      await stop();
      expect(sample.output()).not.toContain('WARN');
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      await sample.kill();
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});
