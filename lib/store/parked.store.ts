import type { Client } from 'pg';
import { checkFilter, parkedErrorText, parkingIdentity, type CheckedFilter } from '../changes/parking.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import type { DatabaseTypes } from '../connection/database-types.js';
import { RelationCache } from '../decoder/relation-cache.js';
import { asError } from '../errors/as-error.js';
import { ParkingError } from '../errors/delivery.error.js';
import { PgListenerError } from '../errors/pg-listener.error.js';
import { SlotInUseError } from '../errors/replication.error.js';
import { sqlState } from '../errors/sql-state.js';
import type { Lsn } from '../protocol/lsn.js';
import type { StreamHistory } from '../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import type { ParkedChange, ParkedFilter } from '../interfaces/parked.interface.js';
import type {
  ParkedKeys,
  ParkedRequest,
  ParkedStore,
  ParkedWork,
  ParkingRequest,
} from '../interfaces/parked-store.interface.js';
import { inTransaction } from './in-transaction.js';
import { ensureOwnTables } from './own-tables.js';
import {
  keysOf,
  ParkedRowReader,
  typesOf,
  parkParameters,
  plainParameters,
  plainText,
  type KeysRow,
  type WorkRow,
} from './parked-row.js';
import * as sql from './parked.sql.js';
import { StoreSession } from './store-session.js';
import type { StreamLease } from './stream-lease.js';
import { timelineName } from './timeline.js';
import { logEnd } from './written.js';

/** Rows of one answer: a query must be over before its time is. */
const KEYS_AT_ONCE = 10_000;
/** The oldest so many for each one that is wanted are looked at before all are. */
const LOOK_AHEAD = 2;
const LEAST_LOOK = 100;
/** Where it would be more, all are looked at right away. */
const LONGEST_LOOK = 20_000;
/** A value that the encoding or jsonb does not take; a limit of the server. */
const REFUSED_VALUE = /^(?:22|54)/;

export interface PgParkedStoreOptions {
  /** What is parked is kept under this name, and found again under it. */
  readonly slotName: string;
  readonly app: string;
  /** By what is parked is read. */
  readonly types: DatabaseTypes;
  readonly lease: StreamLease;
  /** The slot is synchronised to standbys: what is parked must be there too before the position is. */
  readonly isFailover: boolean;
  readonly logger: ListenerLogger;
  /** Without use for so long, the connection is closed. @default 5000 */
  readonly idleMs?: number;
}

/** For a transactional handler: what is claimed with a change that is parked. */
interface Claim extends StreamHistory {
  readonly handler: string;
}

/** The dead letter in the source database, for the changes of one slot: the table `parked` of our own schema. */
export class PgParkedStore implements ParkedStore {
  writtenUpTo: Lsn = 0n;
  private readonly session: StoreSession;
  /** Identities of which nobody knows whether they were written: the answer was lost. */
  private readonly unanswered = new Set<string>();
  /** Ids that this process cannot decode: told once, and left out. */
  private readonly unreadable = new Set<string>();

  constructor(
    target: ConnectionTarget,
    private readonly options: PgParkedStoreOptions,
  ) {
    const { idleMs } = options;
    this.session = new StoreSession(target, {
      prepare: (client) => this.prepare(client),
      ...(idleMs === undefined ? {} : { idleMs }),
    });
  }

  async park(request: ParkingRequest): Promise<ParkedKeys | null> {
    const { slotName, app } = this.options;
    const parameters = parkParameters(slotName, app, request);
    const identity = parkingIdentity(request);
    const { history } = request.work.transaction;
    const claim = request.claims && history !== null ? { ...history, handler: request.handler } : null;
    const id = await this.ask(true, async (client) => {
      const inserted = await this.insert(client, identity, parameters, claim);
      // Also where somebody else has parked it.
      if (this.options.isFailover) this.writtenUpTo = await logEnd(client);
      return inserted;
    });
    if (id === null) return null;
    const { handler, keys, work } = request;
    const [schema, table] = 'operation' in work ? [work.schema, work.table] : [null, null];
    return { id, handler, schema, table, keys: table === null ? [] : [...keys] };
  }

  async keys(): Promise<ParkedKeys[]> {
    // A stream begins: what it brings again may be parked, by a commit that lies before this, and in this history.
    if (this.options.isFailover) this.writtenUpTo = await this.ask(true, logEnd);
    const found: ParkedKeys[] = [];
    for (;;) {
      const after = found.at(-1)?.id ?? '0';
      const page = await this.query<KeysRow>(sql.KEYS_PAGE, [this.options.slotName, after, KEYS_AT_ONCE]);
      for (const row of page) found.push(keysOf(row));
      if (page.length < KEYS_AT_ONCE) return found;
    }
  }

