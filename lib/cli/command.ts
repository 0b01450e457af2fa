import type { ParseArgsConfig } from 'node:util';
import type { ConnectionTarget } from '../connection/connection-target.js';
import type { ExitCode } from './exit-code.js';
import type { Terminal } from './terminal.js';

export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** A command as it was called. */
export interface CommandCall {
  readonly target: ConnectionTarget;
  /** The address as it was given, for what is to be typed next; null: it came from the environment. */
  readonly url: string | null;
  /** Besides the address. */
  readonly positionals: readonly string[];
  readonly values: OptionValues;
  readonly terminal: Terminal;
}

export interface Command {
  readonly name: string;
  /** What follows the name. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  /** What `--help` says, besides. */
  readonly help: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** Names of what is wanted besides the address, such as `NAME`. */
  readonly positionals?: readonly string[];
  /** @throws PgListenerError */
  run(call: CommandCall): Promise<ExitCode>;
}

/** Of an option that may be given more than once, or with commas: all that was given. */
export function listOf(values: OptionValues, name: string): string[] {
  const given = values[name];
  const texts = Array.isArray(given) ? given : given === undefined ? [] : [given];
  return texts.map(String);
}
