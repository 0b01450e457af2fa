import type { FailureSite, Reading } from './failure-site.js';

/** One failure that people meet: made to happen on a real server, and told in the guide with the text that comes of it. */
export interface FailureEntry {
  readonly title: string;
  /** What the text does not say: why it is so, what else there is to know. Markdown. */
  readonly about: string;
  /** Where it cannot be made to happen everywhere: why it does not run here; else undefined. */
  readonly missing?: string | undefined;
  /** Its text holds all the SQL that it takes: the test runs it, and the same application boots. */
  readonly isMendedBySql?: true;
  provoke(site: FailureSite): Promise<Reading>;
}

export interface FailureFamily {
  readonly title: string;
  readonly entries: readonly FailureEntry[];
}
