import { escapeIdentifier } from 'pg';
import type { OriginFilter } from '../interfaces/pg-listener-options.interface.js';
import type { StreamFormat } from '../decoder/stream-types.js';

/** What is asked for at START_REPLICATION, besides publications. */
export interface StartOptions {
  readonly wantsMessages: boolean;
  readonly origin: OriginFilter;
  readonly streaming: boolean;
  readonly format: StreamFormat;
}

/** START_REPLICATION (manual, section 54.4), always from 0/0: the slot knows better than we do where it stands. */
export function startCommand(
  slotName: string,
  publicationNames: readonly string[],
  serverVersion: number,
  { wantsMessages, origin, streaming, format }: StartOptions,
): string {
  const names = publicationNames.map((name) => escapeIdentifier(name)).join(',');
  const options = [
    `proto_version '${protocolVersion(serverVersion)}'`,
    `publication_names '${names.replaceAll("'", "''")}'`,
  ];
  // Never 'parallel': it would tell where a transaction was rolled back, which is nothing to who waits for its commit.
  if (streaming) options.push(`streaming 'on'`);
  if (wantsMessages) options.push(`messages 'true'`);
  // Not known before 16; 'any' is what it means there.
  if (origin === 'none') options.push(`origin 'none'`);
  if (format === 'binary') options.push(`binary 'true'`);
  return `START_REPLICATION SLOT ${escapeIdentifier(slotName)} LOGICAL 0/0 (${options.join(', ')})`;
}

/** The newest that the server speaks: 2 brings streaming, 3 two-phase commit, 4 parallel streaming. */
function protocolVersion(serverVersion: number): number {
  if (serverVersion >= 160_000) return 4;
  return serverVersion >= 150_000 ? 3 : 2;
}
