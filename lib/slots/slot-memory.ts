import { formatLsn, type Lsn } from '../protocol/lsn.js';
import type { SlotTrace } from './gap-finder.js';
import type { SlotState } from './slot-manager.js';

/** What this process knows of its slot from earlier connections; all there is where nothing can be recorded. */
export class SlotMemory {
  private left: SlotTrace | null = null;

  /** @param slotName null: temporary slots, each with a position of its own */
  constructor(private readonly slotName: string | null) {}

  get trace(): SlotTrace | null {
    return this.left;
  }

  /**
   * @returns a warning where the slot stands further than this process left it: another process of the service may have
   *   streamed meanwhile, or the slot was advanced or re-created; in memory the two cannot be told apart
   */
  doubtOf(slot: SlotState | null): string | null {
    const { slotName, left } = this;
    if (slotName === null || slot === null || left === null || slot.confirmedLsn <= left.position) return null;
    return (
      `The slot "${slotName}" stands at ${formatLsn(slot.confirmedLsn)}, beyond ${formatLsn(left.position)}, where this ` +
      'process left it: unless another process of this service has streamed meanwhile, what lies between is missed'
    );
  }

  /** The stream begins: from here on, the slot moves only as we confirm. */
  enter(systemIdentifier: string, timeline: string, slot: SlotState): void {
    this.left = { systemIdentifier, timeline, position: slot.confirmedLsn };
  }

  /** We told the server this position, or are about to. */
  confirmed(lsn: Lsn): void {
    if (this.left !== null && lsn > this.left.position) this.left = { ...this.left, position: lsn };
  }
}
