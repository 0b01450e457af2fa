import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageTarget, runSequence, type Context } from './target.js';

/** What an input is read with, and whether it is one message or a stream. */
export interface FuzzInput {
  readonly kind: 'message' | 'sequence';
  readonly context: Context;
  readonly isTwoPhase: boolean;
  readonly messages: readonly Buffer[];
}

/** @throws Finding */
export function replay({ kind, context, isTwoPhase, messages }: FuzzInput): string {
  if (kind === 'sequence') return runSequence(messages, context, isTwoPhase);
  const target = new MessageTarget(context);
  return messages.map((message) => target.run(message)).join('\n');
}

/**
 * Keeps an input as a fixture: a line of JSON that says what it is read with, then a message a line, in hex. Of the
 * descriptions, only those that a message can refer to.
 */
export function writeFinding(folder: string, what: string, { kind, context, isTwoPhase, messages }: FuzzInput): string {
  const named = new Set(messages.flatMap((message) => (message.length < 5 ? [] : [message.readUInt32BE(1)])));
  const described = context.described
    .filter((each) => kind === 'message' && named.has(each.readUInt32BE(1)))
    .map((each) => each.toString('hex'));
  const { name, format, enums, domains } = context;
  const head = JSON.stringify({ what, kind, isTwoPhase, name, format, enums, domains, described });
  const text = `${[head, ...messages.map((message) => message.toString('hex'))].join('\n')}\n`;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 12)}.hex`);
  writeFileSync(file, text);
  return file;
}

export interface KeptFinding extends FuzzInput {
  readonly file: string;
  readonly what: string;
}

export function readFindings(folder: string): KeptFinding[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.hex'));
  return files.sort().map((file) => {
    const [head, ...lines] = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n');
    const { what, kind, isTwoPhase, name, format, enums, domains, described } = JSON.parse(head!);
    const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
    const context = { name, format, enums, domains, described: described.map(bytes) };
    return { file, what, kind, isTwoPhase, context, messages: lines.map(bytes) };
  });
}
