import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { int32, insert, relation, tuple } from '../support/pgoutput-encoder.js';
import { readFixtures } from '../support/oracles/fixture.js';
import type { CapturedType } from '../support/values/capture-binary.js';
import { SAMPLE_RELATION, SAMPLES } from '../unit/decoder/samples.js';
import type { Context } from './target.js';

export interface Seeds {
  readonly contexts: readonly Context[];
  /** A message each, in the form of version 1, and which context it is read in. */
  readonly messages: readonly { readonly context: number; readonly message: Buffer }[];
  readonly streams: readonly {
    readonly context: number;
    readonly isTwoPhase: boolean;
    readonly messages: readonly Buffer[];
  }[];
}

const PARTS_CARRY_XIDS = new Set(Buffer.from('RYIUDTM'));
const DESCRIBES = new Set(Buffer.from('RY'));

/** Messages within a part lose the xid behind their type, as they do when they are read. */
function withoutXids(stream: readonly Buffer[]): Buffer[] {
  let isPart = false;
  return stream.map((message) => {
    if (message[0] === 0x53) isPart = true;
    if (message[0] === 0x45) isPart = false;
    const carries = isPart && PARTS_CARRY_XIDS.has(message[0]!);
    return carries ? Buffer.concat([message.subarray(0, 1), message.subarray(5)]) : message;
  });
}

/** What the mutations start from. @param root the folder of package.json */
export function readSeeds(root: string): Seeds {
  const contexts: Context[] = [];
  const messages: { context: number; message: Buffer }[] = [];
  const streams: { context: number; isTwoPhase: boolean; messages: Buffer[] }[] = [];
  for (const { major, expected, streams: captured } of readFixtures(join(root, 'test/fixtures/pgoutput'))) {
    for (const { name, options, messages: sent } of captured) {
      const stream = sent.map(({ data }) => data);
      const plain = withoutXids(stream);
      const described = plain.filter((message) => DESCRIBES.has(message[0]!));
      const format = options['binary'] === 'true' ? 'binary' : 'text';
      const context = contexts.push({ name: `${major} ${name}`, format, ...expected.types, described }) - 1;
      streams.push({ context, isTwoPhase: name === 'two-phase', messages: stream });
      messages.push(...plain.map((message) => ({ context, message })));
    }
  }
  for (const format of ['text', 'binary'] as const) addSamples(root, format, contexts, messages);
  return { contexts, messages, streams };
}

/** Every built-in type in a table of its own, with values in both forms; and the messages of the unit tests. */
function addSamples(
  root: string,
  format: Context['format'],
  contexts: Context[],
  messages: { context: number; message: Buffer }[],
): void {
  const types = JSON.parse(readFileSync(join(root, 'test/fixtures/binary/values.json'), 'utf8')) as CapturedType[];
  const described = types.map(({ oid }, index) =>
    relation({
      id: 50_000 + index,
      table: `of ${index}`,
      columns: [
        { name: 'v', typeOid: oid },
        { name: 'w', typeOid: oid, isKey: true },
      ],
    }),
  );
  described.push(relation(SAMPLE_RELATION));
  const context = contexts.push({ name: `samples, ${format}`, format, enums: [], domains: [], described }) - 1;
  for (const message of described) messages.push({ context, message });
  for (const [, , message] of SAMPLES) messages.push({ context, message });
  types.forEach(({ values }, index) => {
    for (const [hex, text] of values) {
      const binary = { kind: 'b', value: Buffer.from(hex, 'hex') };
      messages.push({ context, message: insert(50_000 + index, format === 'text' ? [text, text] : [binary, text]) });
    }
    const [hex, text] = values.at(-1)!;
    const old = tuple([{ kind: 'b', value: Buffer.from(hex, 'hex') }, text]);
    const head = Buffer.concat([Buffer.from('U'), int32(50_000 + index)]);
    messages.push({ context, message: Buffer.concat([head, Buffer.from('O'), old, Buffer.from('N'), old]) });
    messages.push({ context, message: Buffer.concat([head, Buffer.from('K'), old, Buffer.from('N'), old]) });
  });
}
