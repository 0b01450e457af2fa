import type pg from 'pg';
import { escapeIdentifier } from 'pg';
import { PublicationError } from '../errors/replication.error.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import { translateServerError, type ConnectionTarget } from './connection.js';
import {
  planPublications,
  readTables,
  type PublishedTables,
  type TableRow,
  type TableSubscription,
} from './publication-plan.js';

export interface PublicationOptions {
  /** The user's own; null: managed. */
  readonly publications: readonly string[] | null;
  /** Name of the managed publication; a second one, for tables without a replica identity, has `_append` behind it. */
  readonly managedName: string;
  readonly subscriptions: readonly TableSubscription[];
}

const ALL_OPERATIONS = 'insert, update, delete, truncate';
/** What a table may publish without a replica identity; update and delete would make the user's own statement fail. */
const APPEND_OPERATIONS = 'insert, truncate';

/** Verifies the user's publications, or creates and extends managed ones. Nothing is ever removed. */
export class PublicationManager {
  private readonly warned = new Set<string>();

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: PublicationOptions,
    private readonly logger: ListenerLogger,
  ) {}

  /** Before every START. @returns the publications to ask for @throws PublicationError */
  async ensure(client: pg.Client): Promise<readonly string[]> {
    const { publications } = this.options;
    try {
      if (publications === null) return await this.manage(client);
      await this.verify(client, publications);
      return publications;
    } catch (error) {
      throw translateServerError(error, this.target);
    }
  }

  private async verify(client: pg.Client, names: readonly string[]): Promise<void> {
    const { rows: absent } = await client.query<{ name: string }>(
      `SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT pubname FROM pg_publication)`,
      [names],
    );
    const missing = absent.map((row) => row.name);
    if (missing.length > 0) {
      throw new PublicationError(`There is no publication ${missing.map((name) => `"${name}"`).join(', ')}`, {
        app: this.target.app,
        hint: `${missing.map((name) => `CREATE PUBLICATION ${escapeIdentifier(name)} FOR TABLE ...;`).join(' ')} or leave \`publications\` out, and the module makes its own.`,
      });
    }
    const { rows } = await client.query<{ schema: string; table: string }>(
      `SELECT DISTINCT schemaname AS schema, tablename AS "table" FROM pg_publication_tables WHERE pubname = ANY($1)`,
      [names],
    );
    for (const { pattern, source } of this.options.subscriptions) {
      if (rows.some((row) => pattern.matches(row.schema, row.table))) continue;
      this.warnOnce(`${source} listens to tables that no publication of this app carries (${names.join(', ')})`);
    }
  }

  private async manage(client: pg.Client): Promise<readonly string[]> {
    const { managedName, subscriptions } = this.options;
    const plan = planPublications(await readTables(client), subscriptions, this.target.app);
    for (const warning of plan.warnings) this.warnOnce(warning);
    await this.extend(client, managedName, ALL_OPERATIONS, plan.full);
    if (plan.append.length === 0) return [managedName];
    const appendName = `${managedName}_append`;
    await this.extend(client, appendName, APPEND_OPERATIONS, plan.append);
    return [managedName, appendName];
  }

  private async extend(client: pg.Client, name: string, operations: string, tables: PublishedTables): Promise<void> {
    const { rows } = await client.query<{ all: boolean; members: string[] | null }>(
      `SELECT p.puballtables AS all, (SELECT array_agg(r.prrelid::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid) AS members
         FROM pg_publication p WHERE p.pubname = $1`,
      [name],
    );
    const existing = rows[0];
    const members = new Set(existing?.members ?? []);
    const added = existing?.all ? [] : tables.filter((table) => !members.has(table.oid));
    if (existing !== undefined && added.length === 0) return;
    const list = added.map(qualifiedName).join(', ');
    const sql =
      existing === undefined
        ? `CREATE PUBLICATION ${escapeIdentifier(name)}${list === '' ? '' : ` FOR TABLE ${list}`} ` +
          `WITH (publish = '${operations}', publish_via_partition_root = true)`
        : `ALTER PUBLICATION ${escapeIdentifier(name)} ADD TABLE ${list}`;
    await this.execute(client, sql);
    const what = existing === undefined ? 'Created' : 'Extended';
    this.logger.log(`${what} publication "${name}"${list === '' ? ' (no tables yet)' : `: ${list}`}`);
  }

  private async execute(client: pg.Client, sql: string): Promise<void> {
    try {
      await client.query(sql);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === '42710') return; // another process of this service was faster
      if (code !== '42501') throw error;
      throw new PublicationError('The role may not create or extend the publication', {
        app: this.target.app,
        cause: error,
        hint:
          `run this as the owner of the tables (and of the publication): ${sql}; or make one of your own and name it in ` +
          '`publications`.',
      });
    }
  }

  private warnOnce(message: string): void {
    if (this.warned.has(message)) return;
    this.warned.add(message);
    this.logger.warn(message);
  }
}

function qualifiedName(table: TableRow): string {
  return `${escapeIdentifier(table.schema)}.${escapeIdentifier(table.table)}`;
}
