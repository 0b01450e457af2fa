import { escapeLiteral } from 'pg';
import { OWN_SCHEMA } from '../changes/own-schema.js';
import { SlotError } from '../errors/replication.error.js';
import { describeTarget, type ConnectionTarget } from '../connection/connection-target.js';
import type { SlotOwner } from './slot-record.js';

/**
 * Two services with one slot would eat each other's changes. A service that is not known is nobody else's.
 *
 * @throws SlotError where the slot is recorded as another owner's
 */
export function refuseForeignSlot(
  slotName: string,
  recorded: SlotOwner | null,
  mine: SlotOwner,
  target: ConnectionTarget,
): void {
  if (recorded === null) return;
  const isOther = recorded.service !== null && mine.service !== null && recorded.service !== mine.service;
  if (!isOther && recorded.app === mine.app) return;
  const what = isOther ? [`service "${recorded.service}"`, `service "${mine.service}"`] : [];
  const apps = [...what, `app "${recorded.app}"`, `app "${mine.app}"`];
  const [theirs, ours] = isOther ? apps : apps.slice(-2);
  throw new SlotError(
    `The slot "${slotName}" on ${describeTarget(target)} belongs to the ${theirs}, not to the ${ours}`,
    {
      app: mine.app,
      hint:
        'two of them on one slot would take each other’s changes: choose another `slot` name. ' +
        `If it is the same one under a new name${isOther ? ', set `service` to the old one, or' : ':'} ${rename(slotName, recorded, mine)}`,
    },
  );
}

function rename(slotName: string, recorded: SlotOwner, mine: SlotOwner): string {
  const service = mine.service ?? recorded.service;
  return (
    `UPDATE ${OWN_SCHEMA}.slots SET service = ${service === null ? 'NULL' : escapeLiteral(service)}, ` +
    `app = ${escapeLiteral(mine.app)} WHERE slot_name = ${escapeLiteral(slotName)};`
  );
}
