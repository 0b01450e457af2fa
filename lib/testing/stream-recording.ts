import { readFileSync, writeFileSync } from 'node:fs';
import type { PrimaryKey } from '../connection/primary-keys.js';
import type { StreamFormat } from '../decoder/stream-types.js';
import { formatLsn, parseLsn, type Lsn } from '../protocol/lsn.js';
import type { MadeType } from '../protocol/made-type.js';
import { TestingError } from './testing.error.js';

const FORMAT = 'nestjs-pg-listener recording';
/** Grows where an older reader would misread what is written. */
const VERSION = 1;

/** One pgoutput message (manual, section 54.9). */
export interface RecordedMessage {
  /** Its own position, as XLogData has it; 0 of Relation and Type messages. */
  readonly lsn: Lsn;
  readonly bytes: Buffer;
}

/** The first line of a file: what a connection asks the catalogue for before it reads the first message. */
export interface RecordingHeader {
  /** `server_version_num`, such as 180004. */
  readonly serverVersion: number;
  readonly values: StreamFormat;
  readonly primaryKeys: readonly (PrimaryKey & { readonly schema: string; readonly table: string })[];
  /** Types that users made, by oid. */
  readonly types: readonly (readonly [oid: number, type: MadeType])[];
  /** How `types.parsers` may call a type: each name with its oid. */
  readonly typeNames: Readonly<Record<string, number>>;
}

/**
 * What a server has sent over a slot, message by message. It holds the values of the rows as they came, whatever they are:
 * who records real data has real data in the file.
 *
 * The file has a line of JSON for the header, and one for each message: `["0/17B2E00","<base64>"]`.
 */
export class StreamRecording {
  constructor(
    readonly header: RecordingHeader,
    readonly messages: readonly RecordedMessage[],
  ) {}

  /** Writes it to a file, in place of what is there. */
  save(path: string): void {
    writeFileSync(path, this.toString());
  }

  /** What `save` writes. */
  toString(): string {
    const head = JSON.stringify({ format: FORMAT, version: VERSION, ...this.header });
    const lines = this.messages.map(({ lsn, bytes }) => JSON.stringify([formatLsn(lsn), bytes.toString('base64')]));
    return `${[head, ...lines].join('\n')}\n`;
  }
}

/** @throws TestingError where the file is no recording, or of a version that this one does not know; what `fs` throws */
export function readRecording(path: string): StreamRecording {
  return parseRecording(readFileSync(path, 'utf8'), path);
}

/** @param name for the error @throws TestingError */
export function parseRecording(text: string, name = 'The text'): StreamRecording {
  const [head, ...lines] = text.trimEnd().split('\n');
  const { format, version, ...header } = parse<RecordingHeader & { format: unknown; version: unknown }>(head!, name, 1);
  if (format !== FORMAT)
    throw new TestingError(`${name} is no recording of a stream`, { hint: 'make one with recordStream().' });
  if (version !== VERSION) {
    throw new TestingError(`${name} is a recording of version ${String(version)}, and only ${VERSION} is known`, {
      hint: 'record it again with this version of the package, or use the one that wrote it.',
    });
  }
  if (!isHeader(header)) throw broken(name, 1, undefined);
  const messages = lines.map((line, index): RecordedMessage => {
    const [lsn, base64] = parse<[string, string]>(line, name, index + 2);
    try {
      return { lsn: parseLsn(lsn), bytes: Buffer.from(base64, 'base64') };
    } catch (cause) {
      throw broken(name, index + 2, cause);
    }
  });
  return new StreamRecording(header, messages);
}

/** What a replay reads without a look at it. */
function isHeader({ values, primaryKeys, types, typeNames }: Partial<RecordingHeader>): boolean {
  const isListed = Array.isArray(primaryKeys) && Array.isArray(types) && typeof typeNames === 'object';
  return isListed && typeNames !== null && (values === 'text' || values === 'binary');
}

function parse<T extends object>(line: string, name: string, number: number): T {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch (cause) {
    throw broken(name, number, cause);
  }
  throw broken(name, number, undefined);
}

function broken(name: string, line: number, cause: unknown): TestingError {
  // The cause may quote the line, which holds values.
  const kind = cause instanceof Error ? ` (${cause.name})` : '';
  return new TestingError(`${name} cannot be read as a recording: line ${line} is broken${kind}`, {
    hint: 'it was cut or edited: record it again.',
  });
}
