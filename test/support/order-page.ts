import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { waitFor } from './wait.js';

/** What this file reads of an element in the page. The DOM's own types are for programs that run in one. */
interface PageElement {
  readonly textContent: string;
  readonly dataset: Record<string, string>;
  readonly children: ArrayLike<PageElement>;
  matches(selector: string): boolean;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): ArrayLike<PageElement>;
}

/** A row of the board, as text. A value that has just changed stands there as `old new`. */
export interface ShownOrder {
  readonly id: number;
  readonly customer: string;
  readonly item: string;
  readonly quantity: string;
  readonly amount: string;
  readonly status: string;
  /** Such as `updated · 12 ms`; empty before the first change. */
  readonly what: string;
  readonly lsn: string;
  /** It stays to be seen for a moment. */
  readonly isDeleted: boolean;
}

export interface ShownChange {
  readonly badge: string;
  readonly what: string;
  /** By column: the value before and the value now. */
  readonly differences: Record<string, readonly [before: string, now: string]>;
}

/** A card of the feed. */
export interface ShownCommit {
  readonly lsn: string;
  readonly xid: string;
  readonly changes: readonly ShownChange[];
  /** Such as `and 488 more in this transaction`; empty where all of its changes are shown. */
  readonly more: string;
}

/** A complaint of the browser: a console error or warning, or an exception that nobody caught. */
export interface Complaint {
  readonly text: string;
  /** Of the request or script; empty for an exception. */
  readonly url: string;
}

/** The sample's page, open in a browser, and all that it does. */
export class OrderPage {
  readonly complaints: Complaint[] = [];
  /** The address of each request. */
  readonly requests: string[] = [];
  /** The address of each document that the page has loaded. */
  readonly navigations: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
  ) {
    context.on('request', (request) => this.requests.push(request.url()));
    page.on('framenavigated', (frame) => this.navigations.push(frame.url()));
    page.on('pageerror', (error) => this.complaints.push({ text: String(error), url: '' }));
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      this.complaints.push({ text: message.text(), url: message.location().url });
    });
  }

  /** Opens it, and waits until it streams. */
  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OrderPage> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
    const opened = new OrderPage(await context.newPage(), context);
    await opened.page.goto(url);
    await opened.shows(async () => (await opened.state()) === 'streaming', 'the state streaming');
    // The rows have been read: the count of them is shown, also where it is 0.
    await opened.shows(async () => (await opened.count()) !== '', 'the rows');
    return opened;
  }

  /** Waits for something to be seen. Fails with what is seen instead. */
  async shows(condition: () => Promise<boolean>, what: string, timeoutMs?: number): Promise<void> {
    await waitFor(condition, what, timeoutMs).catch(async (error: Error) => {
      const seen = (await this.page.locator('body').innerText()).slice(0, 3_000);
      throw new Error(`${error.message}. The page shows:\n${seen}`, { cause: error });
    });
  }

  /** The state at the top right. */
  state(): Promise<string> {
    return this.page.locator('#status-text').innerText();
  }

  /** The sentence below the title; null where there is none. */
  async notice(): Promise<string | null> {
    const notice = this.page.locator('#notice');
    return (await notice.isVisible()) ? notice.innerText() : null;
  }

  /** Beside the title of the board. */
  count(): Promise<string> {
    return this.page.locator('#count').innerText();
  }

  /** How many changes the page says that it has seen. */
  async seen(): Promise<number> {
    return Number((await this.page.locator('#seen').innerText()).replaceAll(/\D/g, ''));
  }

  /** The board from top to bottom. */
  board(): Promise<ShownOrder[]> {
    return this.page.locator('#rows tr').evaluateAll((rows: unknown[]) =>
      (rows as PageElement[]).map((row) => {
        const text = (selector: string): string => row.querySelector(selector)!.textContent;
        return {
          id: Number(row.dataset['id']),
          customer: text('[data-column=customer]'),
          item: text('[data-column=item]'),
          quantity: text('[data-column=quantity]'),
          amount: text('[data-column=amount]'),
          status: text('[data-column=status]'),
          what: text('.change .what'),
          lsn: text('.change .mono'),
          isDeleted: row.matches('.delete'),
        };
      }),
    );
  }

  /** The row of this number, unless it is gone or about to go. */
  async order(id: number): Promise<ShownOrder | undefined> {
    return (await this.board()).find((row) => row.id === id && !row.isDeleted);
  }

  /** The commits from the oldest to the newest. */
  async feed(): Promise<ShownCommit[]> {
    const commits = await this.page.locator('#feed > li').evaluateAll((cards: unknown[]) =>
      (cards as PageElement[]).map((card) => ({
        lsn: card.querySelector('.lsn')!.textContent,
        xid: card.querySelector('.xid')!.textContent.replace('tx ', ''),
        more: card.querySelector('.more')!.textContent,
        changes: Array.from(card.querySelectorAll('.change'), (change) => ({
          badge: change.querySelector('.badge')!.textContent,
          what: change.querySelector('.what')!.textContent,
          differences: Object.fromEntries(
            Array.from(change.querySelectorAll('dl > div'), (pair) => [
              pair.querySelector('dt')!.textContent,
              [pair.querySelector('del')!.textContent, pair.querySelector('ins')!.textContent] as const,
            ]),
          ),
        })),
      })),
    );
    return commits.toReversed();
  }

  close(): Promise<void> {
    return this.context.close();
  }
}
