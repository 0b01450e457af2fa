import { createHash } from 'node:crypto';
import { parseLsn } from '#lib/protocol/lsn.js';

export type FaultTable = 'items' | 'docs' | 'bulk';

/** One change as it was written. */
export interface WrittenChange {
  /** What handlers can tell of it too: no two changes have one name. */
  readonly name: string;
  readonly table: FaultTable;
  /** Stays the same when the row's key changes. */
  readonly row: string;
  /** From 0 among the changes of its row. */
  readonly step: number;
  /** What it is to be seen with. */
  readonly content: string;
}

export interface WrittenTransaction {
  readonly token: string;
  readonly changes: readonly WrittenChange[];
  /** How often the database had lost something when it was written: what it has of before lies in another history. */
  readonly losses: number;
  /** Its commit lies between these; null: not known. */
  readonly after: bigint;
  before: bigint | null;
}

export const SCHEMA = `
  CREATE TABLE items (id int PRIMARY KEY, "row" int NOT NULL, version int NOT NULL, pad text);
  ALTER TABLE items REPLICA IDENTITY FULL;
  CREATE TABLE docs (id int PRIMARY KEY, "row" int NOT NULL, version int NOT NULL);
  CREATE TABLE bulk (id int PRIMARY KEY, "row" int NOT NULL, version int NOT NULL);
  CREATE TABLE tokens (token text PRIMARY KEY);
  CREATE TABLE effects (seq bigserial PRIMARY KEY, handler text NOT NULL, name text NOT NULL, content text NOT NULL, process int NOT NULL);`;

/** What was written, by whoever wrote it: the truth that handlers are held against. */
export class Truth {
  readonly transactions = new Map<string, WrittenTransaction>();
  /** About how many rows transactional handlers write: two of them see `items` and `docs`, one sees `bulk`. */
  effects = 0;
  lossesOfDatabase = 0;

  begin(token: string, changes: readonly WrittenChange[], after: string): void {
    this.transactions.set(token, {
      token,
      changes,
      losses: this.lossesOfDatabase,
      after: parseLsn(after),
      before: null,
    });
    for (const { table } of changes) this.effects += table === 'bulk' ? 1 : 2;
  }

  ended(token: string, before: string): void {
    this.transactions.get(token)!.before = parseLsn(before);
  }

  /** Changes that were perhaps committed, and are not in what the database is now. @param tokens those that it has */
  gone(tokens: ReadonlySet<string>): Set<string> {
    const gone = [...this.transactions.values()].filter(
      ({ token, losses }) => losses < this.lossesOfDatabase && !tokens.has(token),
    );
    return new Set(gone.flatMap(({ changes }) => changes.map(({ name }) => name)));
  }

  /** @param tokens those that the database has */
  committed(tokens: ReadonlySet<string>): WrittenTransaction[] {
    return [...this.transactions.values()].filter(({ token }) => tokens.has(token));
  }
}

/** Of a row, or of what is told of it: columns that are not told are not there. */
export interface Content {
  readonly id: unknown;
  readonly row?: unknown;
  readonly version?: unknown;
  readonly pad?: unknown;
}

/** In a form that fits into a line of a journal. */
export function contentOf({ id, row = '', version = '', pad }: Content): string {
  // Whatever is in it must not look like the end of it.
  const digest = pad === undefined ? '' : createHash('sha1').update(String(pad)).digest('hex').slice(0, 8);
  return [id, row, version, digest].map(String).join('/');
}

/** Of an update: after and before, where something is told of before. */
export function contentOfUpdate(after: Content, before: Content | null): string {
  return before === null ? contentOf(after) : `${contentOf(after)}<${contentOf(before)}`;
}

export function changeName(table: string, row: number, version: number): string {
  return `${table}/${row}/${version}`;
}

/** @param id of the deleted row: an id is never used again */
export function deleteName(table: string, id: number): string {
  return `${table}/#${id}/d`;
}
