import { findBrowser } from './browser.js';

/** Without a browser nothing can be shown here: it says so, and where a browser was asked for that is a failure. */
export default function globalSetup(): void {
  const reason = reasonAgainst();
  if (reason === undefined) return;
  console.log(`\n${reason}\nNOTHING was tested.\n\n0 passed, 0 failed`);
  process.exit(isWanted() ? 1 : 0);
}

function reasonAgainst(): string | undefined {
  try {
    if (findBrowser() !== undefined) return undefined;
  } catch (error) {
    return (error as Error).message;
  }
  return [
    'There is no Chromium here: PATH has neither chromium, chromium-browser nor google-chrome.',
    'Install one (apt-get install chromium), or name one: PG_LISTENER_CHROMIUM=/path/to/chrome',
  ].join('\n');
}

function isWanted(): boolean {
  const { CI, PG_LISTENER_REQUIRE_BROWSER, PG_LISTENER_CHROMIUM, CHROME_PATH } = process.env;
  return CI === 'true' || PG_LISTENER_REQUIRE_BROWSER === '1' || Boolean(PG_LISTENER_CHROMIUM || CHROME_PATH);
}
