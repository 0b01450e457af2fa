import { TablePatternError } from '../errors/handler.error.js';
import { PgListenerError } from '../errors/pg-listener.error.js';
import { asError } from '../errors/as-error.js';
import { commandText } from './address.js';
import type { Command } from './command.js';
import { readCall } from './command-line.js';
import { doctorCommand } from './doctor/doctor.command.js';
import { ExitCode } from './exit-code.js';
import { dropSlotCommand } from './slots/drop-slot.command.js';
import { slotsCommand } from './slots/slots.command.js';
import { tailCommand } from './tail/tail.command.js';
import { Terminal, type World } from './terminal.js';
import { typesCommand } from './types/types.command.js';
import { UsageError } from './usage.error.js';

const PROGRAM = 'nestjs-pg-listener';
const COMMANDS: readonly Command[] = [doctorCommand, tailCommand, slotsCommand, dropSlotCommand, typesCommand];

/** Never throws, and never writes a password. */
export async function runCli(words: readonly string[], world: World): Promise<ExitCode> {
  const terminal = new Terminal(world);
  const code = await run(words, terminal).catch((error: unknown) => tellOf(error, words, terminal));
  const fault = await terminal.failure();
  if (fault === null) return code;
  terminal.say(`Not all could be written to stdout: ${fault.message}`);
  return ExitCode.Failed;
}

/** To people, and with `--json` to programs: stdout holds JSON then, whatever comes of it. */
function tellOf(error: unknown, words: readonly string[], terminal: Terminal): ExitCode {
  const isUsage = error instanceof UsageError || error instanceof TablePatternError;
  const isOurs = error instanceof PgListenerError;
  terminal.say(isOurs ? error.message : `Unexpected: ${asError(error).stack ?? asError(error).message}`);
  if (isUsage) terminal.say(`Help: ${PROGRAM} --help`);
  else if (words[0] === tailCommand.name) {
    // They could be read, or this were about usage.
    const call = readCall(tailCommand, words.slice(1), terminal)!;
    terminal.say(`What is missing, and what mends it: ${commandText('doctor', call, ['publication', 'table'])}`);
  }
  if (wantsJson(words)) terminal.printJson({ error: errorJson(asError(error)) });
  return isUsage ? ExitCode.Usage : ExitCode.Failed;
}

function errorJson(error: Error): Readonly<Record<string, string | null>> {
  const isOurs = error instanceof PgListenerError;
  // The hint stands by itself.
  const message = error.message.split('\n  How to mend it: ')[0]!;
  return { code: isOurs ? error.code : 'UNEXPECTED', message, hint: isOurs ? (error.hint ?? null) : null };
}

/** Also of words that could not be read. */
function wantsJson(words: readonly string[]): boolean {
  const command = COMMANDS.find(({ name }) => name === words[0]);
  return command !== undefined && Object.hasOwn(command.options, 'json') && words.includes('--json');
}

async function run([name, ...words]: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const isHelp = name === undefined || ['--help', '-h', 'help'].includes(name);
  const command = COMMANDS.find((each) => each.name === (isHelp ? words[0] : name));
  if (isHelp) {
    terminal.print(command === undefined ? overview() : helpOf(command));
    return name === undefined ? ExitCode.Usage : ExitCode.Done;
  }
  if (command === undefined) {
    throw new UsageError(`There is no command "${name}"`, {
      hint: `it is one of ${COMMANDS.map((each) => each.name).join(', ')}.`,
    });
  }
  const call = readCall(command, words, terminal);
  if (call !== null) return command.run(call);
  terminal.print(helpOf(command));
  return ExitCode.Done;
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: ${PROGRAM} COMMAND [URL] [options]

${lines.join('\n')}

URL is postgresql://user@host:5432/database, or that of DATABASE_URL, or what PGHOST, PGPORT, PGUSER and PGDATABASE
say. The password may be in it or in PGPASSWORD.
${PROGRAM} COMMAND --help says more.

Exit codes: 0 done, 1 not done (doctor: something keeps a listener from starting), 2 wrong usage.
With --json, what goes wrong is {"error":{"code","message","hint"}} on stdout.`;
}

function helpOf({ name, usage, summary, help }: Command): string {
  return `Usage: ${PROGRAM} ${name} ${usage}\n\n${summary}\n\n${help}`;
}
