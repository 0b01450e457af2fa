import type { SystemIdentity } from '../connection/server-facts.js';
import type { GapKind } from '../interfaces/gap.interface.js';
import { formatLsn, INVALID_LSN, type Lsn } from '../protocol/lsn.js';

/** A gap before it has a number. */
export interface GapFinding {
  readonly kind: GapKind;
  readonly from: Lsn | null;
  readonly to: Lsn | null;
  readonly detail: string;
}

/** What is known of a slot from an earlier stream. */
export interface SlotTrace {
  readonly systemIdentifier: string;
  readonly timeline: string;
  /** The server was not told more than this. */
  readonly position: Lsn;
}

/** What is at hand when a stream is about to begin. */
export interface SlotEvidence {
  readonly slotName: string;
  /** A slot of its own for each connection has no past. */
  readonly isTemporary: boolean;
  readonly identity: SystemIdentity;
  /** Null: there is none. */
  readonly slot: { readonly confirmedLsn: Lsn; readonly invalidated: string | null } | null;
  /** What was recorded in the database; null: nothing, or it cannot be read. */
  readonly recorded: SlotTrace | null;
  /** What this process remembers of its last stream. */
  readonly remembered: SlotTrace | null;
  /** The furthest that handlers of this process have come; 0: they have not begun. */
  readonly reached: Lsn;
  /** Where a timeline was left for the present one; null: that cannot be told. */
  readonly forkOf: (timeline: string) => Promise<Lsn | null>;
}

/** What may be missing, judged by what was left and what is found. */
export async function findGaps(evidence: SlotEvidence): Promise<GapFinding[]> {
  const other = otherCluster(evidence);
  // Positions of another cluster say nothing; what follows would compare them.
  if (other !== null) return [other];
  if (evidence.isTemporary) return [];
  const found = [
    await lostHistory(evidence),
    missingSlot(evidence),
    invalidatedSlot(evidence),
    await advanced(evidence),
  ];
  return found.filter((each) => each !== null);
}

/** A publication that a stream asks for was not there at a point of the log. */
export function missingPublication(names: readonly string[], message: string, from: Lsn): GapFinding {
  const quoted = names.map((name) => `"${name}"`).join(', ');
  const detail = `A publication (${quoted}) does not exist at this point of the log: ${message}`;
  return { kind: 'publication-missing', from, to: null, detail };
}

function otherCluster({ identity, recorded, remembered }: SlotEvidence): GapFinding | null {
  const left = [remembered, recorded].find(
    (trace) => trace !== null && trace.systemIdentifier !== identity.systemIdentifier,
  );
  if (left === undefined || left === null) return null;
  return {
    kind: 'other-cluster',
    from: left.position,
    to: null,
    detail:
      `Another PostgreSQL cluster answers at this address: its system identifier is ${identity.systemIdentifier}, and ` +
      `that of the last stream was ${left.systemIdentifier}`,
  };
}

async function lostHistory({ identity, remembered, reached, forkOf }: SlotEvidence): Promise<GapFinding | null> {
  if (remembered === null || reached === INVALID_LSN) return null;
  const { timeline, walEnd } = identity;
  const isSame = remembered.timeline === timeline;
  const end = isSame ? walEnd : await forkOf(remembered.timeline);
  if (end !== null && reached <= end) return null;
  const what = isSame
    ? `the log ends at ${formatLsn(walEnd)}`
    : `timeline ${timeline} left timeline ${remembered.timeline} ${end === null ? 'at a place that cannot be told' : `at ${formatLsn(end)}`}`;
  return {
    kind: 'history-lost',
    from: end,
    to: reached,
    detail: `The server has gone back: ${what}, but handlers have seen changes up to ${formatLsn(reached)}`,
  };
}

function missingSlot({ slot, slotName, recorded, remembered }: SlotEvidence): GapFinding | null {
  const left = recorded ?? remembered;
  if (slot !== null || left === null) return null;
  const detail = `The slot "${slotName}" is gone; it stood at ${formatLsn(left.position)} or a little before`;
  return { kind: 'slot-missing', from: left.position, to: null, detail };
}

function invalidatedSlot({ slot, slotName }: SlotEvidence): GapFinding | null {
  if (slot === null || slot.invalidated === null) return null;
  const detail = `The slot "${slotName}" was invalidated by the server (${slot.invalidated}): changes since its position are lost`;
  return { kind: 'slot-invalidated', from: slot.confirmedLsn, to: null, detail };
}

/** Only where it is recorded: in memory, a sibling that has streamed meanwhile looks the same. */
async function advanced({ slot, slotName, recorded, identity, forkOf }: SlotEvidence): Promise<GapFinding | null> {
  if (recorded === null || slot === null || slot.invalidated !== null) return null;
  if (slot.confirmedLsn <= recorded.position) return null;
  if (recorded.timeline !== identity.timeline) {
    // A promoted standby may have the slot further than our record, which is written a moment after it.
    const fork = await forkOf(recorded.timeline);
    if (fork !== null && slot.confirmedLsn <= fork) return null;
  }
  return advancedSlot(slotName, recorded.position, slot.confirmedLsn);
}

/** A slot that stands at `to`, beyond the last recorded position `from`. */
export function advancedSlot(slotName: string, from: Lsn, to: Lsn): GapFinding {
  return {
    kind: 'slot-advanced',
    from,
    to,
    detail:
      `The slot "${slotName}" stands at ${formatLsn(to)}, beyond the last recorded position ` +
      `${formatLsn(from)}: it was re-created, or advanced by somebody else`,
  };
}
