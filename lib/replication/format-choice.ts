import type { Client } from 'pg';
import { binaryRefusal, refusalText } from '../decoder/binary/column-reader.js';
import type { DatabaseTypes, LearningTypes } from '../connection/database-types.js';
import type { StreamFormat } from '../decoder/stream-types.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';

const COLUMNS = `
  SELECT DISTINCT p.schemaname || '.' || p.tablename AS table, a.attname AS column, a.atttypid::text AS oid
    FROM pg_catalog.pg_publication_tables p
    JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE p.pubname = ANY ($1)
   ORDER BY 1, 2`;

/**
 * The format in which an app asks for values, across its connections. The server takes one for a whole connection: where
 * the binary one cannot give what text gives, all of the app goes on in text, until the process ends.
 */
export class FormatChoice {
  private format: StreamFormat;

  constructor(
    isBinary: boolean,
    private readonly logger: ListenerLogger,
  ) {
    this.format = isBinary ? 'binary' : 'text';
  }

  get current(): StreamFormat {
    return this.format;
  }

  /**
   * Falls back for a column that there is already. For a temporary slot: it ends with its connection, and so would the
   * change that tells of the column.
   */
  async foresee(
    plain: Client,
    publicationNames: readonly string[],
    types: LearningTypes,
    known: DatabaseTypes,
  ): Promise<void> {
    if (this.format === 'text') return;
    const { rows } = await plain.query<{ table: string; column: string; oid: string }>(COLUMNS, [publicationNames]);
    await known.learn(
      plain,
      types,
      rows.map(({ oid }) => Number(oid)),
      null,
    );
    for (const { table, column, oid } of rows) {
      const refusal = binaryRefusal(Number(oid), types);
      if (refusal !== undefined) return this.fallBack(refusalText(table, column, refusal));
    }
  }

  /** @param setting what the connection itself asks for is kept, and no binary form knows of it */
  asked(setting: string | undefined): void {
    if (setting !== undefined) this.fallBack(`the connection asks for ${setting}`);
  }

  /** @param reason names the column and its type, where it is one */
  fallBack(reason: string): void {
    if (this.format === 'text') return;
    this.format = 'text';
    this.logger.warn(`Values come as text from here on, not in the binary format: ${reason}`);
  }
}
