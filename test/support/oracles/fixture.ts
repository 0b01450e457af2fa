import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StreamMessage } from './messages.js';

/** A value as node-postgres gave it, in JSON. */
export type PlainValue = null | boolean | number | string | readonly PlainValue[] | { readonly [key: string]: unknown };
export type PlainRow = Readonly<Record<string, PlainValue>>;

/** A change as SQL saw it, without the help of any decoder. */
export type ExpectedChange =
  | { readonly op: 'insert'; readonly table: string; readonly record: PlainRow }
  | {
      readonly op: 'update';
      readonly table: string;
      readonly record: PlainRow;
      readonly old: PlainRow | null;
      readonly unchangedToast: readonly string[];
    }
  | { readonly op: 'delete'; readonly table: string; readonly old: PlainRow }
  | { readonly op: 'truncate'; readonly table: string; readonly cascade: boolean; readonly restart: boolean }
  | { readonly op: 'message'; readonly prefix: string; readonly content: string };

/** What is said once: a transaction that committed, or a message outside of any. In the order of the log. */
export interface ExpectedTransaction {
  /** Null: a message that is nobody's. */
  readonly xid: number | null;
  /** Of the commit, in microseconds since 1970, as track_commit_timestamp has it. */
  readonly committedAt: string | null;
  readonly origin: string | null;
  /** Positions of the log that it ended between. */
  readonly between: readonly [string, string];
  readonly changes: readonly ExpectedChange[];
}

/** `test/fixtures/pgoutput/<major>/expected.json` */
export interface ExpectedWorkload {
  readonly server: string;
  readonly transactions: readonly ExpectedTransaction[];
  /** xids of sub-transactions and transactions that were large and rolled back: what a streamed one is told of. */
  readonly aborted: readonly number[];
  /** What the catalogue says of the types that the workload has made. */
  readonly types: { readonly domains: readonly (readonly [number, number])[]; readonly enums: readonly number[] };
}

/** `test/fixtures/pgoutput/<major>/<stream>.json` */
export interface CapturedStream {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly messages: readonly StreamMessage[];
}

/** How JSON holds what node-postgres gives. */
export function toPlain(value: unknown): PlainValue {
  if (value === undefined || value === null) return null;
  if (value instanceof Date) return { $date: value.toISOString() };
  if (Buffer.isBuffer(value)) return { $bytes: value.toString('base64') };
  if (typeof value === 'string' && /^x{100,}$/.test(value)) return { $repeated: value.length };
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value === 'number' && !Number.isFinite(value)) return { $number: String(value) };
  if (typeof value === 'object') return plainRow(value as Record<string, unknown>);
  return value as PlainValue;
}

export function plainRow(row: Readonly<Record<string, unknown>>): PlainRow {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toPlain(value)]));
}

/** Base64 of `xxx`: long values are made of it, so that fixtures stay small. */
const FILLER = 'eHh4';

function shorten(base64: string): string {
  return base64.replaceAll(/(?:eHh4){20,}/g, (run) => `{${run.length / FILLER.length}}`);
}

function lengthen(text: string): string {
  return text.replaceAll(/\{(\d+)\}/g, (_, count) => FILLER.repeat(Number(count)));
}

export function streamToJson({ options, messages }: Omit<CapturedStream, 'name'>): string {
  const lines = messages.map(({ lsn, data }) => `  "${lsn.toString(16)} ${shorten(data.toString('base64'))}"`);
  return `{\n "options": ${JSON.stringify(options)},\n "messages": [\n${lines.join(',\n')}\n ]\n}\n`;
}

function readStream(path: string, name: string): CapturedStream {
  const { options, messages } = JSON.parse(readFileSync(path, 'utf8')) as {
    options: Record<string, string>;
    messages: string[];
  };
  const parsed = messages.map((line) => {
    const [lsn, data] = line.split(' ') as [string, string];
    return { lsn: BigInt(`0x${lsn}`), data: Buffer.from(lengthen(data), 'base64') };
  });
  return { name, options, messages: parsed };
}

export interface VersionFixture {
  readonly major: string;
  readonly expected: ExpectedWorkload;
  readonly streams: readonly CapturedStream[];
}

/** Everything that was captured. @param folder test/fixtures/pgoutput */
export function readFixtures(folder: string): VersionFixture[] {
  const majors = readdirSync(folder).sort();
  return majors.map((major) => {
    const files = readdirSync(join(folder, major)).sort();
    const streams = files
      .filter((file) => file !== 'expected.json')
      .map((file) => readStream(join(folder, major, file), file.replace(/\.json$/, '')));
    const expected = JSON.parse(readFileSync(join(folder, major, 'expected.json'), 'utf8')) as ExpectedWorkload;
    return { major, expected, streams };
  });
}
