import { escapeIdentifier } from 'pg';
import type { OriginFilter } from '../interfaces/pg-listener-options.interface.js';
import type { FormatChoice } from './format-choice.js';

/** START_REPLICATION (manual, section 54.4), always from 0/0: the slot knows better than we do where it stands. */
export function startCommand(
  slotName: string,
  publicationNames: readonly string[],
  {
    wantsMessages,
    origin,
    format,
  }: {
    readonly wantsMessages: boolean;
    readonly origin: OriginFilter;
    readonly format?: Pick<FormatChoice, 'current'>;
  },
): string {
  const names = publicationNames.map((name) => escapeIdentifier(name)).join(',');
  const options = [`proto_version '1'`, `publication_names '${names.replaceAll("'", "''")}'`];
  if (wantsMessages) options.push(`messages 'true'`);
  // Not known before 16; 'any' is what it means there.
  if (origin === 'none') options.push(`origin 'none'`);
  if (format?.current === 'binary') options.push(`binary 'true'`);
  return `START_REPLICATION SLOT ${escapeIdentifier(slotName)} LOGICAL 0/0 (${options.join(', ')})`;
}
