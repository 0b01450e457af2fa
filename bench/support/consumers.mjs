import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Who takes part. `confirms`: the position of the slot must have reached the end when it stops. */
export const CONSUMERS = {
  'ours, sync': { module: 'ours', mode: 'sync', confirms: true },
  'ours, async': { module: 'ours', mode: 'async', confirms: true },
  'ours, observable': { module: 'ours', mode: 'observable', confirms: true },
  'ours, concurrency 8': { module: 'ours', mode: 'lanes', confirms: true },
  'wire limit': { module: 'wire', countsAll: true },
  'bare socket, not paced': { module: 'wire', mode: 'not paced', countsAll: true },
  pg_recvlogical: { module: 'pg_recvlogical', countsAll: true },
  'pg-logical-replication': { module: 'pg-logical-replication', mode: 'default' },
  'pg-logical-replication, fastest': { module: 'pg-logical-replication', mode: 'fastest' },
  postgres: { module: 'postgres' },
  pgwire: { module: 'pgwire' },
  ...effects('single'),
  ...effects('lanes'),
  ...effects('batched'),
  'LISTEN/NOTIFY': { module: 'listen-notify' },
};

/** Handlers that write. */
function effects(kind) {
  const consumer = { module: 'effects', kind, confirms: true };
  return {
    [`${kind}, a pool of its own`]: { ...consumer, transactional: false },
    [`${kind}, transactional`]: { ...consumer, transactional: true },
  };
}

/** What Debian has in PATH is a script that finds the program. */
const DEBIAN = '/usr/lib/postgresql';

/** Where pg_recvlogical is, or undefined. */
export function findRecvlogical() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((one, other) => Number(other) - Number(one)) : [];
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
  return folders
    .map((folder) => join(folder, 'pg_recvlogical'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
