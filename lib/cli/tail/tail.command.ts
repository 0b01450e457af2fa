import { describeTarget } from '../../connection/connection-target.js';
import { listOf, type Command, type CommandCall, type OptionValues } from '../command.js';
import { ExitCode } from '../exit-code.js';
import { STOP_SIGNALS } from '../terminal.js';
import { UsageError } from '../usage.error.js';
import { JsonPrinter, TextPrinter } from './change-printers.js';
import { TailPublications } from './tail-publications.js';
import { readSelection, type TailSelection } from './tail-selection.js';
import { TailSink } from './tail-sink.js';
import { TailStream } from './tail-stream.js';
import { JSON_VALUES, TEXTS } from './value-types.js';

export const tailCommand: Command = {
  name: 'tail',
  usage: '[URL] [--table PATTERN]... [--operation NAME]... [--publication NAME]... [--limit N] [--full] [--json]',
  summary: 'Shows changes of rows as they are committed. Ctrl-C ends it.',
  help: `  --table PATTERN     orders, billing.invoices, sales.*, '*', '!audit' (default: every table)
  --operation NAME    insert, update, delete, truncate; several with commas (default: all)
  --publication NAME  reads through these publications of yours, as an application would
  --limit N           ends after so many changes
  --full              shows values whole, however long
  --json              one line for each change, as change.toJSON() gives it: numbers, booleans, json and null as
                      such, everything else as the text that PostgreSQL writes

It reads from a temporary slot of its own, which the server removes with the connection: no slot of an application
is read, moved or made. Without --publication, it reads through a publication that carries all that is asked for, or
makes one (which takes CREATE on the database and ownership of the tables) and removes it when it ends. It is as fast
as its reader: a terminal that stands still holds back write-ahead log, like any slot.`,
  options: {
    table: { type: 'string', multiple: true },
    operation: { type: 'string', multiple: true },
    publication: { type: 'string', multiple: true },
    limit: { type: 'string' },
    full: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  run: async (call: CommandCall) => {
    const { values } = call;
    // Before anything is opened: they may be wrong.
    const [selection, limit] = [readSelection(values), readLimit(values)];
    await tail(call, selection, limit);
    return ExitCode.Done;
  },
};

async function tail({ target, values, terminal }: CommandCall, selection: TailSelection, limit: number): Promise<void> {
  const isJson = values['json'] === true;
  const { world } = terminal;
  const stop = (): void => stream.stop();
  const printer = isJson ? new JsonPrinter(terminal) : new TextPrinter(terminal, values['full'] === true);
  const stream = new TailStream({
    target,
    selection,
    publications: new TailPublications(target, terminal),
    sink: new TailSink(selection, printer, terminal, limit, stop),
    customTypes: isJson ? JSON_VALUES : TEXTS,
  });
  // Once: whoever presses Ctrl-C again does not want to wait.
  for (const signal of STOP_SIGNALS) world.once(signal, stop);
  // A reader that goes, goes also while nothing happens.
  world.stdout.once('close', stop);
  try {
    await stream.open();
    if (!stream.isStopped)
      terminal.say(`Watching ${selection.tables.join(', ')} on ${describeTarget(target)}. Ctrl-C ends it.`);
    await stream.ended();
  } finally {
    await stream.close();
    for (const signal of STOP_SIGNALS) world.off(signal, stop);
    world.stdout.off('close', stop);
  }
}

function readLimit(values: OptionValues): number {
  const [text] = listOf(values, 'limit');
  if (text === undefined) return Infinity;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`--limit is "${text}"; a number above 0 is wanted`);
}
