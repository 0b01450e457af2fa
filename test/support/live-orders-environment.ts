import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { launchBrowser, type TestBrowser } from './browser.js';
import { CommitWitness } from './commit-witness.js';
import { withClient } from './database.js';
import { LiveOrders } from './live-orders.js';
import { OrderPage } from './order-page.js';

/** The publication that the listener makes for the sample's slot. */
const PUBLICATION = 'pg_listener_live_orders';

/** A server, the sample on it, a browser, and an open page: each a process of its own, and all of them real. */
export class LiveOrdersEnvironment {
  readonly server!: PostgresServer;
  readonly sample!: LiveOrders;
  readonly witness!: CommitWitness;
  readonly browser!: TestBrowser;
  readonly page!: OrderPage;

  /** Starts them one after another; where one fails, those before it are ended. */
  static async start(): Promise<LiveOrdersEnvironment> {
    const environment = new LiveOrdersEnvironment() as { -readonly [Key in keyof LiveOrdersEnvironment]: any };
    try {
      environment.server = await startPostgres();
      environment.sample = await LiveOrders.start(environment.server.url);
      environment.witness = await CommitWitness.create(environment.server.url, PUBLICATION);
      environment.browser = await launchBrowser();
      environment.page = await OrderPage.open(environment.browser.browser, environment.sample.url);
      // A reload would lose it.
      await environment.page.page.evaluate("window.marker = 'set when the page was opened'");
      return environment;
    } catch (error) {
      await environment.close();
      throw error;
    }
  }

  /** Runs the statements as one transaction, from outside. @returns its number */
  commit(...statements: string[]): Promise<string> {
    return withClient(this.server.url, async (client) => {
      await client.query('BEGIN');
      const { rows } = await client.query('SELECT pg_current_xact_id()::text AS xid');
      for (const sql of statements) await client.query(sql);
      await client.query('COMMIT');
      return rows[0].xid;
    });
  }

  query<Row = any>(sql: string): Promise<Row[]> {
    return withClient(this.server.url, async (client) => (await client.query(sql)).rows as Row[]);
  }

  /** The commit LSN that the server itself reports for a transaction. */
  async lsnOf(xid: string): Promise<string> {
    const commit = (await this.witness.commits()).find((each) => each.xid === xid);
    if (commit === undefined) throw new Error(`The server's log has no commit of transaction ${xid}`);
    return commit.lsn;
  }

  /** What must not have happened to the page, in any test; from here on it is counted anew. */
  async harm(): Promise<{ isReloaded: boolean; foreignRequests: string[]; complaints: unknown[] }> {
    return {
      isReloaded: !(await this.isSameDocument()),
      foreignRequests: this.foreignRequests(),
      complaints: this.page.complaints.splice(0),
    };
  }

  /** Whether the page is still the document that was opened. */
  async isSameDocument(): Promise<boolean> {
    const marker = await this.page.page.evaluate('window.marker');
    return marker === 'set when the page was opened' && this.page.navigations.length === 1;
  }

  /** Requests that went to anybody but the sample. */
  foreignRequests(): string[] {
    return this.page.requests.filter((url) => !url.startsWith(this.sample.url));
  }

  /** Ends everything, also where a part of it fails to end. */
  async close(): Promise<void> {
    const ends = [
      () => this.page?.close(),
      () => this.browser?.close(),
      () => this.sample?.kill(),
      () => this.server?.stop('immediate'),
    ];
    const failures: unknown[] = [];
    for (const end of ends) await Promise.resolve(end()).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, `Not everything ended: ${failures.join('; ')}`);
  }
}
