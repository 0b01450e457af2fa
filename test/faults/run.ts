import { writeFileSync } from 'node:fs';
import { inspect, parseArgs } from 'node:util';
import type { Verdict } from './evidence.js';
import type { Fault } from './fault.js';
import { FAULTS } from './faults.js';
import { WAYS } from './handlers.js';
import { runLedger, type LedgerResult } from './ledger.js';
import { runFault } from './run-fault.js';
import { failuresOf, tableOf, writeGuide, type FaultResult } from './report.js';
import { OURS, oursWith, type Subject } from './subjects.js';
import { World } from './world.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string' },
    fault: { type: 'string', multiple: true },
    transfers: { type: 'string', default: '10000' },
    kills: { type: 'string', default: '50' },
    with: { type: 'string', multiple: true },
    'at-once': { type: 'string', default: '1' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const HELP = `npm run test:faults -- [options]

  --seconds N     of load and faults for each fault (5)
  --seed N        of what is written and when a fault is done; printed, and random without it
  --fault NAME    only this one; may be given several times
  --with WAY      streaming, binary: how the stream comes; may be given several times
  --transfers N   of the ledger (10000)
  --kills N       of the ledger (50)
  --at-once N     faults, each with a server and processes of its own (1)
  --json FILE     writes the figures
  --write         writes the figures into docs/faults.md

Faults: ${[...FAULTS.map(({ name }) => name), 'ledger'].join(', ')}
`;

const say = (text: string): void => console.log(text);

async function main(): Promise<void> {
  if (values.help) return say(HELP);
  const seed = whole('seed', Math.floor(Math.random() * 2 ** 31));
  const seconds = whole('seconds');
  const atOnce = whole('at-once');
  const names = wantedNames();
  // Ended by hand: what is to be removed at the exit is removed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const version = await World.version();
  say(`PostgreSQL ${version}, Node ${process.version}, seed ${seed}, ${seconds} s for each fault`);
  const subject = subjectOf(version);
  const results = new Map<string, FaultResult>();
  const wanted = [...FAULTS.entries()].filter(([, fault]) => names.includes(fault.name) && isPossible(fault, version));
  // Each is taken once, by whoever is free.
  const turns = wanted.values();
  const broken: string[] = [];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const [index, fault] of turns) {
        const result = await faultResult(fault, seed + index, seconds, subject);
        if (result === null) broken.push(fault.name);
        else results.set(fault.name, result);
      }
    }),
  );
  const ledger = names.includes('ledger') ? await ledgerResult(seed) : null;
  if (names.includes('ledger') && ledger === null) broken.push('ledger');
  const ordered = FAULTS.flatMap(({ name }) => results.get(name) ?? []);
  say(`\n${tableOf(ordered)}`);
  const report = { version, seed, seconds, results: ordered, ledger, broken };
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2));
  if (values.write) writeGuide(report);
  if (broken.length > 0) say(`could not be done: ${broken.join(', ')}`);
  const wrong = ordered.filter((result) => failuresOf(result).length > 0).length;
  const failed = broken.length + wrong + (ledger?.isRight === false ? 1 : 0);
  const run = wanted.length + (names.includes('ledger') ? 1 : 0);
  say(`${run - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function wantedNames(): string[] {
  const names = values.fault ?? [...FAULTS.map(({ name }) => name), 'ledger'];
  const unknown = names.filter((name) => name !== 'ledger' && !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0) throw new Error(`No fault is called ${unknown.join(', ')}\n\n${HELP}`);
  return names;
}

function subjectOf(version: string): Subject {
  const ways = values.with ?? [];
  const known = WAYS.filter((way) => ways.includes(way));
  const unknown = ways.filter((way) => !known.some((each) => each === way));
  if (unknown.length > 0) throw new Error(`A stream does not come by ${unknown.join(', ')}\n\n${HELP}`);
  if (known.length === 0) return OURS;
  if (values.write) throw new Error('The figures of docs/faults.md are those of a stream as it comes without options');
  say(`with ${known.join(' and ')}`);
  return oursWith(known, Number.parseInt(version, 10));
}

function isPossible({ name, from = 0 }: Fault, version: string): boolean {
  if (Number.parseInt(version, 10) >= from) return true;
  say(`${name}: left out, it needs PostgreSQL ${from}`);
  return false;
}

/** @returns null where it could not be done */
async function faultResult(fault: Fault, seed: number, seconds: number, subject: Subject): Promise<FaultResult | null> {
  const began = Date.now();
  try {
    const result = await runFault(fault, seed, seconds, subject);
    const failures = failuresOf(result);
    if (failures.length > 0) say(result.outputs);
    say(`${lineOf(result)}  (${Math.round((Date.now() - began) / 1000)} s)`);
    for (const failure of failures) say(`  !!! ${failure}`);
    for (const example of failures.length > 0 ? result.verdict.examples : []) say(`      ${example}`);
    return result;
  } catch (error) {
    say(`${fault.name}: ${(error as Error).message}\n${inspect(error)}`);
    return null;
  }
}

/** @returns null where it could not be done */
async function ledgerResult(seed: number): Promise<LedgerResult | null> {
  try {
    return await runLedger({ seed, transfers: whole('transfers'), kills: whole('kills'), say });
  } catch (error) {
    say(`ledger: ${inspect(error)}`);
    return null;
  }
}

function whole(name: 'seed' | 'seconds' | 'at-once' | 'transfers' | 'kills', otherwise?: number): number {
  const text = values[name];
  if (text === undefined && otherwise !== undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a whole number above 0, not "${text}"`);
  return value;
}

function lineOf({ name, hits, verdict }: FaultResult): string {
  const counts = (Object.keys(verdict) as (keyof Verdict)[])
    .filter((key) => key !== 'examples' && verdict[key] !== 0)
    .map((key) => `${key} ${String(verdict[key])}`);
  return `${name.padEnd(20)} hits ${hits}, ${counts.join(', ')}`;
}

await main();
