import { randomBytes } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';
import { canonicalTable } from '../../changes/table-pattern.js';
import { connectPlain, closeClient } from '../../connection/connection.js';
import { describeTarget, type ConnectionTarget } from '../../connection/connection-target.js';
import { asError } from '../../errors/as-error.js';
import { PublicationError } from '../../errors/replication.error.js';
import { PublicationManager } from '../../publications/publication-manager.js';
import {
  NEEDS_IDENTITY,
  planPublications,
  readTables,
  sqlName,
  type PublicationPlan,
  type TableRow,
} from '../../publications/publication-plan.js';
import { missingRights } from '../../publications/publication-rights.js';
import { readOwnedTables, readPublications, type ListedPublication } from '../publication-survey.js';
import type { Terminal } from '../terminal.js';
import type { TailSelection } from './tail-selection.js';

/** Not that of what applications make for their slots, whatever these are called. */
const PREFIX = 'nestjs_pg_listener_tail_';
const LOCK_TIMEOUT = `SET lock_timeout = '5s'`;

/**
 * What a tail reads through: a publication that there is, where one carries all that is asked for; else one of its own,
 * which goes when it ends. A tail that was killed leaves its own behind: the next one takes it away. That a publication
 * is somebody's is told by an advisory lock on its name, which ends with the session.
 */
export class TailPublications {
  private readonly own: string[] = [];

  constructor(
    private readonly target: ConnectionTarget,
    private readonly terminal: Terminal,
  ) {}

  /** @returns their names. @throws PublicationError */
  async provide(client: Client, selection: TailSelection): Promise<readonly string[]> {
    if (selection.publications.length > 0) return this.verify(client, selection);
    const { pattern, mask } = selection;
    // Without what needs an identity: a table that has none is shown as far as it can be.
    const subscriptions = [{ pattern, mask: mask & ~NEEDS_IDENTITY, source: '--table' }];
    const plan = planPublications(await readTables(client), subscriptions);
    const wanted = [...plan.full, ...plan.append];
    if (plan.faults.length > 0) throw this.refusal(plan.faults.join('; '));
    if (wanted.length === 0) {
      throw this.refusal(
        `No table matches ${selection.tables.join(', ')}`,
        'CREATE TABLE one first, or name another one.',
      );
    }
    if ((mask & NEEDS_IDENTITY) !== 0) this.tellOfIdentity(plan.append);
    // Another tail's goes when that ends.
    const existing = (await readPublications(client)).filter(({ name }) => !name.startsWith(PREFIX));
    const fit = existing.find((each) => carriesAll(each, plan, mask));
    if (fit !== undefined) return [fit.name];
    return this.make(client, plan, existing, selection);
  }

  /** Takes away what was made. Never rejects: what could not be taken away is said. */
  async remove(client: Client | undefined): Promise<void> {
    const names = this.own.splice(0);
    if (names.length === 0) return;
    try {
      await drop(client, names);
    } catch {
      let fresh: Client | undefined;
      try {
        fresh = await connectPlain(this.target);
        await drop(fresh, names);
      } catch (error) {
        this.terminal.say(
          `What was made for this tail could not be taken away (${asError(error).message.split('\n')[0]}). The next tail ` +
            `does it, or: ${dropSql(names)};`,
        );
      } finally {
        await closeClient(fresh);
      }
    }
  }

  private async verify(client: Client, { pattern, mask, publications }: TailSelection): Promise<readonly string[]> {
    const { target, terminal } = this;
    const subscriptions = pattern.namedTables.length === 0 ? [] : [{ pattern, mask, source: '--table' }];
    const logger = { log: () => undefined, error: () => undefined, warn: (text: string) => terminal.say(text) };
    await new PublicationManager(target, { publications, managedName: '', subscriptions }, logger).ensure(client);
    return publications;
  }

  private async make(
    client: Client,
    plan: PublicationPlan,
    existing: readonly ListedPublication[],
    { pattern }: TailSelection,
  ): Promise<readonly string[]> {
    const { rows } = await client.query<{ may: boolean; standby: boolean; generated: boolean }>(
      `SELECT has_database_privilege(current_database(), 'CREATE') AS may, pg_is_in_recovery() AS standby,
              current_setting('server_version_num')::int >= 180000 AS generated`,
    );
    const { may, standby, generated } = rows[0]!;
    const owned = may && !standby ? await readOwnedTables(client) : new Set<string>();
    const isMine = ({ oid }: TableRow): boolean => owned.has(oid);
    const others = [...plan.full, ...plan.append].filter((table) => !isMine(table));
    // With what others have published: never two that say a table differently, which the server refuses.
    const borrowed = existing.filter((each) => isPlain(each) && others.some(({ oid }) => each.tables.has(oid)));
    const unseen = others.filter(({ oid }) => !borrowed.some((each) => each.tables.has(oid)));
    const isNamed = unseen.some((table) => pattern.namedTables.some((each) => isSame(each, table)));
    const isNothing = unseen.length === plan.full.length + plan.append.length;
    if (unseen.length > 0 && (isNamed || isNothing)) throw await this.lackOfRights(client, unseen, standby);
    if (unseen.length > 0) this.terminal.say(await this.unseenText(client, unseen));
    await this.removeLeftovers(client);
    const base = `${PREFIX}${randomBytes(6).toString('hex')}`;
    // Two publications that differ in what is generated are two that say a table differently.
    const isOwn = (table: TableRow): boolean =>
      isMine(table) && !(generated && table.hasStored && borrowed.some((each) => each.tables.has(table.oid)));
    const [full, append] = [plan.full.filter(isOwn), plan.append.filter(isOwn)];
    // As an application's: without them, REPLICA IDENTITY FULL fails the user's own UPDATE.
    const hasStored = generated && [...full, ...append].some((table) => table.hasStored);
    const more = hasStored ? ', publish_generated_columns = stored' : '';
    await this.create(client, base, full, `publish = 'insert, update, delete, truncate'${more}`);
    await this.create(client, `${base}_append`, append, `publish = 'insert, truncate'${more}`);
    return [...this.own, ...borrowed.map(({ name }) => name)];
  }

