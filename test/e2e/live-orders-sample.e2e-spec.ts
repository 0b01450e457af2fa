import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { freePort } from '#lib/testing/free-port.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { BLOCKS } from '../support/documentation.js';
import { leftovers, tidyUpAsWritten } from '../support/sample-readme.js';
import { startSample, type SampleProcess } from '../support/sample.js';
import { waitFor } from '../support/wait.js';

/** What needs no browser; the page is in test/browser. */
describe('the sample live-orders', () => {
  let db: TestDatabase;
  let sample: SampleProcess | undefined;

  beforeEach(async () => {
    db = await createDatabase();
  });
  afterEach(async () => {
    await sample?.kill();
    await db?.drop();
  });

  it('hears the statements of its README, and is taken away by them', async () => {
    const port = String(await freePort());
    sample = startSample('live-orders', { DATABASE_URL: db.url, PORT: port });
    const { url, output, signal, exited } = sample;
    const address = await url();
    const block = BLOCKS.find(({ page, language }) => page === 'sample/live-orders/README.md' && language === 'sql');
    await db.query(block!.code);
    for (const text of ['created: You, 2 x Teapot', '#1 deleted']) await waitFor(() => output().includes(text), output);
    expect(await (await fetch(`${address}/health`)).json()).toMatchObject({ status: 'up' });

    const second = startSample('live-orders', { DATABASE_URL: db.url, PORT: port });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.output()).toContain(`port ${port} is taken`);

    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
    await tidyUpAsWritten('live-orders', db);
    expect(await leftovers(db)).toEqual([]);
  });
});
