import type { TestDatabase } from './database.js';
import { BLOCKS } from './documentation.js';
import { commandsOf } from './shell-words.js';

const blocksOf = (sample: string, language: string): string[] =>
  BLOCKS.filter((block) => block.page === `sample/${sample}/README.md` && block.language === language).map(
    ({ code }) => code,
  );

/**
 * Runs the SQL with which a sample's README takes away all that the sample has left in a database of one's own.
 *
 * @param adapt where the README says "the same with other names"
 */
export async function tidyUpAsWritten(
  sample: string,
  { query }: TestDatabase,
  adapt: (sql: string) => string = (sql) => sql,
): Promise<void> {
  const blocks = blocksOf(sample, 'sql').filter((sql) => sql.includes('DROP TABLE'));
  if (blocks.length !== 1)
    throw new Error(`One block of SQL is wanted in the README of ${sample}, not ${blocks.length}`);
  // One by one: dropping a slot is nothing for a transaction that has written.
  for (const statement of adapt(blocks[0]!)
    .split(';\n')
    .filter((each) => each.trim() !== ''))
    await query(statement);
}

/**
 * Sends the requests that a sample's README shows in its blocks, in their order.
 *
 * @param addresses of the sample, by the ports that stand there
 * @returns what was sent, with the status of each answer
 */
export async function sendAsWritten(sample: string, addresses: Readonly<Record<string, string>>): Promise<string[]> {
  const requests = blocksOf(sample, 'sh')
    .flatMap(commandsOf)
    .filter(([program]) => program === 'curl');
  const answers: string[] = [];
  for (const words of requests) {
    const { port, pathname } = new URL(words.at(-1)!);
    const method = words.includes('-X') ? words[words.indexOf('-X') + 1]! : 'GET';
    const response = await fetch(`${addresses[port]}${pathname}`, { method });
    await response.text();
    answers.push(`${method} ${pathname} ${response.status}`);
  }
  return answers;
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
