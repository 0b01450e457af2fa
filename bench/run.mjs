import { availableParallelism, cpus, totalmem } from 'node:os';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startCluster } from './support/cluster.mjs';
import { checkTargets } from './support/targets.mjs';
import { printReport, writeReport } from './support/report.mjs';
import { measureDecode } from './sections/decode.mjs';
import { measureDrain, measureTransports } from './sections/drain.mjs';
import { measureEffects } from './sections/effects.mjs';
import { measureLatency } from './sections/latency.mjs';
import { measureMemory } from './sections/memory.mjs';

const HELP = `npm run bench -- [options]
  --only LIST      sections, with commas: decode, narrow, single, wide, mixed, transports, latency, effects, memory
  --changes N      in a drain (default 1000000)
  --large N        rows of the one large transaction (default 5000000)
  --rounds N       each has every consumer once (default 5)
  --seconds N      of latency in each round (default 10)
  --json FILE      writes the figures
  --write          writes them into bench/README.md, with a chart
`;

const SECTIONS = {
  decode: (cluster, options) => measureDecode(cluster, options),
  narrow: (cluster, options) => measureDrain(cluster, 'narrow', options),
  single: (cluster, options) => measureDrain(cluster, 'single', options),
  wide: (cluster, options) => measureDrain(cluster, 'wide', options),
  mixed: (cluster, options) => measureDrain(cluster, 'mixed', options),
  transports: (cluster, options) => measureTransports(cluster, options),
  latency: (cluster, options) => measureLatency(cluster, options),
  effects: (cluster, options) => measureEffects(cluster, options),
  memory: (cluster, options) => measureMemory(cluster, options),
};

const options = read(process.argv.slice(2));
// Ended by hand: what is to be removed at the exit is removed.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
if (options === null) console.log(HELP);
else await main(options);

async function main({ only, json, write, ...sizes }) {
  const startedAt = performance.now();
  const log = (text) => console.log(`${elapsed(startedAt)} ${text}`);
  const cluster = await startCluster();
  const results = { machine: machineOf(cluster), sizes, sections: {} };
  try {
    for (const name of only) {
      log(`--- ${name}`);
      results.sections[name] = await SECTIONS[name](cluster, { ...sizes, log });
      // After each: an hour of figures must not be lost with the last of them.
      save(json, results);
    }
  } finally {
    await cluster.stop();
  }
  results.targets = checkTargets(results.sections);
  log('done');
  printReport(results);
  save(json, results);
  if (write) writeReport(results);
}

function save(file, results) {
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

function read(args) {
  const number = { type: 'string' };
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      changes: number,
      large: number,
      rounds: number,
      seconds: number,
      json: { type: 'string' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return null;
  const only = values.only?.split(',') ?? Object.keys(SECTIONS);
  const unknown = only.filter((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown.length > 0) throw new Error(`No such section: ${unknown.join(', ')}\n${HELP}`);
  // Figures that are compared belong to one run; those of effects are compared with each other alone.
  const isWhole = only.length === Object.keys(SECTIONS).length || only.join() === 'effects';
  if (values.write && !isWhole) throw new Error('--write takes all sections in one run, or effects alone');
  return {
    only,
    json: values.json,
    write: values.write ?? false,
    changes: whole(values.changes, 1_000_000, '--changes'),
    large: whole(values.large, 5_000_000, '--large'),
    rounds: whole(values.rounds, 5, '--rounds'),
    seconds: whole(values.seconds, 10, '--seconds'),
  };
}

function whole(text, otherwise, name) {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} takes a whole number above 0, not "${text}"`);
  return value;
}

function machineOf({ version }) {
  return {
    date: new Date().toISOString().slice(0, 10),
    postgres: version,
    node: process.versions.node,
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

function elapsed(startedAt) {
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  return `[${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}]`;
}
