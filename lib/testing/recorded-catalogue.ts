import type { Client } from 'pg';
import type { PrimaryKey } from '../connection/primary-keys.js';
import { readPrimaryKeys } from '../connection/primary-keys.js';
import type { ServerFacts } from '../connection/server-facts.js';
import { readMadeTypes, readTypes } from '../connection/type-catalogue.js';
import type { StreamFormat } from '../decoder/stream-types.js';
import type { MadeType } from '../protocol/made-type.js';
import type { RecordingHeader } from './stream-recording.js';

/** What the catalogue says of the published tables, and of the types of their columns. */
export class RecordedCatalogue {
  private readonly types = new Map<number, MadeType>();
  private readonly names = new Map<string, number>();
  private readonly primaryKeys = new Map<string, RecordingHeader['primaryKeys'][number]>();

  constructor(
    private readonly client: Client,
    private readonly publications: readonly string[],
    private readonly facts: ServerFacts,
  ) {}

  /** What is there now, besides what was there before. */
  async read(): Promise<void> {
    const { client, types } = this;
    const published = await this.published();
    const keys = await readPrimaryKeys(client);
    for (const { schema, table } of published) this.addKey(schema, table, keys.get(`${schema}\0${table}`));
    for (const [oid, type] of await readMadeTypes(client)) types.set(oid, type);
    const oids = [...new Set(published.map(({ type }) => type))];
    const unknown = oids.filter((oid) => !types.has(oid));
    for (const [oid, type] of (await readTypes(client, unknown, null)).types) types.set(oid, type);
    const parts = [...types.values()].flatMap((type) => partsOf(type));
    await this.readNames([...new Set([...oids, ...types.keys(), ...parts])]);
  }

  header(values: StreamFormat): RecordingHeader {
    return {
      serverVersion: this.facts.version,
      values,
      primaryKeys: [...this.primaryKeys.values()],
      types: [...this.types],
      typeNames: Object.fromEntries(this.names),
    };
  }

  private addKey(schema: string, table: string, key: PrimaryKey | undefined): void {
    if (key !== undefined) this.primaryKeys.set(`${schema}\0${table}`, { schema, table, ...key });
  }

  private async published(): Promise<{ schema: string; table: string; type: number }[]> {
    const { rows } = await this.client.query<{ schema: string; table: string; type: string }>(
      `SELECT DISTINCT p.schemaname AS schema, p.tablename AS "table", a.atttypid::int8 AS type
         FROM pg_catalog.pg_publication_tables p
         JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE p.pubname = ANY ($1::name[])`,
      [this.publications],
    );
    return rows.map(({ schema, table, type }) => ({ schema, table, type: Number(type) }));
  }

  /** `int4` and `integer`, `mood` and `public.mood`. */
  private async readNames(oids: readonly number[]): Promise<void> {
    const { rows } = await this.client.query<{ oid: string; name: string; schema: string; text: string }>(
      `SELECT t.oid::int8 AS oid, t.typname AS name, n.nspname AS schema, pg_catalog.format_type(t.oid, NULL) AS text
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE t.oid = ANY ($1::oid[]) ORDER BY n.nspname IN ('pg_catalog', 'public'), t.oid`,
      [oids],
    );
    for (const { oid, name, schema, text } of rows) {
      for (const each of [name, `${schema}.${name}`, text]) this.names.set(each, Number(oid));
    }
  }
}

function partsOf(type: MadeType): number[] {
  if ('of' in type) return [type.of];
  return type.kind === 'composite' ? type.attributes.flatMap((attribute) => attribute?.oid ?? []) : [];
}
