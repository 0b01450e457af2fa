import type { Type } from '@nestjs/common';
import type pg from 'pg';
import { PgListenerError, type PgListenerOptions } from 'nestjs-pg-listener';
import { startPostgres, type PostgresServer } from 'nestjs-pg-listener/testing';
import { LogCollector, recorderOf, startApplication, type TestApplication } from '../application.js';
import { connect, dropSlots, slotToBeFree, withClient } from '../database.js';
import { freePort } from '#lib/testing/free-port.js';
import { startProxy, type FaultProxy } from '../proxy.js';
import { secure } from '../tls.js';
import { waitFor } from '../wait.js';
import { startPgBouncer } from './pgbouncer.js';

/** What a person reads, and where. */
export interface Reading {
  /** The class and code of an error, or the level of a log line. */
  readonly kind: string;
  readonly text: string;
}

const HBA = [
  'hostssl all strict 127.0.0.1/32 scram-sha-256',
  'host all app,reader,plain 127.0.0.1/32 scram-sha-256',
  'host all stranger 127.0.0.1/32 reject',
];

/**
 * A server on which things are made to fail, one after the other, with names as a reader would choose them: database
 * `shop`, table `orders`, slot `shop`, and the role `app`, which has every right that is needed.
 */
export class FailureSite {
  private readonly opened: (() => Promise<unknown>)[] = [];
  private refused: Parameters<FailureSite['refusal']> = [];

  private constructor(
    readonly server: PostgresServer,
    private readonly nativeDirectory: string | undefined,
  ) {}

  static async open(nativeDirectory: string | undefined): Promise<FailureSite> {
    const server = await startPostgres({
      nativeDirectory,
      settings: { max_wal_senders: '3', max_replication_slots: '3', max_prepared_transactions: '2' },
    });
    const site = new FailureSite(server, nativeDirectory);
    await secure(server, HBA);
    await site.admin(`CREATE ROLE app LOGIN REPLICATION PASSWORD 'secret'; CREATE ROLE strict LOGIN REPLICATION PASSWORD 'secret';
      CREATE ROLE reader LOGIN REPLICATION PASSWORD 'secret'; CREATE ROLE plain LOGIN PASSWORD 'secret'`);
    return site;
  }

  async close(): Promise<void> {
    await this.server.stop('immediate');
  }

  /** The database as it should be; what an earlier failure left is gone. */
  async renew(): Promise<void> {
    await this.cleanUp();
    await this.admin('CREATE DATABASE shop OWNER app');
    await this.inShop(
      'CREATE TABLE orders (id int PRIMARY KEY, status text); ALTER TABLE orders OWNER TO app; GRANT SELECT ON orders TO reader, plain',
    );
  }

  async cleanUp(): Promise<void> {
    for (const close of this.opened.splice(0).toReversed()) await close();
    await withClient(this.server.url, async (client) => {
      const { rows } = await client.query(`SELECT datname FROM pg_database WHERE datname LIKE 'shop%'`);
      await dropSlots(client);
      // They would hold their database, and every new slot.
      const { rows: prepared } = await client.query('SELECT gid, database FROM pg_prepared_xacts');
      for (const { gid, database } of prepared) await this.inDatabase(database, `ROLLBACK PREPARED '${gid}'`);
      for (const { datname } of rows) await client.query(`DROP DATABASE ${datname} WITH (FORCE)`);
    });
  }

  /** To be undone when the failure has been seen, whatever happens. */
  later(undo: () => Promise<unknown>): void {
    this.opened.push(undo);
  }

  url(user = 'app', password = 'secret', database = 'shop'): string {
    const url = new URL(this.server.urlOf(database, user));
    url.password = password;
    return url.toString();
  }

  async admin(sql: string): Promise<void> {
    await withClient(this.server.url, (client) => client.query(sql));
  }

  async inShop(sql: string): Promise<void> {
    await this.inDatabase('shop', sql);
  }

  async inDatabase(database: string, sql: string): Promise<void> {
    await withClient(this.server.urlOf(database), (client) => client.query(sql));
  }

