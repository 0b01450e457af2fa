import type { CommitPreparedMessage } from '../../decoder/pgoutput-messages.js';
import type { SpillError } from '../../errors/delivery.error.js';
import { ConnectionError, SlotError } from '../../errors/replication.error.js';
import { spillFault } from '../../errors/spill-fault.js';
import { formatLsn, type Lsn } from '../../protocol/lsn.js';

// What ends the stream while transactions are kept, and how to mend it.

export function notKept(app: string, what: string, cause: unknown, folder: string): SpillError {
  return spillFault({
    app,
    what: `Transactions in progress (\`streaming\`, \`twoPhase\`) are above limits.bytes, are kept on disk, and what has come ${what} ${folder}`,
    cause,
    roomFor: 'all transactions that are open at a time',
    instead: 'raise limits.bytes; or set `streaming` to false',
    comesAgain: 'nothing of them was confirmed, and they come again',
  });
}

/** Passes: the next connection brings it as a whole. */
export function ambiguousMessages(app: string, commitLsn: Lsn): ConnectionError {
  return new ConnectionError(
    `The transaction committed at ${formatLsn(commitLsn)} has logical messages, and savepoints that were rolled back: in ` +
      'parts, PostgreSQL does not tell which messages went with them. It is read again, as a whole',
    { app },
  );
}

/** Passes: the next connection brings transactions whole. */
export function failedInParts(app: string, cause: Error): ConnectionError {
  return new ConnectionError(
    `The server failed while it sent transactions in parts: ${cause.message}. They are read again, as a whole`,
    { app, cause },
  );
}

/** It was prepared before the slot's position. */
export function lostPreparation(app: string, { gid, commitLsn, endLsn }: CommitPreparedMessage): SlotError {
  return new SlotError(
    `The prepared transaction "${gid}", committed at ${formatLsn(commitLsn)}, comes without its rows: the slot was moved ` +
      'past its preparation by somebody else',
    {
      app,
      hint:
        'its changes cannot be had from the slot any more: bring what depends on them up to date by hand, and move the ' +
        `slot past it: SELECT pg_replication_slot_advance('<slot>', '${formatLsn(endLsn)}');`,
    },
  );
}
