import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import type { Update } from '../changes/change.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import type { DatabaseTypes } from '../connection/database-types.js';
import { pinSessionSettings } from '../connection/session-settings.js';
import type { CachedRelation } from '../decoder/relation-cache.js';
import type { RowKey } from '../decoder/row-key.js';
import { RowReader } from '../decoder/row-reader.js';
import { asError } from '../errors/as-error.js';
import { PgListenerError } from '../errors/pg-listener.error.js';
import { OutdatedTypeError } from '../errors/replication.error.js';
import { isPassing, sqlState } from '../errors/sql-state.js';
import { ToastRefusal, type ToastOutcome, type ToastSource } from '../interfaces/toast-source.interface.js';
import { readUniqueIndexes, rowFinder, type RowFinder, type UniqueIndexes } from './row-finder.js';
import { StoreSession } from './store-session.js';

/** Rows of one statement. */
const MOST_ROWS = 100;
/** A table may be locked for long: a change does not wait for that. */
const TIMEOUT = `SET statement_timeout = '5s'`;
/** As the stream sends it: what node-postgres would make of it is up to the parsers of the stream. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };
/** Where the server complains of a value, it quotes it. */
const OF_A_VALUE = /^22/;
/** A name, a type, an operator, a right. */
const OF_THE_CATALOGUE = /^42/;
const TIMED_OUT = '57014';

type Texts = readonly (string | null)[];

interface Member {
  readonly index: number;
  readonly key: RowKey;
}

/** Updates of one table that lack the same columns, and have the same ones to be found by. */
interface Group {
  readonly key: RowKey;
  readonly columns: readonly string[];
  readonly members: readonly Member[];
}

/** Reads unchanged TOAST values from their tables, on a connection of its own that closes when it is idle. */
export class ToastReader implements ToastSource {
  private readonly session: StoreSession;
  /** A table that is altered is described anew in the stream. */
  private readonly indexes = new WeakMap<CachedRelation, UniqueIndexes>();

  constructor(
    target: ConnectionTarget,
    private readonly types: DatabaseTypes,
  ) {
    this.session = new StoreSession(target, {
      prepare: async (client) => {
        await pinSessionSettings(client);
        await client.query(TIMEOUT);
      },
    });
  }

  async read(updates: readonly Update[]): Promise<readonly ToastOutcome[]> {
    const outcomes: ToastOutcome[] = updates.map(() => null);
    const locked = new Map<CachedRelation, ToastRefusal>();
    for (const { members, ...group } of groupsOf(updates)) {
      const { cached } = group.key;
      for (let at = 0; at < members.length; at += MOST_ROWS) {
        const some = members.slice(at, at + MOST_ROWS);
        const refusal = locked.get(cached) ?? (await this.readGroup({ ...group, members: some }, outcomes));
        if (refusal === null) continue;
        for (const { index } of some) outcomes[index] = refusal;
        if (refusal.code === TIMED_OUT) locked.set(cached, refusal);
      }
    }
    return outcomes;
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** Of one table: what the server refuses here says nothing about the others. @returns what all of it came to */
  private async readGroup(group: Group, outcomes: ToastOutcome[]): Promise<ToastRefusal | null> {
    try {
      const rows = await this.rowsOf(group);
      if (rows instanceof ToastRefusal) return rows;
      for (const [place, texts] of rows) outcomes[group.members[place]!.index] = await this.valuesOf(group, texts);
      return null;
    } catch (error) {
      if (isPassing(error)) throw error;
      return refusalOf(error);
    }
  }

  /** Texts by the places of the members. The indexes may be others by now: what is refused is tried with those of now. */
  private async rowsOf(group: Group): Promise<ReadonlyMap<number, Texts> | ToastRefusal> {
    const { cached } = group.key;
    const known = this.indexes.get(cached);
    if (known !== undefined) {
      try {
        return await this.ask((client) => readRows(client, group, known));
      } catch (error) {
        if (!OF_THE_CATALOGUE.test(sqlState(error))) throw error;
        this.indexes.delete(cached);
      }
    }
    const found = await this.ask((client) => readUniqueIndexes(client, cached.relation));
    if (found instanceof ToastRefusal) return found;
    const rows = await this.ask((client) => readRows(client, group, found));
    this.indexes.set(cached, found);
    return rows;
  }

  private async valuesOf({ key: { cached }, columns }: Group, texts: Texts): Promise<ToastOutcome> {
    try {
      return parsed(cached.rows, columns, texts);
    } catch (error) {
      return error instanceof OutdatedTypeError ? this.withTypesOfNow(cached, columns, texts) : refusalOf(error);
    }
  }

  /** The value may be newer than what the stream knows of types, and stays so until the stream begins again. */
  private async withTypesOfNow(
    { relation }: CachedRelation,
    columns: readonly string[],
    texts: Texts,
  ): Promise<ToastOutcome> {
    const oids = relation.columns.map(({ typeOid }) => typeOid);
    const types = await this.ask((client) => this.types.readFor(client, oids));
    try {
      return parsed(new RowReader(relation, types), columns, texts);
    } catch (error) {
      return refusalOf(error);
    }
  }

  private ask<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.session.run(true, work);
  }
}

