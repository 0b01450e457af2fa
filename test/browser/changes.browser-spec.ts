import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LiveOrdersEnvironment } from '../support/live-orders-environment.js';
import type { OrderPage } from '../support/order-page.js';

const ORDER = `INSERT INTO orders (customer, item, quantity, amount) VALUES`;

/** Rows are written by SQL from here; the page is only looked at. */
describe('the page shows what is written elsewhere', () => {
  let environment: LiveOrdersEnvironment;
  let page: OrderPage;

  beforeAll(async () => {
    environment = await LiveOrdersEnvironment.start();
    page = environment.page;
  });
  afterAll(() => environment?.close());

  afterEach(async () => {
    expect(await environment.harm()).toEqual({ isReloaded: false, foreignRequests: [], complaints: [] });
  });

  it('begins with an empty board that says so', async () => {
    expect(await page.board()).toEqual([]);
    expect(await page.count()).toBe('0');
    expect(await page.page.locator('#empty').isVisible()).toBe(true);
    expect(await page.notice()).toBeNull();
  });

  it('an inserted row, with the commit LSN that the database reports', async () => {
    const xid = await environment.commit(`${ORDER} ('Ada', 'Teapot', 2, 64)`);
    await page.shows(async () => (await page.order(1)) !== undefined, 'order 1');
    const lsn = await environment.lsnOf(xid);
    expect(await page.order(1)).toEqual({
      id: 1,
      customer: 'Ada',
      item: 'Teapot',
      quantity: '2',
      amount: '64.00',
      status: 'new',
      what: expect.stringMatching(/^inserted · \d+ ms$/),
      lsn,
      isDeleted: false,
    });
    expect((await page.feed()).at(-1)).toEqual({
      lsn,
      xid,
      more: '',
      changes: [{ badge: 'new', what: '#1 Ada, 2 × Teapot', differences: {} }],
    });
    expect(await page.page.locator('#last-lsn').innerText()).toBe(lsn);
    expect(await page.count()).toBe('1');
  });

  it('an update, the old value beside the new one', async () => {
    const xid = await environment.commit(`UPDATE orders SET status = 'on hold', quantity = 3 WHERE id = 1`);
    await page.shows(async () => (await page.order(1))?.status === 'new on hold', 'both values of the status');
    const lsn = await environment.lsnOf(xid);
    expect(await page.order(1)).toMatchObject({
      quantity: '2 3',
      amount: '64.00',
      what: expect.stringMatching(/^updated · \d+ ms$/),
      lsn,
    });
    expect((await page.feed()).at(-1)).toEqual({
      lsn,
      xid,
      more: '',
      changes: [
        { badge: 'changed', what: '#1 Ada', differences: { quantity: ['2', '3'], status: ['new', 'on hold'] } },
      ],
    });
  });

  it('several changes of one transaction together, in order, and nothing of one that was rolled back', async () => {
    const before = (await page.feed()).length;
    await environment.query(`BEGIN; ${ORDER} ('Nobody', 'Nothing', 1, 1); ROLLBACK`);
    const xid = await environment.commit(
      `${ORDER} ('Alan', 'Chess set', 1, 48.5)`,
      `UPDATE orders SET status = 'paid' WHERE customer = 'Alan'`,
      `DELETE FROM orders WHERE id = 1`,
    );
    // Each change is an event of its own, so a frame may be drawn between two of them.
    await page.shows(async () => (await page.feed())[before]?.changes.length === 3, 'the three changes of the commit');
    const feed = await page.feed();
    expect(feed).toHaveLength(before + 1);
    expect(feed.at(-1)).toMatchObject({ xid, lsn: await environment.lsnOf(xid) });
    expect(feed.at(-1)!.changes.map(({ badge }) => badge)).toEqual(['new', 'changed', 'deleted']);
    expect((await page.board()).map(({ customer }) => customer)).not.toContain('Nobody');
  });

  it('a deleted row goes from the board', async () => {
    const [{ id }] = await environment.query(`SELECT id FROM orders WHERE customer = 'Alan'`);
    const xid = await environment.commit(`DELETE FROM orders WHERE id = ${id}`);
    // It stays for a moment, struck out, and is gone then.
    await page.shows(async () => (await page.board()).length === 0, 'an empty board');
    expect((await page.feed()).at(-1)).toMatchObject({
      lsn: await environment.lsnOf(xid),
      changes: [{ badge: 'deleted', what: `#${id} Alan, 1 × Chess set` }],
    });
    expect(await page.count()).toBe('0');
  });

  it('markup in a row as the text that it is', async () => {
    const customer = '<img src=https://example.invalid/x onerror=document.title=1>';
    await environment.commit(`${ORDER} ('${customer}', '<b>bold</b>', 1, 1)`);
    await page.shows(async () => (await page.board()).length === 1, 'the row');
    expect((await page.board())[0]).toMatchObject({ customer, item: '<b>bold</b>' });
    expect(await page.page.title()).toBe('Live orders');
  });

  it('TRUNCATE', async () => {
    const xid = await environment.commit('TRUNCATE orders');
    await page.shows(async () => (await page.board()).length === 0, 'an empty board');
    expect((await page.feed()).at(-1)).toMatchObject({
      lsn: await environment.lsnOf(xid),
      changes: [{ badge: 'emptied', what: 'all rows of orders' }],
    });
  });

  it('each commit once, in the order of the log', async () => {
    const shown = (await page.feed()).map(({ lsn, xid }) => ({ lsn, xid }));
    expect(shown).toHaveLength(6);
    expect(shown).toEqual(await environment.witness.commits());
  });
});
