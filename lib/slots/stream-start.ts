import type { StreamHistory, StreamStart } from '../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import { formatLsn } from '../protocol/lsn.js';
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

/** @param isLater the managed publication is older than the slot: this service has streamed before, from a slot that is gone */
export function tellOfNewSlot(
  { slot, isNew, isBehindGap }: SlotEntry,
  { name, isTemporary }: SlotManager,
  isLater: boolean,
  logger: ListenerLogger,
): void {
  if (!isNew) return;
  const text = `Created slot "${name}": the stream begins at ${formatLsn(slot.confirmedLsn)}; what was committed before is not delivered`;
  if (!isLater || isTemporary || isBehindGap) logger.log(text);
  else
    logger.warn(
      `${text}. Its publication existed already: if an earlier slot was dropped, what came since then is missed`,
    );
}
