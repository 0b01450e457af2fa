/**
 * Decodes what never came from a server: captured messages with faults, for a while.
 *
 *     npm run test:fuzz -- --seconds 60 --seed 1
 *
 * Every input must give calls or a DecodeError (BinaryFormatError for a value that the binary format cannot give), in
 * time, and the same whatever lies around it. What does not is written to test/fixtures/fuzz, where a spec replays it.
 * The last line is `N passed, N failed`.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { packageRoot } from '../unit/package-root.js';
import { writeFinding } from './finding-file.js';
import { readSeeds } from './seeds.js';
import type { Job, Report } from './worker.js';

/** A message takes microseconds, a stream some milliseconds: a loaded machine has time for both. */
const HANG_MS = 5_000;
const INPUT_BYTES = 4 * 1024 * 1024;

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!Number.isFinite(seconds) || !Number.isInteger(seed)) throw new Error('--seconds and --seed are numbers');

const root = packageRoot();
const folder = join(root, 'test/fixtures/fuzz');
const { contexts } = readSeeds(root);
const untilMs = Date.now() + seconds * 1_000;
const total = { runs: 0, sequences: 0, signatures: 0, corpus: 0, failed: 0 };

function found(
  what: string,
  report: { kind: 'message' | 'sequence'; isTwoPhase: boolean; messages: readonly Buffer[] },
  context: number,
): void {
  total.failed++;
  const file = writeFinding(folder, what, { ...report, context: contexts[context]! });
  console.log(`found: ${what}\n  ${file}`);
}

/** What the worker was at when it stood still. */
function standing(current: SharedArrayBuffer): { context: number; messages: Buffer[] } {
  const view = new DataView(current);
  const bytes = Buffer.from(current);
  const messages: Buffer[] = [];
  let at = 8;
  for (let left = view.getUint32(4); left > 0; left--) {
    const length = view.getUint32(at);
    messages.push(Buffer.from(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return { context: view.getUint32(0), messages };
}

/** One worker, to the end of the time or to the first input that does not come back. */
function work(job: Job): Promise<void> {
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: job });
  const beats = new Int32Array(job.progress);
  return new Promise((done, fail) => {
    let last = -1;
    let since = Date.now();
    const watch = setInterval(() => {
      const now = Atomics.load(beats, 0);
      if (now !== last) [last, since] = [now, Date.now()];
      // Before the first one, it reads the seeds.
      if (now === 0 || Date.now() - since < HANG_MS) return;
      const { context, messages } = standing(job.current);
      const kind = messages.length > 1 ? 'sequence' : 'message';
      found(`no end within ${HANG_MS} ms`, { kind, isTwoPhase: false, messages }, context);
      total.runs += now;
      clearInterval(watch);
      void worker.terminate().then(() => done());
    }, 250);
    worker.on('message', (report: Report) => {
      if (report.type === 'finding') {
        const messages = report.input.messages.map((message) => Buffer.from(message));
        return found(report.what, { ...report.input, messages }, report.context);
      }
      total.runs += report.runs;
      total.sequences += report.sequences;
      total.signatures += report.signatures;
      total.corpus += report.corpus;
    });
    worker.once('error', (error) => {
      clearInterval(watch);
      fail(error);
    });
    worker.once('exit', () => {
      clearInterval(watch);
      done();
    });
  });
}

console.log(`Node ${process.version}, seed ${seed}, ${seconds} s`);
for (let round = 0; round === 0 || (Date.now() < untilMs && total.failed < 5); round++) {
  const progress = new SharedArrayBuffer(4);
  await work({ root, seed: seed + round, untilMs, progress, current: new SharedArrayBuffer(INPUT_BYTES) });
}
console.log(
  `${total.runs} inputs, ${Math.round(total.runs / seconds)} a second, ${total.sequences} of them whole streams; ` +
    `${total.signatures} ways through the code, ${total.corpus} inputs in the corpus`,
);
console.log(`${total.runs - total.failed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