function refusalOf(error: unknown): ToastRefusal {
  const state = sqlState(error);
  const { message } = asError(error);
  if (OF_A_VALUE.test(state)) return new ToastRefusal(state, `the server does not take a value (${state})`);
  return new ToastRefusal(error instanceof PgListenerError ? error.code : state, message);
}

function groupsOf(updates: readonly Update[]): Iterable<Group> {
  const groups = new Map<unknown, Map<string, Group>>();
  for (const [index, { rowKey: key, unchangedToast: columns }] of updates.entries()) {
    if (key === null) continue;
    if (!groups.has(key.cached)) groups.set(key.cached, new Map());
    const ofTable = groups.get(key.cached)!;
    const list = JSON.stringify([columns, key.names]);
    if (!ofTable.has(list)) ofTable.set(list, { key, columns, members: [] });
    (ofTable.get(list)!.members as Member[]).push({ index, key });
  }
  return [...groups.values()].flatMap((ofTable) => Array.from(ofTable.values()));
}

async function readRows(
  client: Client,
  group: Group,
  indexes: UniqueIndexes,
): Promise<ReadonlyMap<number, Texts> | ToastRefusal> {
  const finder = rowFinder(indexes, group.key);
  if (finder instanceof ToastRefusal) return finder;
  const places = finder.columns.map((column) => group.key.names.indexOf(column));
  const { rows } = await client.query<[string, ...Texts]>({
    text: selectText(group, finder),
    values: group.members.flatMap(({ key }) => places.map((place) => key.values[place])),
    rowMode: 'array',
    types: AS_TEXT,
    binary: false,
  } as never);
  return new Map(rows.map(([place, ...texts]) => [Number(place), texts]));
}

function selectText({ key, columns, members }: Group, finder: RowFinder): string {
  const { id, schema, table } = key.cached.relation;
  const name = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  const list = columns.map((column) => `r.${escapeIdentifier(column)}`).join(', ');
  // Its name may be another table's by now. Of a partitioned table, rows lie in others; those of a child that inherits are not its own.
  const isIt =
    `${escapeLiteral(name)}::regclass::oid = ${id} AND ` +
    `(r.tableoid = ${id} OR (SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = ${id}))`;
  let parameter = 0;
  const selects = members.map((_member, place) => {
    const row = finder.columns
      .map((column, index) => `r.${escapeIdentifier(column)} ${finder.operators[index]} $${++parameter}`)
      .join(' AND ');
    return `SELECT ${place}, ${list} FROM ${name} r WHERE ${isIt} AND ${row}`;
  });
  return selects.join(' UNION ALL ');
}

/** @throws DecodeError, OutdatedTypeError */
function parsed(rows: RowReader, columns: readonly string[], texts: Texts): ReadonlyMap<string, unknown> {
  return new Map(
    columns.map((column, index) => {
      const text = texts[index]!;
      return [column, text === null ? null : rows.valueOf(column, text)];
    }),
  );
}
