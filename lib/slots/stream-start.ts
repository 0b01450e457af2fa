import type { StreamHistory, StreamStart } from '../interfaces/effects-store.interface.js';
import type { SlotEntry } from './slot-life.js';
import type { SlotManager } from './slot-manager.js';

/** How a stream begins, for those who keep what its handlers have done. */
export function streamStart(history: StreamHistory, slots: SlotManager, entry: SlotEntry): StreamStart {
  return {
    history,
    slotName: slots.isTemporary ? null : slots.name,
    from: entry.slot.confirmedLsn,
    isContinued: !entry.isNew && !entry.isBehindGap,
  };
}
