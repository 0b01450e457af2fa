import { GapError } from '../errors/replication.error.js';
import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { SlotState } from './slot-manager.js';

/**
 * What this process knows of its slot from earlier connections, so that a slot which is not what it was is noticed: a
 * re-created slot of the same name bears no other mark than its position.
 */
export class SlotMemory {
  private systemIdentifier: string | undefined;
  private timeline: string | undefined;
  private position: Lsn | undefined;

  /** @param slotName null: temporary slots, each with a position of its own */
  constructor(private readonly slotName: string | null) {}

  /** Compares what was found at connect with what was left. @throws GapError where changes may be missing */
  compare(systemIdentifier: string, timeline: string, slot: SlotState | null, app: string): void {
    if (this.systemIdentifier !== undefined && this.systemIdentifier !== systemIdentifier) {
      throw new GapError(
        `Another PostgreSQL cluster answers at this address (system identifier ${systemIdentifier}, before ` +
          `${this.systemIdentifier})`,
        { app, hint: 'point `connection` to the right server, or restart the application to begin anew on this one.' },
      );
    }
    if (this.slotName !== null && this.position !== undefined && this.timeline === timeline)
      this.comparePosition(slot, app);
  }

  /** The stream begins: from here on, the slot moves only as we confirm. */
  enter(systemIdentifier: string, timeline: string, slot: SlotState): void {
    this.systemIdentifier = systemIdentifier;
    this.timeline = timeline;
    this.position = slot.confirmedLsn;
  }

  /** We told the server this position, or are about to. */
  confirmed(lsn: Lsn): void {
    if (this.position !== undefined && lsn > this.position) this.position = lsn;
  }

  private comparePosition(slot: SlotState | null, app: string): void {
    const hint =
      'changes in between were not delivered: compare your data, then restart the application to go on from where the ' +
      'slot stands.';
    if (slot === null) {
      throw new GapError(`The slot "${this.slotName}" has vanished since this process last streamed from it`, {
        app,
        hint: 'changes since then are not delivered: compare your data, then restart the application, which makes a new slot.',
      });
    }
    if (slot.confirmedLsn > this.position!) {
      throw new GapError(
        `The slot "${this.slotName}" stands at ${formatLsn(slot.confirmedLsn)}, beyond ${formatLsn(this.position!)}, the ` +
          'last position that this process confirmed: it was advanced or re-created behind our back',
        { app, hint },
      );
    }
  }
}
