import { createInterface } from 'node:readline';
import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import { OWN_SCHEMA } from '../../changes/own-schema.js';
import { describeTarget, type ConnectionTarget } from '../../connection/connection-target.js';
import { SlotError, SlotInUseError } from '../../errors/replication.error.js';
import { sqlState } from '../../errors/sql-state.js';
import type { Command, CommandCall } from '../command.js';
import { ExitCode } from '../exit-code.js';
import type { Terminal } from '../terminal.js';
import { durationText, sizeText } from '../text-table.js';
import { withClient } from '../with-client.js';
import { ownerText, readSlots, type ListedSlot } from './slot-list.js';

export const dropSlotCommand: Command = {
  name: 'drop-slot',
  usage: '[URL] NAME [--yes] [--json]',
  summary: 'Drops a replication slot that no service needs any more. Asks first.',
  help: `  --yes   does not ask
  --json  {"slot":"...","dropped":true} on one line

What the slot has not delivered is lost for good to whoever read from it, and the server is free to remove the
write-ahead log that it held back. A slot that somebody reads from is not dropped. Without --yes, the name of the
slot has to be typed once more at a terminal; where there is none, nothing is dropped.`,
  options: { yes: { type: 'boolean', short: 'y' }, json: { type: 'boolean' } },
  positionals: ['NAME'],
  run: ({ target, positionals, values, terminal }: CommandCall) =>
    withClient(target, async (client) => {
      const slot = await findSlot(client, positionals[0]!, target);
      if (slot.active) throw inUse(slot, target);
      const isSure = values['yes'] === true || (await asks(slot, target, terminal));
      if (isSure) await drop(client, slot, target);
      if (values['json'] === true) terminal.printJson({ slot: slot.name, dropped: isSure });
      else terminal.print(isSure ? `Dropped the slot "${slot.name}".` : 'Nothing was dropped.');
      if (isSure) await tellOfRest(client, slot, terminal);
      return isSure ? ExitCode.Done : ExitCode.Failed;
    }),
};

async function findSlot(client: Client, name: string, target: ConnectionTarget): Promise<ListedSlot> {
  const slots = await readSlots(client);
  const slot = slots.find((each) => each.name === name);
  if (slot !== undefined) return slot;
  const names = slots.map((each) => each.name).join(', ');
  throw new SlotError(`There is no slot "${name}" on ${describeTarget(target)}`, {
    hint: names === '' ? 'there are no slots at all: nothing needs to be done.' : `there are: ${names}.`,
  });
}

/** Whether the name is typed once more. */
async function asks(slot: ListedSlot, target: ConnectionTarget, terminal: Terminal): Promise<boolean> {
  const { stdin, stderr } = terminal.world;
  if (stdin.isTTY !== true) {
    // A pipe that nobody ends would be waited for, and one that happens to hold the name is no person.
    throw new SlotError(`There is no terminal to ask whether the slot "${slot.name}" is to be dropped`, {
      hint: '--yes drops it without a question. What it has not delivered is lost for good.',
    });
  }
  terminal.say(`${describe(slot)}\nIt is on ${describeTarget(target)}. What it has not delivered is lost for good.`);
  stderr.write('Type the name of the slot to drop it: ');
  return (await firstLine(stdin)) === slot.name;
}

function firstLine(input: NodeJS.ReadableStream): Promise<string | undefined> {
  return new Promise((done) => {
    const lines = createInterface({ input });
    let line: string | undefined;
    lines.once('line', (text) => {
      line = text.trim();
      lines.close();
    });
    lines.once('close', () => done(line));
  });
}

function describe(slot: ListedSlot): string {
  const { name, plugin, database, active, activePid, retainedBytes, idleSeconds, owner } = slot;
  const facts = [
    plugin === null ? 'physical' : `${plugin}, database "${database}"`,
    active ? `read by pid ${activePid ?? '?'}` : 'nobody reads from it',
    ...(idleSeconds === null ? [] : [`idle for ${durationText(idleSeconds)}`]),
    ...(retainedBytes === null ? [] : [`holds ${sizeText(retainedBytes)} of write-ahead log`]),
    ...(owner === null ? [] : [`belongs to ${ownerText(owner)}`]),
  ];
  return `Slot "${name}": ${facts.join('; ')}.`;
}

async function drop(client: Client, slot: ListedSlot, target: ConnectionTarget): Promise<void> {
  try {
    await client.query('SELECT pg_drop_replication_slot($1)', [slot.name]);
  } catch (cause) {
    throw sqlState(cause) === '55006' ? inUse(slot, target, cause) : cause;
  }
}

function inUse({ name }: ListedSlot, target: ConnectionTarget, cause?: unknown): SlotInUseError {
  return new SlotInUseError(`The slot "${name}" is being read from on ${describeTarget(target)}`, {
    cause,
    hint:
      'stop the service that does. Where it cannot be found: SELECT pg_terminate_backend(active_pid) FROM ' +
      `pg_replication_slots WHERE slot_name = ${escapeLiteral(name)}; a service that runs comes back, though.`,
  });
}

/** What an application has made for its slot is of no use to anybody else. It is in the slot's own database. */
async function tellOfRest(client: Client, { name, database, owner }: ListedSlot, terminal: Terminal): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT pubname AS name FROM pg_catalog.pg_publication WHERE pubname IN ($1, $2) AND current_database() = $3',
    [`pg_listener_${name}`, `pg_listener_${name}_append`, database],
  );
  const names = rows.map((row) => escapeIdentifier(row.name)).join(', ');
  const rest = [
    ...(names === '' ? [] : [`DROP PUBLICATION ${names};`]),
    ...(owner === null ? [] : [`DELETE FROM ${OWN_SCHEMA}.slots WHERE slot_name = ${escapeLiteral(name)};`]),
  ];
  if (rest.length > 0) terminal.say(`What the application has made for it may go too: ${rest.join(' ')}`);
}
