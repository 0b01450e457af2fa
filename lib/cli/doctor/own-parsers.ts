import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { asError } from '../../errors/as-error.js';
import type { TextParser } from '../../types/type-parsers.js';
import { UsageError } from '../usage.error.js';

type Parsers = Readonly<Record<string, TextParser>>;

/**
 * What the application reads values with: the default export of a module of its own (`types.parsers`); what the module
 * does to `pg.types` counts by itself.
 *
 * @throws UsageError
 */
export async function loadParsers(file: string | undefined): Promise<Parsers> {
  if (file === undefined) return {};
  const { default: parsers = {} } = await load(file);
  const isFit =
    typeof parsers === 'object' &&
    parsers !== null &&
    Object.values(parsers).every((parser) => typeof parser === 'function');
  if (isFit) return parsers as Parsers;
  throw new UsageError('The default export of --parsers is none of parsers', {
    hint: 'write: export default { int8: BigInt }, with a function for each type, as in `types.parsers` of the module.',
  });
}

async function load(file: string): Promise<{ default?: unknown }> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown };
  } catch (cause) {
    throw new UsageError(`The module of --parsers cannot be loaded: ${asError(cause).message}`, { cause });
  }
}
