import { escapeLiteral } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { GapError } from '../errors/replication.error.js';
import type { GapKind, PgListenerGap } from '../interfaces/gap.interface.js';

/** What a person does before the app may go on; `SLOT` stands for the slot's name as a literal. */
const MENDS: Readonly<Record<GapKind, string>> = {
  'slot-advanced': 'compare your data; the stream then goes on from where the slot stands',
  'slot-missing': 'compare your data; the stream then begins anew, with a new slot',
  'slot-invalidated':
    'compare your data, and drop the slot: SELECT pg_drop_replication_slot(SLOT); the stream then begins anew, with a ' +
    'new one. Mind max_slot_wal_keep_size and idle_replication_slot_timeout',
  'other-cluster':
    'point `connection` to the right server; or, if it is the right one, the stream begins anew there, and the ' +
    'positions of the old one are forgotten',
  'publication-missing':
    'it was dropped, or created after the slot: changes were passed over, and nothing has been confirmed. Compare your ' +
    'data; a publication of your own must exist again. The slot is then moved to the present end of the log',
  'history-lost': 'undo what handlers did with changes that the database has lost; the stream then goes on',
};

/** The app does not go on: what happened, and how to acknowledge it. */
export function gapError(gaps: readonly PgListenerGap[]): GapError {
  const [first] = gaps;
  const { app, slot } = first!;
  const message = gaps.map(({ detail }) => detail).join('. ');
  const mends = gaps.map(({ kind }) => MENDS[kind].replace('SLOT', escapeLiteral(slot))).join('. Also: ');
  return new GapError(message, { app, hint: `${mends}. Then acknowledge it: ${acknowledgement(gaps)}` });
}

function acknowledgement(gaps: readonly PgListenerGap[]): string {
  const ids = gaps.map(({ id }) => id).filter((id) => /^\d+$/.test(id));
  if (ids.length < gaps.length) return 'listener.acknowledgeGaps() in the application.';
  const which = ids.length === 1 ? `id = ${ids[0]}` : `id IN (${ids.join(', ')})`;
  return (
    `listener.acknowledgeGaps() in the application, or UPDATE ${OWN_SCHEMA}.gaps SET acknowledged_at = now(), acknowledged_by = ` +
    `current_user WHERE ${which}; and start the application again.`
  );
}
