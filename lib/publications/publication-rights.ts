import { escapeIdentifier, type Client } from 'pg';
import type { PublishedTables } from './publication-plan.js';

/**
 * What the role lacks for making or extending a publication, as the statements that give it (manual, CREATE
 * PUBLICATION and ALTER PUBLICATION): CREATE on the database, and ownership of what is touched. Not membership in the
 * owning role, which may be a superuser.
 */
export async function missingRights(client: Client, publication: string, tables: PublishedTables): Promise<string[]> {
  const { rows: rights } = await client.query<{ role: string; database: string; mayCreate: boolean }>(
    `SELECT current_user AS role, current_database() AS database,
            has_database_privilege(current_database(), 'CREATE') AS "mayCreate"`,
  );
  const { role, database, mayCreate } = rights[0]!;
  const { rows: foreign } = await client.query<{ what: string }>(
    `SELECT format('TABLE %I.%I', relnamespace::regnamespace, relname) AS what
       FROM pg_catalog.pg_class WHERE oid = ANY ($1::oid[]) AND NOT pg_has_role(relowner, 'USAGE')
     UNION ALL
     SELECT format('PUBLICATION %I', pubname)
       FROM pg_catalog.pg_publication WHERE pubname = $2 AND NOT pg_has_role(pubowner, 'USAGE')`,
    [tables.map(({ oid }) => oid), publication],
  );
  const grants = foreign.map(({ what }) => `ALTER ${what} OWNER TO ${escapeIdentifier(role)};`);
  if (!mayCreate)
    grants.unshift(`GRANT CREATE ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(role)};`);
  return grants;
}
