import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../unit/package-root.js';
import type { TestDatabase } from './database.js';

/** Runs the SQL with which a sample's README takes away all that the sample has left in a database of one's own. */
export async function tidyUpAsWritten(sample: string, { query }: TestDatabase): Promise<void> {
  const text = readFileSync(join(packageRoot(), 'sample', sample, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sql\n([^]*?)^```$/gm)].map(([, sql]) => sql!);
  if (blocks.length !== 1)
    throw new Error(`One block of SQL is wanted in the README of ${sample}, not ${blocks.length}`);
  // One by one: dropping a slot is nothing for a transaction that has written.
  for (const statement of blocks[0]!.split(';\n').filter((each) => each.trim() !== '')) await query(statement);
}

/** What a sample has left, but for the schema that all apps share: tables, publications, slots, rows. */
export async function leftovers({ query, name }: TestDatabase): Promise<string[]> {
  const rows = await query<{ what: string }>(
    `SELECT 'table ' || tablename AS what FROM pg_tables WHERE schemaname = 'public'
     UNION ALL SELECT 'publication ' || pubname FROM pg_publication
     UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = $1
     UNION ALL SELECT 'recorded ' || slot_name FROM nestjs_pg_listener.slots`,
    [name],
  );
  return rows.map(({ what }) => what);
}
