import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Who takes part. `confirms`: the position of the slot must have reached the end when it stops. */
export const CONSUMERS = {
  'ours, sync': { module: 'ours', mode: 'sync', confirms: true },
  'ours, async': { module: 'ours', mode: 'async', confirms: true },
  'ours, observable': { module: 'ours', mode: 'observable', confirms: true },
  'ours, concurrency 8': { module: 'ours', mode: 'lanes', confirms: true },
  'wire limit': { module: 'wire', countsAll: true },
  pg_recvlogical: { module: 'pg_recvlogical', countsAll: true },
  'pg-logical-replication': { module: 'pg-logical-replication', mode: 'default' },
  'pg-logical-replication, fastest': { module: 'pg-logical-replication', mode: 'fastest' },
  postgres: { module: 'postgres' },
  pgwire: { module: 'pgwire' },
  'LISTEN/NOTIFY': { module: 'listen-notify' },
};

/** Where pg_recvlogical is, or undefined. */
export function findRecvlogical() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
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