  /** A connection that stays open until the failure has been seen. */
  async hold(config: pg.ClientConfig): Promise<pg.Client> {
    const client = await connect(config);
    this.later(() => client.end());
    return client;
  }

  /** Another server, without TLS. */
  async otherServer(settings: Record<string, string> = {}): Promise<PostgresServer> {
    const server = await startPostgres({ nativeDirectory: this.nativeDirectory, settings });
    this.later(() => server.stop('immediate'));
    return server;
  }

  /** PgBouncer before the server. @returns the URL through it */
  async pooler(program: string): Promise<string> {
    const pooler = await startPgBouncer(program, this.server.port, await freePort());
    this.later(() => pooler.stop());
    const url = new URL(this.url());
    url.port = String(pooler.port);
    return url.toString();
  }

  async proxy(): Promise<FaultProxy> {
    const proxy = await startProxy(new URL(this.server.url));
    this.later(() => proxy.close());
    return proxy;
  }

  /** Boots an application that cannot boot. */
  async refusal(options: Partial<PgListenerOptions> = {}, handlers: Type[] = [recorderOf('orders')]): Promise<Reading> {
    this.refused = [options, handlers];
    const booting = startApplication({ connection: this.url(), slot: 'shop', ...options }, handlers);
    const outcome = await booting.catch((error: unknown) => error);
    if (!(outcome instanceof PgListenerError)) {
      await (outcome as Partial<TestApplication>).close?.();
      throw outcome instanceof Error ? outcome : new Error('It booted');
    }
    return { kind: `\`${outcome.name}\` (\`${outcome.code}\`), the boot fails`, text: outcome.message };
  }

  /** Does what the text of a refusal says, as a superuser, and boots the same application again. */
  async mend({ text }: Reading): Promise<TestApplication> {
    for (const statement of statementsOf(text)) await this.inShop(statement);
    return this.streaming(...this.refused);
  }

  /** Boots without waiting for the stream. */
  async boot(
    options: Partial<PgListenerOptions> = {},
    handlers: Type[] = [recorderOf('orders')],
  ): Promise<TestApplication> {
    const app = await startApplication(
      { connection: this.url(), slot: 'shop', startup: { wait: false }, ...options },
      handlers,
    );
    this.later(() => app.close());
    return app;
  }

  async streaming(options: Partial<PgListenerOptions> = {}, handlers?: Type[]): Promise<TestApplication> {
    const app = await this.boot(options, handlers);
    await waitFor(() => app.listener.status.state === 'streaming', 'the stream');
    return app;
  }

  /** An application that streamed once and has ended: nobody holds its slot. */
  async streamedBefore(options: Partial<PgListenerOptions> = {}): Promise<void> {
    await (await this.streaming(options)).close();
    await withClient(this.server.url, (client) =>
      slotToBeFree({ query: async (sql, values) => (await client.query(sql, values)).rows }, 'shop'),
    );
  }

  /** The first line of the log that has `text` in it. */
  async line({ logs }: { logs: LogCollector }, text: string | RegExp): Promise<Reading> {
    const found = await waitFor(
      () => logs.entries.find(({ message }) => message.search(text) >= 0),
      () => `the log line ${String(text)} among:\n${logs.lines.join('\n')}`,
    );
    return { kind: KINDS[found.level], text: found.message };
  }

  /** Boots an application whose failure is tried again. */
  async retried(text: string | RegExp, options: Partial<PgListenerOptions> = {}, handlers?: Type[]): Promise<Reading> {
    return this.line(await this.boot(options, handlers), text);
  }
}

const KINDS = { log: 'a line in the log', warn: 'a warning in the log', error: 'an error in the log' } as const;

/** The SQL in a text, each statement once; not what is an alternative to what comes before it. */
function statementsOf(text: string): Set<string> {
  // Before it stands what happened, in the server's words.
  const mend = text.slice(Math.max(0, text.indexOf('How to mend it:')));
  const proposed = mend.replace(/\(Amazon[^)]*\)/g, '').split(/,? or have it done/i)[0]!;
  const statements = proposed.match(/\b(?:ALTER|CREATE|GRANT|UPDATE|SELECT pg_drop_replication_slot)\b[^;]*;/g) ?? [];
  return new Set(statements);
}
