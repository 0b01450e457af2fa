import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';
import { FAULTS } from '../../build/test/faults/faults.js';
import { failuresOf, markdownTable, writeIntoGuide } from '../../build/test/faults/report.js';
import { runFault } from '../../build/test/faults/run-fault.js';
import { OURS_ALONE } from '../../build/test/faults/subjects.js';
import { World } from '../../build/test/faults/world.js';
import { PUBLICATION, SUBJECTS } from './subjects.mjs';

/** What the peers can be put through: they have no take-over, no gaps, and no policies. */
const SUBSET = [
  'none',
  'walsender-killed',
  'server-fast',
  'server-immediate',
  'path-cut',
  'path-frozen',
  'client-killed',
  'busy-client-killed',
  'slow-handler',
  'failing-block',
];
const HEAD = ['fault', 'who', 'times', 'changes', 'lost', 'out of order', 'torn', 'came again', 'crashes'];
const WE = 'nestjs-pg-listener';
const BEGIN = '<!-- peers: npm run bench:faults -- --write -->';
const END = '<!-- end of peers -->';

/** In good order: what a handler has in hand may end, and what it does not take is to come again. */
const heals = { 'slow-handler': restarted, 'failing-block': restarted };

async function restarted(world) {
  await world.stop(world.children[0]);
  await world.start();
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string' },
    fault: { type: 'string', multiple: true },
    who: { type: 'string', multiple: true },
    write: { type: 'boolean', default: false },
  },
});
// Ended by hand: what is to be removed at the exit is removed.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds takes a number above 0, not "${values.seconds}"`);
const version = await World.version();
const rows = [];
console.log(`PostgreSQL ${version}, seed ${seed}, ${seconds} s for each fault`);
for (const each of FAULTS.filter(({ name }) => (values.fault ?? SUBSET).includes(name))) {
  const fault = { ...each, heal: heals[each.name] ?? each.heal };
  for (const who of values.who ?? [WE, ...Object.keys(SUBJECTS)]) {
    const row = [fault.name, who, ...(await measured(fault, who))];
    rows.push(row);
    console.log(row.join(' | '));
  }
}
console.log(`\n${table()}`);
if (values.write) write();

/** One that could not be done must not take the others' figures with it. */
async function measured(fault, who) {
  try {
    const result = await (who === WE
      ? runFault(fault, seed, seconds, OURS_ALONE)
      : runFault(ofPeer(fault, who), seed, seconds, subjectOf(who)));
    const { hits, verdict, crashes } = result;
    for (const crash of who === WE ? failuresOf(result) : crashes) console.log(`  !!! ${crash}`);
    if (who === WE && failuresOf(result).length > 0) process.exitCode = 1;
    const { changes, lost, outOfOrder, torn, duplicates } = verdict;
    return [hits, changes, lost, outOfOrder, torn, duplicates, crashes.length];
  } catch (error) {
    console.log(inspect(error));
    process.exitCode = 1;
    return HEAD.slice(2).map(() => 'could not be done');
  }
}

function subjectOf(who) {
  return {
    script: fileURLToPath(new URL('./peer-child.mjs', import.meta.url)),
    arguments: [who],
    handlers: ['serial'],
    seesWhole: false,
    stallMs: 10_000,
    longestMs: 60_000,
  };
}

/** The slot and the publication are made by hand, as the READMEs say. */
function ofPeer(fault, who) {
  return {
    ...fault,
    prepare: async (world) => {
      await world.sql(`CREATE PUBLICATION ${PUBLICATION} FOR TABLE items, docs, bulk`);
      if (SUBJECTS[who].needsSlot) await world.sql(`SELECT pg_create_logical_replication_slot('faults', 'pgoutput')`);
    },
  };
}

function table() {
  return markdownTable(HEAD, rows, 2);
}

function versions() {
  const { dependencies } = JSON.parse(readFileSync('bench/package.json', 'utf8'));
  return ['pg-logical-replication', 'postgres'].map((name) => `\`${name}\` ${dependencies[name]}`).join(', ');
}

function write() {
  const settings = Object.entries(SUBJECTS)
    .map(([who, { settings: how }]) => `- ${who}: ${how}`)
    .join('\n');
  const date = new Date().toISOString().slice(0, 10);
  const command = `\`npm run bench:faults -- --seconds ${seconds} --seed ${seed}\`; ${versions()}; PostgreSQL ${version}, Node ${process.version}, ${date}.`;
  writeIntoGuide(BEGIN, END, [command, settings, table()].join('\n\n'));
}
