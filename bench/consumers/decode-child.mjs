import { readFileSync } from 'node:fs';
import { DECODERS } from './decoders.mjs';
import { median } from '../support/statistics.mjs';

/**
 * Decodes a recording over and over, without a server. `time`: the median of the laps, after a warm-up. `bytes`: what one
 * lap allocates; the young generation is so large then that nothing is collected meanwhile.
 */
const [name, file, what, rows] = process.argv.slice(2);
const LAPS = 12;
const WARM_UP = 4;

const recording = readFileSync(file);
const decode = await DECODERS[name](recording);
const laps = [];
for (let lap = 0; lap < (what === 'time' ? WARM_UP + LAPS : WARM_UP); lap++) {
  const cpu = process.cpuUsage();
  check(await decode());
  const { user, system } = process.cpuUsage(cpu);
  if (lap >= WARM_UP) laps.push(user + system);
}
if (what === 'time') {
  process.send({ microseconds: median(laps) / Number(rows), best: Math.min(...laps) / Number(rows) });
} else {
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  check(await decode());
  const after = process.memoryUsage().heapUsed;
  process.send({ bytes: (after - before) / Number(rows) });
}
process.disconnect();

function check({ count }) {
  if (count !== Number(rows)) throw new Error(`${name} decoded ${count} of ${rows} rows`);
}
