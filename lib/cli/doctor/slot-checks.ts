import { escapeLiteral } from 'pg';
import { ownerText, type ListedSlot } from '../slots/slot-list.js';
import { durationText, sizeText } from '../text-table.js';
import { bySuperuser, countText, fault, ok, type Finding } from './finding.js';

/** Slots that nobody reads, and slots that nobody can read any more. */
export function checkSlots(slots: readonly ListedSlot[]): Finding[] {
  const findings = slots.filter((slot) => !slot.active && !slot.temporary && !slot.synced).map(checkSlot);
  if (findings.length > 0) return findings;
  const readers =
    slots.length === 0 ? 'There are no slots' : `${countText(slots.length, 'slot')}, each read by somebody`;
  return [ok('stale-slot', `${readers}: none holds write-ahead log back for nobody`)];
}

function checkSlot(slot: ListedSlot): Finding {
  const { name, plugin, database, retainedBytes, idleSeconds, invalidation, owner } = slot;
  const drop = `SELECT pg_drop_replication_slot(${escapeLiteral(name)});`;
  const facts = [
    plugin === null ? 'physical' : `database "${database}"`,
    ...(owner === null ? [] : [ownerText(owner)]),
    ...(idleSeconds === null ? [] : [`idle for ${durationText(idleSeconds)}`]),
  ].join(', ');
  if (invalidation !== null) {
    return fault(
      'warning',
      'lost-slot',
      `The slot "${name}" (${facts}) is lost (${invalidation})`,
      'it cannot be read any more: changes since its position are gone for whoever read from it.',
      [{ step: 'its service makes a new one when it starts and the gap is acknowledged; or:' }, ...bySuperuser(drop)],
    );
  }
  const retained = retainedBytes === null ? '' : `, and it holds back ${sizeText(retainedBytes)} of write-ahead log`;
  return fault(
    'warning',
    'stale-slot',
    `Nobody reads the slot "${name}" (${facts})${retained}`,
    'that grows until somebody reads, the disk is full, or max_slot_wal_keep_size is reached.',
    [
      { step: 'start its service; or, only if none needs it any more, for its position is lost then:' },
      ...bySuperuser(drop),
    ],
  );
}