  async due(filter: ParkedFilter, except: readonly string[], limit: number): Promise<ParkedWork[]> {
    const checked = checkFilter(filter);
    const found: ParkedWork[] = [];
    while (found.length < limit) {
      const leftOut = [...except, ...found.map(({ id }) => id), ...this.unreadableBut(checked.ids)];
      const ids = await this.dueIds(checked, leftOut, limit - found.length);
      if (ids.length === 0) break;
      const read = await this.readAll(ids);
      found.push(...read.work);
      // Where some cannot be read there may be others; where a person asked for them by name, they have been tried.
      if (read.failures === 0 || checked.ids !== null) break;
    }
    return found;
  }

  async handled(id: string): Promise<void> {
    await this.ask(true, (client) => this.underLease(client, sql.HANDLED, [this.options.slotName, id]));
    this.unreadable.delete(id);
  }

  async failed(id: string, error: Error): Promise<void> {
    const { slotName } = this.options;
    const text = parkedErrorText(error);
    await this.ask(false, (client) =>
      client.query(sql.FAILED, [slotName, id, text]).catch((refusal: unknown) => {
        if (!REFUSED_VALUE.test(sqlState(refusal))) throw refusal;
        return client.query(sql.FAILED, [slotName, id, plainText(text)]);
      }),
    );
  }

  async discard(filter: ParkedFilter): Promise<ParkedKeys[]> {
    // Not repeatable: a second time would not tell what the first one has taken out.
    const parameters = this.filtered(checkFilter(filter));
    const rows = await this.ask(false, (client) => this.underLease<KeysRow>(client, sql.DISCARD, parameters));
    return rows.map(keysOf);
  }

  async list(filter: ParkedFilter): Promise<ParkedChange[]> {
    const checked = checkFilter(filter);
    const rows = await this.query<WorkRow>(sql.LIST, [...this.filtered(checked), checked.limit]);
    if (rows.length === 0) return [];
    const reader = await this.reader(rows);
    return rows.map((row) => reader.change(row));
  }

  async count(filter: ParkedFilter): Promise<number> {
    const rows = await this.query<{ count: string }>(sql.COUNT, this.filtered(checkFilter(filter)));
    return Number(rows[0]!.count);
  }

  async request(filter: ParkedFilter, what: ParkedRequest): Promise<number> {
    const parameters = [...this.filtered(checkFilter(filter)), what];
    return this.ask(true, async (client) => (await client.query(sql.REQUEST, parameters)).rowCount ?? 0);
  }

