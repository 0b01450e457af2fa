import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import type { Update } from '../changes/change.js';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { pinSessionSettings } from '../connection/session-settings.js';
import type { RowKey } from '../decoder/row-key.js';
import type { ToastSource } from '../interfaces/toast-source.interface.js';
import { StoreSession } from './store-session.js';

/** Rows of one statement. */
const MOST_ROWS = 100;
/** A table may be locked for long: a change does not wait for that. */
const TIMEOUT = `SET statement_timeout = '5s'`;
/** As the stream sends it: what node-postgres would make of it is up to the parsers of the stream. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

type Values = ReadonlyMap<string, unknown>;

/** Updates of one table that lack the same columns. */
interface Group {
  readonly key: RowKey;
  readonly columns: readonly string[];
  readonly members: { readonly index: number; readonly key: RowKey }[];
}

/** Reads unchanged TOAST values from their tables, on a connection of its own that closes when it is idle. */
export class ToastReader implements ToastSource {
  private readonly session: StoreSession;

  constructor(target: ConnectionTarget) {
    this.session = new StoreSession(target, {
      prepare: async (client) => {
        await pinSessionSettings(client);
        await client.query(TIMEOUT);
      },
    });
  }

  async read(updates: readonly Update[]): Promise<readonly (Values | null)[]> {
    const found: (Values | null)[] = updates.map(() => null);
    for (const group of groupsOf(updates)) {
      for (let at = 0; at < group.members.length; at += MOST_ROWS) {
        const members = group.members.slice(at, at + MOST_ROWS);
        const rows = await this.session.run(true, (client) => readRows(client, { ...group, members }));
        for (const [place, ...texts] of rows) {
          found[members[Number(place)]!.index] = valuesOf(group, texts);
        }
      }
    }
    return found;
  }

  close(): Promise<void> {
    return this.session.close();
  }
}

function groupsOf(updates: readonly Update[]): Iterable<Group> {
  const groups = new Map<unknown, Map<string, Group>>();
  for (const [index, { rowKey: key, unchangedToast: columns }] of updates.entries()) {
    if (key === null) continue;
    if (!groups.has(key.cached)) groups.set(key.cached, new Map());
    const ofTable = groups.get(key.cached)!;
    const list = JSON.stringify(columns);
    if (!ofTable.has(list)) ofTable.set(list, { key, columns, members: [] });
    ofTable.get(list)!.members.push({ index, key });
  }
  return [...groups.values()].flatMap((ofTable) => Array.from(ofTable.values()));
}

async function readRows(client: Client, { key, columns, members }: Group): Promise<(string | null)[][]> {
  const { id, schema, table } = key.cached.relation;
  const name = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  const list = columns.map((column) => `r.${escapeIdentifier(column)}`).join(', ');
  // Its name may be another table's by now. Of a partitioned table, rows lie in others; those of a child that inherits are not its own.
  const isIt =
    `${escapeLiteral(name)}::regclass::oid = ${id} AND ` +
    `(r.tableoid = ${id} OR (SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = ${id}))`;
  let parameter = 0;
  const selects = members.map((_member, index) => {
    const row = key.names.map((each) => `r.${escapeIdentifier(each)} = $${++parameter}`).join(' AND ');
    return `SELECT ${index}, ${list} FROM ${name} r WHERE ${isIt} AND ${row}`;
  });
  const { rows } = await client.query<(string | null)[]>({
    text: selects.join(' UNION ALL '),
    values: members.flatMap((member) => member.key.values),
    rowMode: 'array',
    types: AS_TEXT,
    binary: false,
  } as never);
  return rows;
}

function valuesOf({ key, columns }: Group, texts: readonly (string | null)[]): Values {
  const { rows } = key.cached;
  return new Map(
    columns.map((column, index) => {
      const text = texts[index]!;
      return [column, text === null ? null : rows.valueOf(column, text)];
    }),
  );
}
