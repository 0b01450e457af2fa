import { escapeIdentifier, type Client } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { asError } from '../errors/as-error.js';
import { sqlState } from '../errors/sql-state.js';
import { STREAM_TABLES, type OwnTables } from './own-tables.sql.js';

/** Whether our tables can be used, and where not, why and how to mend it. */
export type OwnTablesState = { readonly isUsable: true } | { readonly isUsable: false; readonly reason: string };

/** Two processes that boot together: one of them makes the tables. */
const LOCK = `pg_advisory_xact_lock(hashtextextended('${OWN_SCHEMA}', 0))`;
/** Our tables cannot be used: no right, a read-only transaction or server, or they are not there. */
export const REFUSALS: ReadonlySet<string> = new Set(['42501', '25006', '3F000', '42P01']);

/**
 * Makes the tables where they are missing. Never throws for a lack of rights: what needs the tables says so itself.
 *
 * @throws the driver's error where the connection is lost
 */
export async function ensureOwnTables(client: Client, tables: OwnTables = STREAM_TABLES): Promise<OwnTablesState> {
  try {
    if (await areUsable(client, tables)) return { isUsable: true };
    await client.query(`BEGIN; SELECT ${LOCK}; ${tables.statements.join('; ')}; COMMIT`);
    return { isUsable: true };
  } catch (error) {
    // Whoever keeps the client gets it without an aborted transaction.
    await client.query('ROLLBACK').catch(() => undefined);
    if (!REFUSALS.has(sqlState(error))) throw error;
    return { isUsable: false, reason: `${asError(error).message}; ${await migrationFor(client, tables)}` };
  }
}

/** What somebody with the right has to run, for the role of this connection. */
async function migrationFor(client: Client, tables: OwnTables): Promise<string> {
  const { rows } = await client.query<{ role: string; database: string }>(
    'SELECT current_user AS role, current_database() AS database',
  );
  const { role, database } = rows[0]!;
  return (
    `as one who may (or GRANT CREATE ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(role)};):\n` +
    migration(role, tables)
  );
}

/** The statements that make the tables and let a role use them. */
export function migration(role: string, tables: OwnTables = STREAM_TABLES): string {
  const name = escapeIdentifier(role);
  const grants = [
    `GRANT USAGE ON SCHEMA ${OWN_SCHEMA} TO ${name}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${OWN_SCHEMA} TO ${name}`,
  ];
  return `${[...tables.statements, ...grants].join(';\n')};`;
}

async function areUsable(client: Client, { names }: OwnTables): Promise<boolean> {
  const { rows } = await client.query<{ usable: boolean }>(
    `SELECT bool_and(c.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE')
              AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
              AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
            AND current_setting('transaction_read_only') = 'off' AS usable
       FROM unnest($1::text[]) AS wanted (name)
       LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = '${OWN_SCHEMA}'
       LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name`,
    [names],
  );
  return rows[0]!.usable === true;
}
