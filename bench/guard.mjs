import { startCluster } from './support/cluster.mjs';
import { measureDecode } from './sections/decode.mjs';

/**
 * What must hold on every machine: bytes allocated for a row, and CPU in relation to a decoder that others have written,
 * in the same run. Bounds are what was measured, with a fifth more for bytes and twice as much for CPU, of which
 * the best lap counts: what else a machine does adds to it, and not to all alike.
 */
const BOUNDS = {
  'ours, decoded': { bytes: 185, ratio: 0.7 },
  'ours, delivered': { bytes: 430, ratio: 1.6 },
  'ours, delivered to an async handler': { bytes: 740, ratio: 2 },
  // A handler without enhancers is its plain method.
  'ours, delivered through nothing, by Nest': { bytes: 430, ratio: 1.6 },
  'ours, delivered in 8 lanes': { bytes: 2200, ratio: 5 },
};
const BASELINE = 'pg-logical-replication';
const ROUNDS = 3;

const cluster = await startCluster();
let figures;
try {
  figures = await measureDecode(cluster, {
    rounds: ROUNDS,
    log: console.log,
    decoders: [...Object.keys(BOUNDS), BASELINE],
  });
} finally {
  await cluster.stop();
}
let failed = 0;
for (const [name, bounds] of Object.entries(BOUNDS)) {
  const { bytes, best } = figures[name];
  const ratio = best / figures[BASELINE].best;
  failed += check(`${name}: bytes a row`, bytes, bounds.bytes);
  failed += check(`${name}: CPU to ${BASELINE}`, ratio, bounds.ratio);
}
console.log(`${Object.keys(BOUNDS).length * 2 - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function check(what, value, most) {
  // Nothing is decoded for nothing: less than a tenth is a measurement that has gone wrong.
  const isGood = value <= most && value > most / 10;
  console.log(`${isGood ? 'ok' : 'NOT OK'} - ${what}: ${value.toFixed(2)} (at most ${most})`);
  return isGood ? 0 : 1;
}
