import { describeTarget } from '../../connection/connection-target.js';
import type { Command, CommandCall } from '../command.js';
import { ExitCode } from '../exit-code.js';
import { printable } from '../printable.js';
import type { Terminal } from '../terminal.js';
import { durationText, sizeText, textTable } from '../text-table.js';
import { withClient } from '../with-client.js';
import { ownerText, readSlots, type ListedSlot } from './slot-list.js';

const HEAD = ['SLOT', 'PLUGIN', 'DATABASE', 'READ BY', 'RETAINED', 'WAL STATUS', 'GIVEN UP IN', 'IDLE', 'WHOSE'];
const [READ_BY, RETAINED, WAL_STATUS] = [3, 4, 5];

export const slotsCommand: Command = {
  name: 'slots',
  usage: '[URL] [--json]',
  summary: 'Lists the replication slots of the server, with what they hold back.',
  help: `  --json  an array of objects on one line: name, plugin, database, temporary, active, activePid, application,
          retainedBytes, walStatus, safeBytes, givenUpInSeconds, invalidation, idleSeconds, confirmedLsn, restartLsn,
          synced, owner

RETAINED is the write-ahead log that the server keeps for the slot, GIVEN UP IN an estimate of the time until it does
so no more if nobody reads (max_slot_wal_keep_size at the average rate of writing, idle_replication_slot_timeout), IDLE the time since somebody read from it
(the server tells from PostgreSQL 17 on), WHOSE what is recorded in this database by the application that owns it.`,
  options: { json: { type: 'boolean' } },
  run: async ({ target, values, terminal }: CommandCall) => {
    const slots = await withClient(target, readSlots);
    if (values['json'] === true) terminal.printJson(slots);
    else if (slots.length === 0) terminal.print(`There are no replication slots on ${describeTarget(target)}.`);
    else printTable(slots, terminal);
    return ExitCode.Done;
  },
};

function printTable(slots: readonly ListedSlot[], terminal: Terminal): void {
  const lines = textTable(HEAD, slots.map(cellsOf), (row, column, text) => {
    const slot = slots[row];
    if (slot === undefined) return terminal.style('bold', text);
    if (column === READ_BY && !slot.active && !slot.synced) return terminal.style('yellow', text);
    if (column === RETAINED && !slot.active) return terminal.style('yellow', text);
    if (column === WAL_STATUS && slot.invalidation !== null) return terminal.style('red', text);
    return text;
  });
  for (const line of lines) terminal.print(line);
}

function cellsOf(slot: ListedSlot): string[] {
  const { plugin, database, retainedBytes, walStatus, givenUpInSeconds, invalidation, idleSeconds, owner } = slot;
  const cells = [
    slot.name,
    plugin ?? 'physical',
    database ?? '-',
    readerText(slot),
    retainedBytes === null ? '-' : sizeText(retainedBytes),
    [walStatus ?? '-', invalidation === null ? '' : `(${invalidation})`].join(' ').trimEnd(),
    givenUpInSeconds === null ? '-' : durationText(givenUpInSeconds),
    idleSeconds === null ? '-' : durationText(idleSeconds),
    owner === null ? '-' : ownerText(owner),
  ];
  return cells.map(printable);
}

function readerText({ active, activePid, application, temporary, synced }: ListedSlot): string {
  if (!active) return synced ? 'a copy of the primary’s' : 'nobody';
  const who = [`pid ${activePid ?? '?'}`, application ?? ''].join(' ').trimEnd();
  return temporary ? `${who} (temporary)` : who;
}
