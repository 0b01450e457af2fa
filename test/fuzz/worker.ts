import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../faults/random.js';
import type { FuzzInput } from './finding-file.js';
import { mutate, mutateSequence } from './mutate.js';
import { readSeeds } from './seeds.js';
import { Finding, MessageTarget, runSequence } from './target.js';

/** What the worker is started with. */
export interface Job {
  readonly root: string;
  readonly seed: number;
  readonly untilMs: number;
  /** Counts inputs, so that whoever watches sees it stand still. */
  readonly progress: SharedArrayBuffer;
  /** The input that is being run, so that it is known where nothing comes back. */
  readonly current: SharedArrayBuffer;
}

/** What it tells. */
export type Report =
  | {
      readonly type: 'finding';
      readonly what: string;
      readonly input: Omit<FuzzInput, 'context'>;
      readonly context: number;
    }
  | {
      readonly type: 'done';
      readonly runs: number;
      readonly sequences: number;
      readonly signatures: number;
      readonly corpus: number;
    };

/** One input in this many is a whole stream. */
const SEQUENCE_EVERY = 200;
const MOST_FINDINGS = 20;

const { root, seed, untilMs, progress, current }: Job = workerData;
const random = new Random(seed);
const { contexts, messages, streams } = readSeeds(root);
const targets = contexts.map((context) => new MessageTarget(context));
const beats = new Int32Array(progress);
const written = new DataView(current);
const place = Buffer.from(current);

const corpus = [...messages];
const seen = new Set<string>();
const findings = new Set<string>();
let sequences = 0;
let runs = 0;

/** What is found twice under one name is told once. */
function report(error: unknown, input: Omit<FuzzInput, 'context'>, context: number): void {
  if (!(error instanceof Finding)) throw error;
  const cause = error.cause instanceof Error ? (error.cause.stack ?? '').split('\n')[1]?.trim() : undefined;
  const what = `${error.message} ${cause ?? ''}`.trim();
  if (findings.has(what) || findings.size >= MOST_FINDINGS) return;
  findings.add(what);
  parentPort!.postMessage({ type: 'finding', what, input, context } satisfies Report);
}

/** A context, and one message or many, with their lengths. */
function note(context: number, list: readonly Buffer[]): void {
  written.setUint32(0, context);
  written.setUint32(4, list.length);
  let at = 8;
  for (const message of list) {
    if (at + 4 + message.length > place.length) break;
    written.setUint32(at, message.length);
    message.copy(place, at + 4);
    at += 4 + message.length;
  }
  Atomics.add(beats, 0, 1);
}

function tryMessage(context: number, message: Buffer): void {
  note(context, [message]);
  runs++;
  try {
    const signature = `${contexts[context]!.format} ${targets[context]!.run(message)}`;
    if (seen.has(signature)) return;
    seen.add(signature);
    corpus.push({ context, message: Buffer.from(message) });
  } catch (error) {
    report(error, { kind: 'message', isTwoPhase: false, messages: [message] }, context);
  }
}

function trySequence(): void {
  const { context, isTwoPhase, messages: stream } = random.pick(streams);
  const mutated = mutateSequence(stream, random);
  note(context, mutated);
  runs++;
  sequences++;
  try {
    seen.add(runSequence(mutated, contexts[context]!, isTwoPhase));
  } catch (error) {
    report(error, { kind: 'sequence', isTwoPhase, messages: mutated }, context);
  }
}

for (const { context, message } of messages) tryMessage(context, message);
while (Date.now() < untilMs) {
  if (random.chance(1 / SEQUENCE_EVERY)) trySequence();
  // What has come lately has shown something new: half of the tries go on from there.
  const from = random.chance(0.5) ? Math.max(messages.length, corpus.length - 500) : 0;
  const { context, message } = corpus[from + random.below(corpus.length - from)] ?? random.pick(corpus);
  tryMessage(
    context,
    mutate(message, random, () => random.pick(corpus).message),
  );
}
parentPort!.postMessage({
  type: 'done',
  runs,
  sequences,
  signatures: seen.size,
  corpus: corpus.length,
} satisfies Report);
