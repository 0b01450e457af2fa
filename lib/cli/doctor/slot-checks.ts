import { escapeLiteral } from 'pg';
import { ownerText, type ListedSlot } from '../slots/slot-list.js';
import { durationText, sizeText } from '../text-table.js';
import { bySuperuser, countText, fault, ok, type Finding } from './finding.js';
import type { ServerSurvey } from './server-survey.js';
import { settingMend } from './setting-mend.js';

/** Slots that nobody reads, slots that nobody can read any more, and slots that are read too slowly. */
export function checkSlots(slots: readonly ListedSlot[], survey: Pick<ServerSurvey, 'settings' | 'host'>): Finding[] {
  const findings = [
    ...slots.filter((slot) => !slot.active && !slot.temporary && !slot.synced).map(checkSlot),
    ...slots.filter((slot) => slot.active && isAtRisk(slot)).map((slot) => atRisk(slot, survey)),
  ];
  if (findings.length > 0) return findings;
  const readers =
    slots.length === 0 ? 'There are no slots' : `${countText(slots.length, 'slot')}, each read by somebody`;
  return [ok('stale-slot', `${readers}: none holds write-ahead log back for nobody`)];
}

function checkSlot(slot: ListedSlot): Finding {
  const { name, plugin, database, retainedBytes, idleSeconds, givenUpInSeconds, invalidation, owner } = slot;
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
  const deadline = givenUpInSeconds === null ? '' : `; the server gives it up ${deadlineText(givenUpInSeconds)}`;
  return fault(
    'warning',
    'stale-slot',
    `Nobody reads the slot "${name}" (${facts})${retained}${deadline}`,
    'that grows until somebody reads, the disk is full, or max_slot_wal_keep_size is reached.',
    [
      { step: 'start its service; or, only if none needs it any more, for its position is lost then:' },
      ...bySuperuser(drop),
    ],
  );
}

/** What keeps a new slot from being made keeps nobody who has one. @param own the slot that the listener is to have */
export function easedBySlot(own: ListedSlot | undefined, findings: readonly Finding[]): Finding[] {
  if (own === undefined) return [...findings];
  return findings.map((each) =>
    each.level === 'error' && NEW_SLOT.has(each.check)
      ? { ...each, level: 'warning', why: `the slot "${own.name}" is there already; but ${each.why ?? ''}` }
      : each,
  );
}

const NEW_SLOT: ReadonlySet<string> = new Set(['free-slots', 'open-transaction', 'prepared-transaction']);

/** Less than a tenth is left of what the server would keep for it. */
function isAtRisk({ walStatus, safeBytes, retainedBytes, invalidation }: ListedSlot): boolean {
  if (invalidation !== null) return false;
  return walStatus === 'unreserved' || (safeBytes !== null && retainedBytes !== null && safeBytes * 9 < retainedBytes);
}

function atRisk(slot: ListedSlot, survey: Pick<ServerSurvey, 'settings' | 'host'>): Finding {
  const { name, activePid, application, retainedBytes, givenUpInSeconds, walStatus } = slot;
  const reader = `pid ${activePid ?? '?'}${application === null ? '' : `, application "${application}"`}`;
  const seconds = walStatus === 'unreserved' ? 0 : givenUpInSeconds;
  const when = seconds === null ? 'soon' : deadlineText(seconds);
  return fault(
    'warning',
    'slot-at-risk',
    `The slot "${name}" (${reader}) is ${sizeText(retainedBytes ?? 0)} behind, and the server gives it up ${when}`,
    'more than max_slot_wal_keep_size is not kept for it; its reader would halt, and tell of a gap.',
    [
      { step: 'let its handlers be faster, or mend the one that fails; and, if the disk can spare it:' },
      ...settingMend(survey, 'max_slot_wal_keep_size', moreThan(retainedBytes ?? 0), false),
    ],
  );
}

function deadlineText(seconds: number): string {
  return seconds < 1 ? 'at the next checkpoint' : `in about ${durationText(seconds)}, as things go`;
}

/** Twice as much, in whole gigabytes. */
function moreThan(bytes: number): string {
  return `${Math.max(1, Math.ceil((2 * bytes) / 2 ** 30))}GB`;
}
