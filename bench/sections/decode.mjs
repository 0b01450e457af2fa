import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Backlog } from '../support/backlog.mjs';
import { record } from '../support/recording.mjs';
import { median } from '../support/statistics.mjs';

export const DECODERS = [
  'ours, decoded',
  'ours, delivered',
  'ours, delivered to an async handler',
  'ours, delivered in 8 lanes',
  'pg-logical-replication',
  'pgwire',
];
/** One collection of the young generation would hide what was allocated. */
const NOTHING_IS_COLLECTED = ['--expose-gc', '--min-semi-space-size=512', '--max-semi-space-size=512'];
const ROWS = 100_000;

/** From bytes that were recorded once to rows: no server, no socket. */
export async function measureDecode(cluster, { rounds, log, rows = ROWS }) {
  const backlog = await Backlog.create(cluster, 'narrow', rows);
  const directory = mkdtempSync(join(tmpdir(), 'pg-listener-bench-'));
  try {
    const file = join(directory, 'recording');
    writeFileSync(file, await record(backlog));
    return await inTurn(file, rows, { rounds, log });
  } finally {
    rmSync(directory, { recursive: true, force: true });
    await backlog.drop();
  }
}

async function inTurn(file, rows, { rounds, log }) {
  const figures = Object.fromEntries(DECODERS.map((name) => [name, { microseconds: [], bytes: 0 }]));
  for (const name of DECODERS) figures[name].bytes = (await run(name, file, 'bytes', rows)).bytes;
  for (let round = 1; round <= rounds; round++) {
    for (const name of DECODERS) {
      const { microseconds } = await run(name, file, 'time', rows);
      figures[name].microseconds.push(microseconds);
      log(
        `${round}/${rounds} ${name}: ${microseconds.toFixed(3)} µs of CPU and ${figures[name].bytes.toFixed(0)} bytes a row`,
      );
    }
  }
  return Object.fromEntries(
    DECODERS.map((name) => {
      const { microseconds, bytes } = figures[name];
      const typical = median(microseconds);
      return [name, { microseconds: typical, best: Math.min(...microseconds), bytes, rowsPerSecond: 1e6 / typical }];
    }),
  );
}

async function run(name, file, what, rows) {
  const child = fork(new URL('../consumers/decode-child.mjs', import.meta.url), [name, file, what, String(rows)], {
    execArgv: what === 'bytes' ? NOTHING_IS_COLLECTED : [],
  });
  let figures;
  child.once('message', (message) => (figures = message));
  const [code] = await once(child, 'exit');
  if (code !== 0 || figures === undefined) throw new Error(`${name} ended with code ${code}`);
  return figures;
}
