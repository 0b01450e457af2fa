import type { CommandCall } from './command.js';
import { printable } from './printable.js';

const URL_START = /^(postgres(ql)?:\/\/|socket:\/)/i;
/** What node-postgres takes where an address leaves it out. */
const SERVER_VARIABLES = ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE'];
/** Values that may well hold an @. */
const WITH_AT = new Set(['user', 'password', 'application_name', 'options']);

export function looksLikeAddress(word: string): boolean {
  return URL_START.test(word);
}

/** Whether the environment says which server, as for psql. */
export function isServerInEnvironment(env: Readonly<Record<string, string | undefined>>): boolean {
  return SERVER_VARIABLES.some((name) => (env[name] ?? '') !== '');
}

/**
 * Whether it means what its writer meant. A password with a bare `/`, `?` or `#` ends the part that it stands in: what is
 * before would be taken for a host and a port, what is behind for a database, and both would be shown.
 */
export function isReadableAddress(address: string): boolean {
  const parsed = URL_START.test(address) ? parse(address) : null;
  if (parsed === null) return false;
  const { hash, pathname, searchParams } = parsed;
  if (hash !== '' || pathname.includes('@')) return false;
  return [...searchParams].every(([name, value]) => !name.includes('@') && (WITH_AT.has(name) || !value.includes('@')));
}

/**
 * What is to be typed. A password is in nobody's output: a word stands for it.
 *
 * @param repeated options that are to be given again, where they were
 */
export function commandText(
  command: string,
  { url, values }: Pick<CommandCall, 'url' | 'values'>,
  repeated: readonly string[] = [],
): string {
  const options = repeated.flatMap((name) => {
    const given = values[name];
    const texts = Array.isArray(given) ? given : given === undefined ? [] : [given];
    return texts.map((text) => (text === true ? `--${name}` : `--${name} ${shellWord(String(text))}`));
  });
  const address = url === null ? [] : [`'${quotable(withoutSecret(url))}'`];
  return printable(['npx', 'nestjs-pg-listener', command, ...address, ...options].join(' '));
}

/** Whether `commandText` has a word in place of a password. */
export function isSecret(url: string | null): boolean {
  return url !== null && withoutSecret(url) !== url;
}

const PASSWORD = 'PASSWORD';
/** In place of none, which stands for the directory of a Unix socket: `user@/database?host=/run/postgresql`. */
const NO_HOST = 'no-host';

function parse(address: string): URL | null {
  if (URL.canParse(address)) return new URL(address);
  const hosted = address.replace('@/', `@${NO_HOST}/`);
  return URL.canParse(hosted) ? new URL(hosted) : null;
}

function withoutSecret(url: string): string {
  const parsed = parse(url)!;
  if (parsed.password !== '') parsed.password = PASSWORD;
  for (const name of new Set(parsed.searchParams.keys())) {
    if (/password/i.test(name)) parsed.searchParams.set(name, PASSWORD);
  }
  // As it was written, where there is nothing to hide: no encoding of another kind.
  return parsed.password === '' && !parsed.search.includes(PASSWORD)
    ? url
    : parsed.toString().replace(`@${NO_HOST}/`, '@/');
}

/** Of a shell: quoted where it has to be. */
function shellWord(text: string): string {
  return /^[\w.,=:/+-]+$/.test(text) ? text : `'${quotable(text)}'`;
}

function quotable(text: string): string {
  return text.replaceAll("'", `'\\''`);
}
