import { escapeLiteral, type Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { ServerSetupError } from '../../errors/replication.error.js';
import type { StreamStart } from '../../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import { formatLsn, parseLsn, type Lsn } from '../../protocol/lsn.js';
import { EFFECTS_TABLES } from '../own-tables.sql.js';
import { ensureOwnTables } from '../own-tables.js';
import {
  BEGIN_SPANS,
  ENTER,
  PRUNE,
  READ_PROGRESS,
  READ_SPANS,
  type KeptSpanRow,
  type ProgressRow,
} from './effects.sql.js';
import { spansOf, type Span } from './spans.js';

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
  readonly spans: readonly Span[];
  /** Where the span of the present stream begins. */
  readonly from: Lsn;
}

/** In the place of a slot's name where each connection has another one. */
const NO_NAME = '';

/** Under which the spans of a stream are kept. */
export function spanName({ slotName }: StreamStart): string {
  return slotName ?? NO_NAME;
}

/**
 * Of each handler, in the cluster that the stream comes from; entered where it is missing.
 *
 * @throws ServerSetupError where the tables are not there, or the progress of a handler is another service's
 */
export async function readProgress(
  client: Client,
  { app, service, handlers }: ProgressOwner,
  stream: StreamStart,
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
  const { systemIdentifier } = stream.history;
  await client.query(ENTER, [systemIdentifier, app, handlers, mine]);
  const { rows } = await client.query<ProgressRow>(READ_PROGRESS, [app, handlers]);
  const found = new Map<string, string>();
  const others = new Set<string>();
  for (const row of rows) {
    if (row.system_identifier !== systemIdentifier) {
      others.add(row.system_identifier);
      continue;
    }
    refuseOthers(row, mine, app);
    found.set(row.handler, row.id);
  }
  if (others.size > 0) {
    logger.log(
      `Progress of handlers that is recorded for another cluster (${[...others].join(', ')}) is ignored: the database was copied from there`,
    );
  }
  return withSpans(client, stream, found);
}

/** @param ids of progress, by handler */
async function withSpans(
  client: Client,
  stream: StreamStart,
  ids: ReadonlyMap<string, string>,
): Promise<Map<string, HandlerProgress>> {
  const all = [[...ids.values()]];
  await client.query(PRUNE, all);
  const { slotName, isContinued, from } = stream;
  if (slotName !== null && !isContinued) await client.query(BEGIN_SPANS, [...all, slotName, formatLsn(from)]);
  const { rows } = await client.query<KeptSpanRow>(READ_SPANS, all);
  const progress = new Map<string, HandlerProgress>();
  for (const [handler, id] of ids) {
    const mine = rows.filter((row) => row.progress_id === id);
    progress.set(handler, { id, spans: spansOf(mine), from: beginningOf(stream, mine) });
  }
  return progress;
}

/**
 * A slot that goes on has brought everything from where its last span begins: between the end of that and where it stands
 * now, there was nothing left to do.
 */
function beginningOf(stream: StreamStart, spans: readonly KeptSpanRow[]): Lsn {
  const { from, slotName, isContinued } = stream;
  if (!isContinued || slotName === null) return from;
  const earlier = spans.filter((span) => span.slot_name === slotName).map((span) => parseLsn(span.from_lsn));
  return earlier.reduce((last, lsn) => (lsn > last ? lsn : last), 0n) || from;
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
