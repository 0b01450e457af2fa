import { inspect } from 'node:util';

/** A type, with one value of it as text, and what becomes of that. */
export interface TypeEntry {
  /** As in SQL. */
  readonly type: string;
  readonly text: string;
  /** What `SELECT` gives through node-postgres, and so does the stream. */
  readonly plain: unknown;
  /** What the stream gives with `types: 'rich'`. */
  readonly rich: unknown;
}

/** Entries of one kind. */
export interface TypeFamily {
  readonly title: string;
  /** What stands above the table. */
  readonly about: string;
  readonly entries: readonly TypeEntry[];
}

const LONGEST = 160;

const INTRODUCTION = `# Types

What a handler gets for a value of each type. By default it is the value that \`SELECT\` gives through your own node-postgres:
its type parsers, yours included (\`types.setTypeParser\`, \`connection.types\`), read the stream. With
[\`types: 'rich'\`](options.md#how-values-are-read), what node-postgres leaves as text becomes a structure; the last column is
empty where the two do not differ. It makes no difference to the values whether they travel [in the binary
format](options.md#values-in-the-binary-format).

The tables are written by the tests, from values with which they hold the stream against \`SELECT\`: \`npm run docs:types\`.
SQL's null is \`null\`, in a structure too. "local" is an instant that is taken in the time zone of the process, as node-postgres
does for a type without a zone.
`;

export function renderTypes(families: readonly TypeFamily[]): string {
  const head = ["| type | value | by default | with `types: 'rich'` |", '| --- | --- | --- | --- |'];
  const parts = families.map(({ title, about, entries }) =>
    [`## ${title}`, '', ...(about === '' ? [] : [about, '']), ...head, ...entries.map(renderEntry), ''].join('\n'),
  );
  return [INTRODUCTION, ...parts].join('\n');
}

export function renderEntry({ type, text, plain, rich }: TypeEntry): string {
  const [value, structure] = [plain, rich].map((each) => show(each, /tz|zone/.test(type)));
  return `| ${code(type)} | ${code(text)} | ${code(value!)} | ${structure === value ? '' : code(structure!)} |`;
}

/** What a page says, however its tables are laid out. */
export function contentOf(page: string): string[] {
  return page
    .split('\n')
    .map((line) => (line.startsWith('|') ? line.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---') : line))
    .filter((line) => line !== '');
}

function show(value: unknown, isZoned: boolean): string {
  return inspect(readable(value, isZoned), { depth: 9, breakLength: Infinity, compact: true });
}

/** An instant as every machine writes it. */
function readable(value: unknown, isZoned: boolean): unknown {
  if (value instanceof Date) return as(isZoned ? `Date ${value.toISOString()}` : `Date ${localText(value)} local`);
  // As it is: escapes would be none of its own.
  if (typeof value === 'string') return as(`'${value}'`);
  if (Buffer.isBuffer(value)) return as(`Buffer ${value.toString('hex')}`);
  if (Array.isArray(value)) return value.map((each) => readable(each, isZoned));
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, readable(each, isZoned)]));
  const name = Object.getPrototypeOf(value)?.constructor?.name as string;
  return name === 'Object' ? copy : as(`${name} ${inspect(copy, { depth: 9, breakLength: Infinity, compact: true })}`);
}

function as(text: string): object {
  return { [inspect.custom]: () => text };
}

function localText(value: Date): string {
  const moved = new Date(value.getTime() - value.getTimezoneOffset() * 60_000);
  return moved.toISOString().slice(0, -1).replace('T', ' ');
}

function code(text: string): string {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return `\`${short.replaceAll('|', '\\|')}\``;
}
