import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LiveOrdersEnvironment } from '../support/live-orders-environment.js';
import { OrderPage, type ShownCommit } from '../support/order-page.js';

const ORDER = `INSERT INTO orders (customer, item, quantity, amount)`;
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1440, height: 1000 };

/** A page that stands still for longer feels broken, on a busy machine too. */
const STANDSTILL_MS = 3_000;

/** Keeps the longest time between two turns of the page's event loop. */
const WATCH_FOR_STANDSTILL = `
  window.longestGap = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.longestGap = Math.max(window.longestGap, now - last);
    last = now;
  }, 10);`;

describe('the page can be used', () => {
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

  /**
   * Does something that makes one commit, and gives it as the page shows it, with at least so many of its changes: each is
   * an event of its own, so a frame may be drawn between two of them.
   */
  async function commitOf(action: () => Promise<unknown>, changes = 1): Promise<ShownCommit> {
    const { lsn: before } = (await page.feed()).at(-1) ?? { lsn: '' };
    const newest = async (): Promise<ShownCommit | undefined> => (await page.feed()).at(-1);
    const isShown = (commit?: ShownCommit): boolean =>
      commit !== undefined && commit.lsn !== before && commit.changes.length >= changes;
    await action();
    await page.shows(async () => isShown(await newest()), 'a commit');
    return (await newest())!;
  }

  const click = (selector: string) => (): Promise<void> => page.page.locator(selector).click();
  const press = (name: string) => (): Promise<void> => page.page.getByRole('button', { name }).click();
  const kinds = ({ changes }: ShownCommit): string[] => changes.map(({ badge }) => badge);
  const idOf = ({ changes }: ShownCommit): string => changes[0]!.what.split(' ')[0]!;

  it('the buttons at the top insert, update and delete', async () => {
    expect(kinds(await commitOf(click('#insert')))).toEqual(['new']);
    expect(await environment.query('SELECT id, status FROM orders')).toEqual([{ id: 1, status: 'new' }]);
    expect(kinds(await commitOf(click('#update')))).toEqual(['changed']);
    expect(kinds(await commitOf(click('#delete')))).toEqual(['deleted']);
    expect(await environment.query('SELECT id FROM orders')).toEqual([]);
    // With nothing there, there is nothing to do.
    await click('#update')();
    await click('#delete')();
    await commitOf(click('#insert'));
    expect(await page.feed()).toHaveLength(4);
  });

  it('one transaction brings its four changes together', async () => {
    const commit = await commitOf(click('#transaction'), 4);
    expect(kinds(commit)).toEqual(['new', 'new', 'changed', 'deleted']);
    expect(commit.lsn).toBe(await environment.lsnOf(commit.xid));
  });

  it('the buttons of a row change that row', async () => {
    const id = idOf(await commitOf(() => environment.commit(`${ORDER} VALUES ('Ada', 'Lamp', 1, 64)`)));
    const advanced = await commitOf(press(`Order ${id.slice(1)}: Advance its status`));
    expect(advanced.changes).toEqual([
      { badge: 'changed', what: `${id} Ada`, differences: expect.objectContaining({ status: ['new', 'paid'] }) },
    ]);
    const added = await commitOf(press(`Order ${id.slice(1)}: One more of it`));
    expect(added.changes[0]!.differences).toMatchObject({ quantity: ['1', '2'], amount: ['64.00', '128.00'] });
    const deleted = await commitOf(press(`Order ${id.slice(1)}: Delete it`));
    expect(deleted.changes).toMatchObject([{ badge: 'deleted', what: `${id} Ada, 2 × Lamp` }]);
  });

  it('the statements that it offers for psql do what they say', async () => {
    const statement = (): Promise<string> => page.page.locator('#statement').innerText();
    const choose = (name: string): Promise<void> => page.page.locator('.tabs').getByText(name).click();
    expect(await page.page.locator('#psql').innerText()).toBe(`psql ${environment.server.url}`);
    const inserted = await commitOf(async () => environment.query(await statement()));
    expect(kinds(inserted)).toEqual(['new']);
    await choose('UPDATE');
    const updated = await commitOf(async () => environment.query(await statement()));
    expect(updated.changes[0]!.differences).toEqual({ quantity: ['2', '3'], status: ['new', 'on hold'] });
    await choose('DELETE');
    const deleted = await commitOf(async () => environment.query(await statement()));
    expect(kinds(deleted)).toEqual(['deleted']);
    expect([idOf(updated), idOf(deleted)]).toEqual([idOf(inserted), idOf(inserted)]);
  });

  it('500 rows of one statement and 300 quick commits arrive completely, and it does not stand still', async () => {
    const before = await page.seen();
    await page.page.evaluate(WATCH_FOR_STANDSTILL);
    const many = await commitOf(() =>
      environment.commit(`${ORDER} SELECT 'Crowd ' || n, 'Ticket', 1, 10 FROM generate_series(1, 500) n`),
    );
    await page.shows(async () => (await page.seen()) === before + 500, '500 changes');
    expect(many.changes[0]).toMatchObject({ badge: 'new', what: expect.stringContaining('Crowd 1, 1 × Ticket') });
    const card = (await page.feed()).find(({ lsn }) => lsn === many.lsn);
    expect([card!.changes.length, card!.more]).toEqual([12, 'and 488 more in this transaction']);

    // A procedure commits each of them.
    await environment.query(`DO $$ BEGIN FOR n IN 1..300 LOOP
      UPDATE orders SET status = 'seen ' || n WHERE id = (SELECT max(id) FROM orders); COMMIT; END LOOP; END $$`);
    await page.shows(async () => (await page.seen()) === before + 800, '800 changes');
    expect((await page.board())[0]!.status).toBe('seen 299 seen 300');

    const shown = (await page.board()).filter(({ isDeleted }) => !isDeleted);
    const rows = await environment.query('SELECT id, customer FROM orders ORDER BY id DESC LIMIT 200');
    expect(shown.map(({ id, customer }) => ({ id, customer }))).toEqual(rows);
    expect(await page.count()).toBe('the newest 200');
    const feed = (await page.feed()).map(({ lsn, xid }) => ({ lsn, xid }));
    expect(feed).toEqual((await environment.witness.commits()).slice(-40));

    await commitOf(click('#insert'));
    const gap = await page.page.evaluate<number>('window.longestGap');
    console.log(`500 rows at once and 300 quick commits: the page stood still for ${Math.round(gap)} ms at most`);
    expect(gap).toBeLessThan(STANDSTILL_MS);
  });

  it('a board that is emptied while older rows exist says that they do', async () => {
    await environment.commit('DELETE FROM orders WHERE id > (SELECT max(id) FROM orders) - 150');
    await page.shows(async () => (await page.board()).length === 50, '50 rows');
    expect(await page.count()).toBe('the newest 50');
    await environment.commit('DELETE FROM orders WHERE id > (SELECT max(id) FROM orders) - 50');
    await page.shows(async () => (await page.board()).length === 0, 'no row');
    expect(await page.page.locator('#empty').innerText()).toContain('Reload the page to see older ones');
    await environment.commit('TRUNCATE orders');
    await page.shows(async () => (await page.count()) === '0', 'the count 0');
    expect(await page.page.locator('#empty').innerText()).toContain('No orders');
  });

  it.each([
    ['desktop', 'light', DESKTOP],
    ['desktop', 'dark', DESKTOP],
    ['phone', 'light', PHONE],
    ['phone', 'dark', PHONE],
  ] as const)('fits on a %s in the %s, also with long values', async (device, colorScheme, viewport) => {
    const guest = await OrderPage.open(environment.browser.browser, environment.sample.url, { viewport, colorScheme });
    try {
      await environment.commit('TRUNCATE orders');
      await environment.commit(
        `${ORDER} VALUES ('Grace Hopper', 'Desk lamp', 1, 64), ('Alan Turing', 'Chess set', 1, 48.5),
          ('${'Wolfeschlegelsteinhausen'.repeat(4)}', '${'Teapot'.repeat(20)}', 2147483646, 99999999.99)`,
      );
      await environment.commit(
        `UPDATE orders SET status = 'paid' WHERE customer = 'Alan Turing'`,
        `UPDATE orders SET amount = 10000000.01, quantity = 2147483647, status = 'waiting for a very long reply' WHERE quantity > 1`,
        `${ORDER} VALUES ('Ada Lovelace', 'Notebook', 4, 31.6)`,
      );
      await guest.shows(async () => (await guest.board()).length === 4 && (await guest.seen()) === 7, '4 rows');
      const measured = await guest.page.evaluate<number[]>(
        '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
      );
      expect(measured).toEqual([viewport.width, viewport.width]);
      // Words may be cut short, digits may not.
      const cut = `[...document.querySelectorAll('#rows .number')].filter((cell) => cell.scrollWidth > cell.clientWidth).length`;
      expect(await guest.page.evaluate(cut)).toBe(0);
      expect(guest.complaints).toEqual([]);
      await picture(guest, `${device}-${colorScheme}`);
    } finally {
      await guest.close();
    }
  });
});

/** For a person to look at: into the folder that PG_LISTENER_SCREENSHOTS names, if it names one. */
async function picture({ page }: OrderPage, name: string): Promise<void> {
  const folder = process.env['PG_LISTENER_SCREENSHOTS'];
  if (!folder) return;
  await page.screenshot({ path: join(folder, `live-orders-${name}.png`), fullPage: true, animations: 'disabled' });
}
