import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Backlog } from '../support/backlog.mjs';
import { record } from '../support/recording.mjs';
import { median } from '../support/statistics.mjs';

const DECODERS = [
  'ours, decoded',
  'ours, delivered',
  'ours, delivered to an async handler',
  'ours, delivered in 8 lanes',
  'ours, delivered through a guard',
  'ours, delivered through all enhancers',
  'ours, delivered through a schema',
  'pg-logical-replication',
  'pgwire',
];
/** One collection of the young generation would hide what was allocated. */
const NOTHING_IS_COLLECTED = ['--expose-gc', '--min-semi-space-size=512', '--max-semi-space-size=512'];
const ROWS = 100_000;

/** From bytes that were recorded once to rows: no server, no socket. */
export async function measureDecode(cluster, { rounds, log, decoders = DECODERS }) {
  const backlog = await Backlog.create(cluster, 'narrow', ROWS);
  const directory = mkdtempSync(join(tmpdir(), 'pg-listener-bench-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const file = join(directory, 'recording');
    writeFileSync(file, await record(backlog));
    return await inTurn(file, decoders, { rounds, log });
  } finally {
    remove();
    process.off('exit', remove);
    await backlog.drop();
  }
}

async function inTurn(file, decoders, { rounds, log }) {
  const figures = Object.fromEntries(decoders.map((name) => [name, { typical: [], best: [], bytes: 0 }]));
  for (const name of decoders) figures[name].bytes = (await run(name, file, 'bytes')).bytes;
  for (let round = 1; round <= rounds; round++) {
    for (const name of decoders) {
      const { typical, best, bytes } = figures[name];
      const lap = await run(name, file, 'time');
      typical.push(lap.microseconds);
      best.push(lap.best);
      log(`${round}/${rounds} ${name}: ${lap.microseconds.toFixed(3)} µs of CPU and ${bytes.toFixed(0)} bytes a row`);
    }
  }
  return Object.fromEntries(
    decoders.map((name) => {
      const { typical, best, bytes } = figures[name];
      const microseconds = median(typical);
      return [name, { microseconds, best: Math.min(...best), bytes, rowsPerSecond: 1e6 / microseconds }];
    }),
  );
}

async function run(name, file, what) {
  const child = fork(new URL('../consumers/decode-child.mjs', import.meta.url), [name, file, what, String(ROWS)], {
    execArgv: what === 'bytes' ? NOTHING_IS_COLLECTED : [],
  });
  let figures;
  child.once('message', (message) => (figures = message));
  const [code] = await once(child, 'exit');
  if (code !== 0 || figures === undefined) throw new Error(`${name} ended with code ${code}`);
  return figures;
}
