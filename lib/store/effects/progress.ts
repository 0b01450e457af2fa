import { escapeLiteral, type Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { ServerSetupError } from '../../errors/replication.error.js';
import type { StreamHistory } from '../../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import { lsnParts, parseLsn } from '../../protocol/lsn.js';
import { EFFECTS_TABLES } from '../own-tables.sql.js';
import { ensureOwnTables } from '../own-tables.js';
import { ENTER, READ_PROGRESS, type ProgressRow } from './effects.sql.js';

export interface ProgressOwner {
  readonly app: string;
  /** Null: not known. */
  readonly service: () => string | null;
  /** The transactional ones. */
  readonly handlers: readonly string[];
}

/** What one handler has done of what it was given. */
export interface HandlerProgress {
  readonly id: string;
  /** Everything up to here. */
  readonly position: WalPosition;
}

/**
 * Of each handler, in the cluster that the stream comes from; entered where it is missing.
 *
 * @throws ServerSetupError where the tables are not there, or the progress of a handler is another service's
 */
export async function readProgress(
  client: Client,
  { app, service, handlers }: ProgressOwner,
  { systemIdentifier }: StreamHistory,
  logger: ListenerLogger,
): Promise<Map<string, HandlerProgress>> {
  const state = await ensureOwnTables(client, EFFECTS_TABLES);
  if (!state.isUsable) {
    throw new ServerSetupError(
      `\`transactional\` of ${handlers.join(', ')} needs tables that cannot be used: ${state.reason}`,
      { app },
    );
  }
  const mine = service();
  await client.query(ENTER, [systemIdentifier, app, handlers, mine]);
  const { rows } = await client.query<ProgressRow>(READ_PROGRESS, [app, handlers]);
  const progress = new Map<string, HandlerProgress>();
  const others = new Set<string>();
  for (const row of rows) {
    if (row.system_identifier !== systemIdentifier) {
      others.add(row.system_identifier);
      continue;
    }
    refuseOthers(row, mine, app);
    progress.set(row.handler, { id: row.id, position: positionOf(row) });
  }
  if (others.size > 0) {
    logger.log(
      `Progress of handlers that is recorded for another cluster (${[...others].join(', ')}) is ignored: the database was copied from there`,
    );
  }
  return progress;
}

export function positionOf(row: Pick<ProgressRow, 'commit_lsn' | 'wal_lsn' | 'ordinal'>): WalPosition {
  return { commitLsn: parseLsn(row.commit_lsn), ...lsnParts(parseLsn(row.wal_lsn)), ordinal: Number(row.ordinal) };
}

/** Two services with one progress would take each other's changes for done. */
function refuseOthers({ id, handler, service }: ProgressRow, mine: string | null, app: string): void {
  if (service === null || mine === null || service === mine) return;
  throw new ServerSetupError(
    `The progress of the handler "${handler}" belongs to the service "${service}", not to "${mine}"`,
    {
      app,
      hint:
        'two of them with one progress would take each other’s changes for done: give the handler an `id` of its own, or ' +
        'the app a `name`. If it is the same service under a new name, set `service` to the old one, or ' +
        `UPDATE ${OWN_SCHEMA}.progress SET service = ${escapeLiteral(mine)} WHERE id = ${id};`,
    },
  );
}