  private async create(client: Client, name: string, tables: readonly TableRow[], options: string): Promise<void> {
    if (tables.length === 0) return;
    await client.query(`${LOCK_TIMEOUT}; SELECT pg_advisory_lock(${lockKey(name)})`);
    // ONLY: children of an inheritance parent are named themselves.
    const list = tables.map((table) => `ONLY ${sqlName(table)}`).join(', ');
    // Before it is known to exist: a process that is ended in between has it taken away.
    this.own.push(name);
    await client.query(
      `CREATE PUBLICATION ${escapeIdentifier(name)} FOR TABLE ${list} ` +
        `WITH (${options}, publish_via_partition_root = true)`,
    );
  }

  /** Of tails that were killed. Those of others are left to them. */
  private async removeLeftovers(client: Client): Promise<void> {
    const { rows } = await client.query<{ name: string }>(
      `SELECT pubname AS name FROM pg_catalog.pg_publication
        WHERE pubname ~ '^${PREFIX}[0-9a-f]{12}(_append)?$' AND pg_has_role(pubowner, 'USAGE')`,
    );
    for (const { name } of rows) {
      const key = lockKey(name);
      const { rows: locks } = await client.query<{ free: boolean }>(`SELECT pg_try_advisory_lock(${key}) AS free`);
      if (!locks[0]!.free) continue;
      await client.query(dropSql([name]));
      await client.query(`SELECT pg_advisory_unlock(${key})`);
    }
  }

  private tellOfIdentity(tables: readonly TableRow[]): void {
    if (tables.length === 0) return;
    const mends = tables.map((table) => `\n  ALTER TABLE ${sqlName(table)} REPLICA IDENTITY FULL;`).join('');
    this.terminal.say(
      `Updates and deletes of ${namesOf(tables)} are not shown: without a primary key, nothing tells the rows apart. To see them:${mends}`,
    );
  }

  private async unseenText(client: Client, unseen: readonly TableRow[]): Promise<string> {
    const rights = await missingRights(client, '', unseen);
    return `Not shown, for the role may not publish them and no publication carries them: ${namesOf(unseen)}\n  ${rights.join('\n  ')}`;
  }

  private async lackOfRights(
    client: Client,
    unseen: readonly TableRow[],
    isStandby: boolean,
  ): Promise<PublicationError> {
    const rights = await missingRights(client, '', unseen);
    const list = unseen.map(sqlName).join(', ');
    const mend = `as their owner: CREATE PUBLICATION listener_changes FOR TABLE ${list}; (not with tables that have no primary key).`;
    if (isStandby) {
      return this.refusal(
        `No publication carries ${namesOf(unseen)}, and a standby takes none`,
        `connect to the primary; or there, ${mend}`,
      );
    }
    return this.refusal(
      `No publication carries ${namesOf(unseen)}, and the role may not make one`,
      rights.length === 0 ? mend : `${mend} Or: ${rights.join(' ')}`,
    );
  }

  private refusal(what: string, hint?: string): PublicationError {
    return new PublicationError(`${what} (${describeTarget(this.target)})`, hint === undefined ? {} : { hint });
  }
}

/** One that is enough by itself: of each table all rows and columns, with what is asked for. */
function carriesAll(publication: ListedPublication, { full, append }: PublicationPlan, mask: number): boolean {
  const has = ({ oid }: TableRow): boolean => publication.tables.has(oid) && !publication.narrowed.has(oid);
  const covers = (wanted: number): boolean => (publication.mask & wanted) === wanted;
  return (
    full.every(has) &&
    append.every(has) &&
    (full.length === 0 || covers(mask)) &&
    (append.length === 0 || covers(mask & ~NEEDS_IDENTITY))
  );
}

function isPlain({ narrowed, hasGenerated }: ListedPublication): boolean {
  return narrowed.size === 0 && !hasGenerated;
}

async function drop(client: Client | undefined, names: readonly string[]): Promise<void> {
  if (client === undefined) throw new Error('no connection');
  await client.query(dropSql(names));
}

function dropSql(names: readonly string[]): string {
  return `DROP PUBLICATION IF EXISTS ${names.map((name) => escapeIdentifier(name)).join(', ')}`;
}

/** Names are of our own making: they hold nothing to be quoted. */
function lockKey(name: string): string {
  return `hashtextextended('${name}', 0)`;
}

function isSame(one: { schema: string; table: string }, other: TableRow): boolean {
  return one.schema === other.schema && one.table === other.table;
}

function namesOf(tables: readonly TableRow[]): string {
  return tables.map(({ schema, table }) => canonicalTable(schema, table)).join(', ');
}
