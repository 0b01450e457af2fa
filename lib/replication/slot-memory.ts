import { GapError } from '../errors/replication.error.js';
import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { SlotState } from './slot-manager.js';

/**
 * What this process knows of its slot from earlier connections, so that a slot which is not what it was is noticed: a
 * re-created slot of the same name bears no other mark than its position.
 */
export class SlotMemory {
  private systemIdentifier: string | undefined;
  private position: Lsn | undefined;

  /** @param slotName null: temporary slots, each with a position of its own */
  constructor(private readonly slotName: string | null) {}

  /**
   * Compares what was found at connect with what was left.
   *
   * @returns a warning where the slot stands further than this process left it: another process of the service may have
   *   streamed meanwhile, or the slot was advanced or re-created; in memory the two cannot be told apart
   * @throws GapError where changes are missing for certain
   */
  compare(systemIdentifier: string, slot: SlotState | null, app: string): string | null {
    if (this.systemIdentifier !== undefined && this.systemIdentifier !== systemIdentifier) {
      throw new GapError(
        `Another PostgreSQL cluster answers at this address (system identifier ${systemIdentifier}, before ` +
          `${this.systemIdentifier})`,
        { app, hint: 'point `connection` to the right server, or restart the application to begin anew on this one.' },
      );
    }
    if (this.slotName === null || this.position === undefined) return null;
    if (slot === null) {
      throw new GapError(`The slot "${this.slotName}" has vanished since this process last streamed from it`, {
        app,
        hint: 'changes since then are not delivered: compare your data, then restart the application, which makes a new slot.',
      });
    }
    if (slot.confirmedLsn <= this.position) return null;
    return (
      `The slot "${this.slotName}" stands at ${formatLsn(slot.confirmedLsn)}, beyond ${formatLsn(this.position)}, where this ` +
      'process left it: unless another process of this service has streamed meanwhile, what lies between is missed'
    );
  }

  /** The stream begins: from here on, the slot moves only as we confirm. */
  enter(systemIdentifier: string, slot: SlotState): void {
    this.systemIdentifier = systemIdentifier;
    this.position = slot.confirmedLsn;
  }

  /** We told the server this position, or are about to. */
  confirmed(lsn: Lsn): void {
    if (this.position !== undefined && lsn > this.position) this.position = lsn;
  }
}
