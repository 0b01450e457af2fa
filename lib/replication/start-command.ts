import { escapeIdentifier } from 'pg';

/** START_REPLICATION (manual, section 54.4), always from 0/0: the slot knows better than we do where it stands. */
export function startCommand(slotName: string, publicationNames: readonly string[], wantsMessages: boolean): string {
  const names = publicationNames.map((name) => escapeIdentifier(name)).join(',');
  const options = [`proto_version '1'`, `publication_names '${names.replaceAll("'", "''")}'`];
  if (wantsMessages) options.push(`messages 'true'`);
  return `START_REPLICATION SLOT ${escapeIdentifier(slotName)} LOGICAL 0/0 (${options.join(', ')})`;
}