  async takeRequests(): Promise<{ readonly id: string; readonly what: ParkedRequest }[]> {
    const rows = await this.ask(false, (client) =>
      this.underLease<{ id: string; request: ParkedRequest }>(client, sql.TAKE_REQUESTS, [this.options.slotName]),
    );
    return rows.map(({ id, request }) => ({ id, what: request }));
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  private async prepare(client: Client): Promise<void> {
    // Under another isolation, the look at the lease fails where it should wait. What is parked must outlive a crash.
    await client.query(
      `SELECT set_config('default_transaction_isolation', 'read committed', false),
              CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'local', false) END`,
    );
    const state = await ensureOwnTables(client);
    if (state.isUsable) return;
    throw new ParkingError(`The table of parked changes cannot be used: ${state.reason}`, {
      app: this.options.app,
      isTableMissing: true,
    });
  }

  /** @returns its id; null where it was there before this process tried */
  private async insert(
    client: Client,
    identity: string,
    parameters: unknown[],
    claim: Claim | null,
  ): Promise<string | null> {
    const wasUnanswered = this.unanswered.has(identity);
    this.unanswered.add(identity);
    try {
      const id = await this.insertOnce(client, parameters, claim).catch((error: unknown) => {
        if (!REFUSED_VALUE.test(sqlState(error))) throw error;
        return this.insertOnce(client, plainParameters(parameters), claim);
      });
      this.unanswered.delete(identity);
      return id ?? (wasUnanswered ? await this.find(client, parameters) : null);
    } catch (error) {
      // Refused, so not written.
      const isRefused = sqlState(error) !== '' || error instanceof PgListenerError;
      if (!wasUnanswered && isRefused) this.unanswered.delete(identity);
      throw error;
    }
  }

  private async insertOnce(client: Client, parameters: unknown[], claim: Claim | null): Promise<string | null> {
    if (claim === null) return (await this.underLease(client, sql.PARK, parameters))[0]?.id ?? null;
    const row = await inTransaction(client, () => this.parkClaiming(client, parameters, claim));
    if (row!.known) return row!.id;
    throw new ParkingError('A change of a transactional handler cannot be parked: the row of its progress is gone', {
      app: this.options.app,
      hint: 'it is made anew when the stream begins the next time: restart the app.',
    });
  }

  private async parkClaiming(
    client: Client,
    parameters: unknown[],
    { systemIdentifier, timeline, handler }: Claim,
  ): Promise<{ id: string | null; known: boolean } | undefined> {
    await client.query(sql.PROGRESS_TURN, [systemIdentifier, this.options.app, handler]);
    const where = [systemIdentifier, timelineName(timeline)];
    const [row] = await this.askUnderLease<{ id: string | null; known: boolean }>(
      client,
      sql.PARK_CLAIMING,
      parameters,
      where,
    );
    return row;
  }

  /**
   * Runs what only the process that streams may do. Another one has looked into the table since, and must find it as it
   * was.
   *
   * @returns rows with an id
   */
  private async underLease<Row extends { id: string }>(
    client: Client,
    text: string,
    parameters: unknown[],
  ): Promise<Row[]> {
    const rows = await this.askUnderLease<Row>(client, text, parameters);
    return rows.filter(({ id }) => id !== undefined && id !== null);
  }

  private async askUnderLease<Row extends object>(
    client: Client,
    text: string,
    parameters: unknown[],
    more: unknown[] = [],
  ): Promise<Row[]> {
    const { lease, slotName, app } = this.options;
    const leaseSlot = lease.slotName ?? slotName;
    const held = [...parameters, leaseSlot, lease.epoch, ...more];
    const { rows } = await client.query<Row & { held: boolean }>(text, held);
    if (rows[0]!.held) return rows;
    throw new SlotInUseError(
      `Another process has taken over the slot "${leaseSlot}": this one changes nothing of what is parked`,
      { app },
    );
  }

  private async find(client: Client, parameters: unknown[]): Promise<string | null> {
    const { rows } = await client.query<{ id: string }>(sql.FIND, parameters.slice(0, sql.FIND_PARAMETERS));
    return rows[0]?.id ?? null;
  }

  private async dueIds(filter: CheckedFilter, except: readonly string[], limit: number): Promise<string[]> {
    const parameters = [...this.filtered(filter), except, limit];
    const first = Math.max(LEAST_LOOK, limit * LOOK_AHEAD) + except.length;
    const looks = filter.ids === null && first <= LONGEST_LOOK ? [first, null] : [null];
    let ids: string[] = [];
    for (const look of looks) {
      const rows = await this.query<{ id: string }>(sql.DUE, [...parameters, look]);
      ids = rows.map(({ id }) => id);
      // Some are enough: of a long queue behind one key each call gives one, and must not look at all of it.
      if (ids.length > 0) break;
    }
    return ids;
  }

  private async readAll(ids: readonly string[]): Promise<{ work: ParkedWork[]; failures: number }> {
    const rows = await this.query<WorkRow>(sql.READ, [this.options.slotName, ids]);
    const reader = await this.reader(rows);
    const work: ParkedWork[] = [];
    for (const row of rows) {
      try {
        work.push(reader.work(row));
        this.unreadable.delete(row.id);
      } catch (error) {
        await this.unreadableNow(row, asError(error));
      }
    }
    return { work, failures: rows.length - work.length };
  }

  /** One that cannot be read must not hold up what does not wait for it. */
  private async unreadableNow({ id, handler }: WorkRow, error: Error): Promise<void> {
    if (!this.unreadable.has(id)) {
      this.options.logger.error(`The parked change ${id} of ${handler} cannot be read: ${error.message}`, error.stack);
    }
    this.unreadable.add(id);
    await this.failed(id, error);
  }

  /** What somebody asks for by its id is tried again: the parser may have been mended. */
  private unreadableBut(asked: readonly string[] | null): string[] {
    return [...this.unreadable].filter((id) => asked?.includes(id) !== true);
  }

  /** With the parsers that are set now, and the types that there are now. */
  private async reader(rows: readonly WorkRow[]): Promise<ParkedRowReader> {
    const { app, types } = this.options;
    const known = await this.ask(true, (client) => types.readFor(client, typesOf(rows)));
    return new ParkedRowReader(app, new RelationCache(known));
  }

  private filtered(filter: CheckedFilter): unknown[] {
    return sql.filterParameters(this.options.slotName, filter);
  }

  private query<Row extends object>(text: string, parameters: unknown[]): Promise<Row[]> {
    return this.ask(true, async (client) => (await client.query<Row>(text, parameters)).rows);
  }

  private async ask<T>(isRepeatable: boolean, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await this.session.run(isRepeatable, work);
    } catch (error) {
      if (error instanceof PgListenerError) throw error;
      const state = sqlState(error);
      // What the server says of a value may show it.
      const text = REFUSED_VALUE.test(state) ? `the server does not take a value` : asError(error).message;
      throw new ParkingError(`The table of parked changes cannot be used: ${text} (${state})`, {
        app: this.options.app,
        cause: error,
      });
    }
  }
}
