import { parseArgs } from 'node:util';
import type { ClientConfig } from 'pg';
import type { ConnectionTarget } from '../connection/connection-target.js';
import { asError } from '../errors/as-error.js';
import { isReadableAddress, isServerInEnvironment, looksLikeAddress } from './address.js';
import type { Command, CommandCall } from './command.js';
import type { Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';

const COMMON = { help: { type: 'boolean', short: 'h' } } as const;

/** @returns null where help is asked for. @throws UsageError */
export function readCall(command: Command, words: readonly string[], terminal: Terminal): CommandCall | null {
  const { values, positionals } = parse(command, words);
  if (values['help'] === true) return null;
  const { env } = terminal.world;
  const wanted = command.positionals ?? [];
  const given = [...positionals];
  // Whoever names a database by its variable names the rest only.
  const url = given.length > wanted.length || given.some(looksLikeAddress) ? given.shift()! : null;
  if (given.length < wanted.length) throw new UsageError(`${wanted[given.length]} is missing`);
  if (given.length > wanted.length) {
    // Which one is not said: it may be an address with a password.
    throw new UsageError(`There are words too many: ${command.name} ${command.usage}`);
  }
  const address = url ?? (env['DATABASE_URL'] || null);
  if (address === null && !isServerInEnvironment(env)) {
    throw new UsageError('Which database? There is neither a URL nor DATABASE_URL, nor PGHOST', {
      hint: `nestjs-pg-listener ${command.name} postgresql://user@host:5432/database; the password may be in PGPASSWORD.`,
    });
  }
  return { target: targetOf(address, command), url, positionals: given, values, terminal };
}

function parse(command: Command, words: readonly string[]): { values: CommandCall['values']; positionals: string[] } {
  try {
    return parseArgs({ args: [...words], options: { ...command.options, ...COMMON }, allowPositionals: true });
  } catch (cause) {
    // Node's own words name the option, and end in advice for another case.
    throw new UsageError(asError(cause).message.split('. ')[0]!, { cause });
  }
}

/** What was given may hold a password: it is in no text. @param address null: node-postgres reads the environment */
function targetOf(address: string | null, { name }: Command): ConnectionTarget {
  if (address !== null && !isReadableAddress(address)) {
    throw new UsageError('The address cannot be read', {
      hint:
        'write postgresql://user@host:5432/database. Special characters of a password are percent-encoded: / is %2F, ? is ' +
        '%3F, # is %23, @ is %40, % is %25; or leave it out, and set PGPASSWORD.',
    });
  }
  const connection: ClientConfig = { application_name: `nestjs-pg-listener:${name}` };
  return { app: 'default', connection: address === null ? connection : { ...connection, connectionString: address } };
}
