import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LiveOrdersEnvironment } from '../support/live-orders-environment.js';
import { connect } from '../support/database.js';
import type { Complaint, OrderPage } from '../support/order-page.js';
import { holdSlot } from '../support/slot-holder.js';
import { waitFor } from '../support/wait.js';

const ORDER = `INSERT INTO orders (customer, item, quantity, amount) VALUES`;

/** What a browser writes into the console when a server is gone. Nothing of it is the page's own doing. */
const AWAY = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)/;

describe('the page survives that', () => {
  let environment: LiveOrdersEnvironment;
  let page: OrderPage;

  beforeAll(async () => {
    environment = await LiveOrdersEnvironment.start();
    page = environment.page;
    await environment.commit(`${ORDER} ('Ada', 'Teapot', 1, 32), ('Alan', 'Lamp', 2, 50), ('Grace', 'Cup', 3, 9)`);
    await showsTheTable();
  });
  afterAll(() => environment?.close());

  afterEach(async () => {
    expect(await environment.harm()).toEqual({ isReloaded: false, foreignRequests: [], complaints: [] });
  });

  /** Waits until the board shows each row of the table, and no other. */
  async function showsTheTable(): Promise<void> {
    const rows = await environment.query('SELECT id, customer, status FROM orders ORDER BY id DESC');
    await page.shows(
      async () => {
        const shown = (await page.board()).map(({ id, customer, status }) => ({
          id,
          customer,
          // Where it has just changed: the value of now.
          status: status.split(' ').at(-1),
        }));
        return JSON.stringify(shown) === JSON.stringify(rows);
      },
      `the rows ${JSON.stringify(rows)}`,
    );
  }

  async function shownCommits(): Promise<{ lsn: string; xid: string }[]> {
    return (await page.feed()).map(({ lsn, xid }) => ({ lsn, xid }));
  }

  async function isConfirmed(lsn: string): Promise<boolean> {
    const [{ confirmed }] = await environment.query(
      `SELECT confirmed_flush_lsn > '${lsn}' AS confirmed FROM pg_replication_slots WHERE slot_name = 'live_orders'`,
    );
    return confirmed;
  }

  async function confirmed(xid: string): Promise<void> {
    const lsn = await environment.lsnOf(xid);
    await waitFor(() => isConfirmed(lsn), `the confirmation of ${lsn}`);
  }

  /** The complaints of the time when something was away, to be looked at; from here on there must be none. */
  function takeComplaints(): Complaint[] {
    return page.complaints.splice(0);
  }

  it('the database restarts: it says so, and goes on with nothing missing and nothing twice', async () => {
    await environment.commit(`UPDATE orders SET status = 'paid' WHERE id = 1`);
    await environment.server.pause('fast');
    await page.shows(async () => (await page.state()) !== 'streaming', 'that the stream is down');
    await page.shows(async () => /nothing is lost/.test((await page.notice()) ?? ''), 'why');
    expect(page.complaints).toEqual([]);

    await page.page.locator('#insert').click();
    const toast = page.page.locator('#toast');
    await page.shows(() => toast.isVisible(), 'that the button could not do its work');
    expect(await toast.innerText()).toContain('The database did not take it');
    // The one request that could not be served. The browser tells of it apart from what the page shows.
    await waitFor(() => page.complaints.length > 0, 'the complaint about it');
    expect(takeComplaints()).toEqual([
      { text: expect.stringContaining('503'), url: `${environment.sample.url}orders` },
    ]);

    await environment.server.start();
    await environment.commit(`${ORDER} ('Edsger', 'Pen', 1, 59)`, `UPDATE orders SET status = 'packed' WHERE id = 2`);
    await environment.commit(`DELETE FROM orders WHERE id = 3`);
    await page.shows(async () => (await page.state()) === 'streaming', 'the state streaming', 30_000);
    await showsTheTable();
    expect(await page.notice()).toBeNull();
    expect(await shownCommits()).toEqual(await environment.witness.commits());
  });

  it('the application dies and is started again: it comes back by itself and shows the rows of meanwhile', async () => {
    await environment.sample.kill();
    await page.shows(async () => (await page.state()) === 'unreachable', 'that nobody answers');
    expect(await page.notice()).toContain('does not answer');
    await environment.commit(`${ORDER} ('Barbara', 'Cups', 6, 54)`);
    await environment.commit(`UPDATE orders SET status = 'shipped' WHERE id = 1`, `DELETE FROM orders WHERE id = 2`);

    await environment.sample.start();
    await page.shows(async () => (await page.state()) === 'streaming', 'the state streaming', 30_000);
    await showsTheTable();
    expect(await page.notice()).toBeNull();
    for (const { text, url } of takeComplaints()) {
      expect(text).toMatch(AWAY);
      expect(url).toBe(`${environment.sample.url}changes`);
    }
    // The handlers have seen what the page has not. It reads the rows by itself, and may be faster.
    await waitFor(() => environment.sample.output.includes('created: Barbara'), 'the handler of the insert');

    const xid = await environment.commit(`${ORDER} ('Katherine', 'Chess set', 1, 48.5)`);
    await showsTheTable();
    const commits = await environment.witness.commits();
    const shown = await shownCommits();
    expect(shown.at(-1)).toEqual({ xid, lsn: await environment.lsnOf(xid) });
    // Some may have gone by while it was away. What it shows is in order, and there once.
    expect(commits.filter(({ xid }) => shown.some((each) => each.xid === xid))).toEqual(shown);
  });

  it('another process holds the slot: it says who, and shows what comes a second time but once', async () => {
    const delivered = (): number =>
      environment.sample.output.match(/#1 changed: status shipped -> delivered/g)?.length ?? 0;
    await confirmed(await environment.commit(`UPDATE orders SET quantity = 7 WHERE id = 1`));
    // The listener records a position before it confirms it. While it cannot, there is time to end it.
    const locker = await connect(environment.server.url);
    try {
      await locker.query('BEGIN; LOCK TABLE nestjs_pg_listener.slots IN SHARE MODE');
      const xid = await environment.commit(`UPDATE orders SET status = 'delivered' WHERE id = 1`);
      await showsTheTable();
      // The page is told of a change before its handler.
      await waitFor(() => delivered() === 1, 'the handler of the update');
      await environment.sample.kill();
      expect(await isConfirmed(await environment.lsnOf(xid))).toBe(false);
    } finally {
      await locker.end();
    }
    const before = await shownCommits();
    const seen = await page.seen();

    const holder = await holdSlot(environment.server.url, 'live_orders');
    try {
      await environment.sample.start();
      await page.shows(async () => (await page.state()) === 'standby', 'the state standby');
      expect(await page.notice()).toContain('holds the slot');
    } finally {
      await holder.release();
    }
    await page.shows(async () => (await page.state()) === 'streaming', 'the state streaming', 30_000);
    for (const { text } of takeComplaints()) expect(text).toMatch(AWAY);

    const last = await environment.commit(`UPDATE orders SET status = 'returned' WHERE id = 1`);
    await showsTheTable();
    // The row may be one that the page has read by itself.
    await page.shows(async () => (await shownCommits()).at(-1)?.xid === last, 'the last commit');
    await waitFor(() => delivered() >= 2, 'the handler of the update, once more');
    expect(delivered()).toBe(2);
    expect(await shownCommits()).toEqual([...before, (await environment.witness.commits()).at(-1)]);
    expect(await page.seen()).toBe(seen + 1);
  });

  it('rows that were asked for before the application died, and come after those that were asked for later', async () => {
    const route = `${environment.sample.url}orders`;
    const late: (() => Promise<void>)[] = [];
    await page.page.route(
      route,
      async (request) => {
        const response = await request.fetch();
        late.push(() => request.fulfill({ response }));
      },
      { times: 1 },
    );
    await environment.sample.kill();
    await environment.sample.start();
    await page.shows(async () => late.length === 1, 'that the page asks for the rows');
    await environment.sample.kill();
    await environment.commit(`${ORDER} ('Maria', 'Notebook', 1, 7.9)`);
    await environment.sample.start();
    await showsTheTable();
    const answered = page.page.waitForEvent('requestfinished', (request) => request.url() === route);
    await late[0]!();
    await answered;
    // Two frames on, the page has done with it what it does.
    await page.page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    await showsTheTable();
    for (const { text } of takeComplaints()) expect(text).toMatch(AWAY);
  });
});
