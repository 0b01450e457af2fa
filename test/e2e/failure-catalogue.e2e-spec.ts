import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FailureSite, type Reading } from '../support/catalogue/failure-site.js';
import { parseGuide, renderGuide, settled } from '../support/catalogue/guide.js';
import { FAILURES } from '../support/catalogue/index.js';
import { withClient } from '../support/database.js';

const GUIDE = new URL('../../../docs/troubleshooting.md', import.meta.url);
/** The page is written from this version's words; other versions say some things differently. */
const VERSION_OF_THE_GUIDE = 18;

const isWriting = process.env['PG_LISTENER_WRITE_GUIDE'] === '1';

describe('every failure in the catalogue', () => {
  const told = parseGuide(existsSync(GUIDE) ? readFileSync(GUIDE, 'utf8') : '');
  const seen = new Map<string, Reading>();
  let site: FailureSite;
  let isVersionOfTheGuide: boolean;

  beforeAll(async () => {
    site = await FailureSite.open(process.env['PG_LISTENER_TEST_NATIVE']);
    const version = await withClient(site.server.url, (client) => client.query('SHOW server_version_num'));
    isVersionOfTheGuide = Math.floor(version.rows[0].server_version_num / 10_000) === VERSION_OF_THE_GUIDE;
  });
  beforeEach(() => site.renew());
  afterAll(async () => {
    await site?.cleanUp();
    await site?.close();
    if (isWriting) writeFileSync(GUIDE, renderGuide(FAILURES, new Map([...told, ...seen])));
  });

  for (const { title: family, entries } of FAILURES) {
    describe(family, () => {
      for (const entry of entries) {
        if (entry.missing !== undefined) {
          console.warn(`Not shown, because ${entry.missing}: ${entry.title}`);
          continue;
        }
        it(`is told with its mend: ${entry.title}`, async () => {
          const raw = await entry.provoke(site);
          if (entry.isMendedBySql) expect((await site.mend(raw)).listener.status.state).toBe('streaming');
          const reading = settled(raw);
          seen.set(entry.title, reading);
          expect(reading.text).not.toContain('secret');
          if (isWriting) return;
          expect(told.has(entry.title)).toBe(true);
          const expected = told.get(entry.title)!;
          expect(reading.kind.toLowerCase()).toBe(expected.kind.toLowerCase());
          if (isVersionOfTheGuide) expect(reading.text).toBe(expected.text);
          else expect(mendOf(reading.text)).toBe(mendOf(expected.text));
        });
      }
    });
  }

  it('is on the page, which holds nothing else', () => {
    const readings = isWriting ? new Map([...told, ...seen]) : told;
    const titles = FAILURES.flatMap(({ entries }) => entries.map(({ title }) => title));
    expect([...readings.keys()].toSorted()).toEqual(titles.toSorted());
    if (!isWriting) expect(readFileSync(GUIDE, 'utf8')).toBe(renderGuide(FAILURES, told));
  });
});

/** Our own words: what comes before them may be the server's. */
/** What only the guide's version can say is left out. */
function mendOf(text: string): string {
  const mark = 'How to mend it:';
  const mend = text.includes(mark) ? text.slice(text.indexOf(mark)) : text;
  return mend.replaceAll(', publish_generated_columns = stored', '');
}
