import { escapeIdentifier, type Client } from 'pg';
import { asError } from '../errors/as-error.js';
import { PublicationError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import { describeTarget, type ConnectionTarget } from '../connection/connection-target.js';
import { translateServerError } from '../connection/server-errors.js';
import { missingRights } from './publication-rights.js';
import { checkColumns } from './column-needs.js';
import { checkIdentityCover, unevenWarnings } from './identity-cover.js';
import { checkPublications, tableList, type PublicationFindings } from './publication-check.js';
import {
  planPublications,
  readTables,
  sqlName,
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

const GENERATED = 'publish_generated_columns = stored';
const ALL_OPERATIONS = 'insert, update, delete, truncate';
/** What a table may publish without a replica identity; update and delete would make the user's own statement fail. */
const APPEND_OPERATIONS = 'insert, truncate';

/** One of ours, as it should be. */
interface ManagedPublication {
  readonly name: string;
  readonly operations: string;
  readonly tables: PublishedTables;
  /** A table of either publication of the app has generated columns that can be published. */
  readonly hasStored: boolean;
}

/** The statement that brings a publication to what it should be. */
interface PublicationStep {
  readonly sql: string;
  readonly added: PublishedTables;
  readonly isNew: boolean;
  /** For the log, behind the name. */
  readonly what: string;
}

/** What a stream asks for. */
export interface EnsuredPublications {
  readonly names: readonly string[];
  /** Made just now, by us: this service has never streamed before. */
  readonly isNew: boolean;
}

/** Another process of this service did the same at the same moment: look again (appendix A of the manual). */
const RACE_CODES = new Set(['42710', '23505', 'XX000']);
const MOST_TRIES = 5;

/** Verifies the user's publications, or creates and extends managed ones. Nothing is ever removed. */
export class PublicationManager {
  private readonly warned = new Set<string>();

  constructor(
    private readonly target: ConnectionTarget,
    private readonly options: PublicationOptions,
    private readonly logger: ListenerLogger,
  ) {}

  get isManaged(): boolean {
    return this.options.publications === null;
  }

  /** Before every START. @throws PublicationError */
  async ensure(client: Client): Promise<EnsuredPublications> {
    const { publications } = this.options;
    try {
      const ensured = publications === null ? await this.manage(client) : await this.verify(client, publications);
      this.report(await checkColumns(client, ensured.names, this.options.subscriptions));
      this.report({ faults: [], warnings: await unevenWarnings(client, this.options.subscriptions) });
      return ensured;
    } catch (error) {
      throw translateServerError(error, this.target);
    }
  }

  private async verify(client: Client, names: readonly string[]): Promise<EnsuredPublications> {
    const { rows: absent } = await client.query<{ name: string }>(
      `SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT pubname FROM pg_catalog.pg_publication)`,
      [names],
    );
    if (absent.length > 0) throw this.missing(absent.map(({ name }) => name));
    const { subscriptions } = this.options;
    this.report(await checkPublications(client, names, subscriptions));
    this.report({ faults: [], warnings: await checkIdentityCover(client, names, subscriptions) });
    return { names, isNew: false };
  }

  private report({ faults, warnings }: PublicationFindings): void {
    for (const warning of warnings) this.warnOnce(warning);
    if (faults.length > 0) throw unheardOf(faults, this.target);
  }

  private missing(names: readonly string[]): PublicationError {
    const tables = tableList(this.options.subscriptions);
    const commands = names.map((name) => `CREATE PUBLICATION ${escapeIdentifier(name)} FOR TABLE ${tables};`);
    const quoted = names.map((name) => `"${name}"`).join(', ');
    return new PublicationError(`There is no publication ${quoted} in ${describeTarget(this.target)}`, {
      app: this.target.app,
      hint: `${commands.join(' ')} or leave \`publications\` out, and the module makes its own.`,
    });
  }

  /**
   * Both publications are made together, before the slot: one that is made later does not exist at the slot's point of
   * the log, and its changes could not be read from there.
   */
  private async manage(client: Client): Promise<EnsuredPublications> {
    const { managedName, subscriptions } = this.options;
    const plan = planPublications(await readTables(client), subscriptions);
    this.report(plan);
    const hasStored = [...plan.full, ...plan.append].some((table) => table.hasStored);
    const full = { name: managedName, operations: ALL_OPERATIONS, tables: plan.full, hasStored };
    const append = { name: `${managedName}_append`, operations: APPEND_OPERATIONS, tables: plan.append, hasStored };
    const isNew = await this.extend(client, full, append);
    await this.extend(client, append);
    return { names: [full.name, append.name], isNew };
  }

  /**
   * @param next what is to be made after it: who has to be asked for one should not be asked twice
   * @returns whether it was made just now
   */
  private async extend(client: Client, wanted: ManagedPublication, next?: ManagedPublication): Promise<boolean> {
    let isNew = false;
    for (let tries = 1; ; tries++) {
      const step = await nextStep(client, wanted);
      if (step === null) return isNew;
      try {
        await client.query(step.sql);
      } catch (error) {
        const isRace = RACE_CODES.has(sqlState(error));
        if (isRace && tries < MOST_TRIES) continue;
        const then = next === undefined ? null : await nextStep(client, next);
        throw await this.explain(
          error,
          then === null ? step.sql : `${step.sql}; ${then.sql}`,
          wanted.name,
          step.added,
          client,
        );
      }
      this.logger.log(`${step.isNew ? 'Created' : 'Extended'} publication "${wanted.name}"${step.what}`);
      isNew ||= step.isNew;
    }
  }

  /** Which right is missing, and who can give it. */
  private async explain(
    error: unknown,
    sql: string,
    name: string,
    tables: PublishedTables,
    client: Client,
  ): Promise<unknown> {
    const code = sqlState(error);
    if (code === '25006') return this.readOnly(error, sql, client);
    if (code !== '42501') return error;
    const grants = await missingRights(client, name, tables);
    return new PublicationError(
      `The role may not create or extend its publication on ${describeTarget(this.target)}: ${asError(error).message}`,
      {
        app: this.target.app,
        cause: error,
        hint: `${grants.join(' ')} Or have it done by one who may: ${sql}; or make a publication of your own and name it in \`publications\`.`,
      },
    );
  }

  /** A standby, or a role or database whose transactions are read-only by default. */
  private async readOnly(error: unknown, sql: string, client: Client): Promise<PublicationError> {
    const { rows } = await client.query<{ standby: boolean; role: string }>(
      'SELECT pg_is_in_recovery() AS standby, current_user AS role',
    );
    const { standby, role } = rows[0]!;
    const mend = standby
      ? `a standby takes no writes: make it on the primary: ${sql}; and name it in \`publications\`, or connect to the primary.`
      : `ALTER ROLE ${escapeIdentifier(role)} SET default_transaction_read_only = off; (or of the database), or have it done by ` +
        `one who may: ${sql}; or make a publication of your own and name it in \`publications\`.`;
    return new PublicationError(
      `The publication cannot be made or extended on ${describeTarget(this.target)}: ${asError(error).message}`,
      { app: this.target.app, cause: error, hint: mend },
    );
  }

  private warnOnce(message: string): void {
    if (this.warned.has(message)) return;
    this.warned.add(message);
    this.logger.warn(message);
  }
}

/**
 * Null where nothing is to be done. Stored generated columns are published wherever the server can (18): a row is then
 * what SELECT gives, and REPLICA IDENTITY FULL lets the user's own UPDATE pass, which it would not without them. Both
 * publications have it alike: the server sends nothing of a table that two publications treat differently.
 */
async function nextStep(
  client: Client,
  { name, operations, tables, hasStored }: ManagedPublication,
): Promise<PublicationStep | null> {
  const { rows } = await client.query<{
    exists: boolean;
    all: boolean;
    generated: string | null;
    members: string | null;
  }>(
    `SELECT p.oid IS NOT NULL AS exists, coalesce(p.puballtables, false) AS all,
            CASE WHEN current_setting('server_version_num')::int >= 180000 THEN coalesce(to_jsonb(p) ->> 'pubgencols', 'n') END AS generated,
            (SELECT string_agg(r.prrelid::text, ',') FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid) AS members
       FROM (VALUES ($1)) AS wanted (name) LEFT JOIN pg_catalog.pg_publication p ON p.pubname = wanted.name`,
    [name],
  );
  const { exists, all, generated, members } = rows[0]!;
  const known = new Set(members?.split(','));
  const added = all ? [] : tables.filter((table) => !known.has(table.oid));
  const list = added.map(qualifiedName).join(', ');
  const it = escapeIdentifier(name);
  if (!exists) {
    const sql =
      `CREATE PUBLICATION ${it}${list === '' ? '' : ` FOR TABLE ${list}`} WITH (publish = '${operations}', ` +
      `publish_via_partition_root = true${generated === null ? '' : `, ${GENERATED}`})`;
    return { sql, added, isNew: true, what: list === '' ? ' (no tables yet)' : `: ${list}` };
  }
  if (generated === 'n' && hasStored) {
    return {
      sql: `ALTER PUBLICATION ${it} SET (${GENERATED})`,
      added: [],
      isNew: false,
      what: ' by generated columns',
    };
  }
  if (added.length === 0) return null;
  return { sql: `ALTER PUBLICATION ${it} ADD TABLE ${list}`, added, isNew: false, what: `: ${list}` };
}

function unheardOf(faults: readonly string[], target: ConnectionTarget): PublicationError {
  const list = faults.map((fault) => `\n  - ${fault}`).join('');
  return new PublicationError(`Tables of ${describeTarget(target)} cannot be listened to:${list}`, { app: target.app });
}

/** ONLY: else the children of an inheritance parent would come along, with or without an identity of their own. */
function qualifiedName(table: TableRow): string {
  return `ONLY ${sqlName(table)}`;
}
