import { writeFileSync } from 'node:fs';
import { inspect, parseArgs } from 'node:util';
import type { Verdict } from './checker.js';
import { FAULTS } from './faults.js';
import { runLedger, type LedgerResult } from './ledger.js';
import { runFault } from './run-fault.js';
import { failuresOf, tableOf, writeGuide, type FaultResult } from './report.js';
import { OURS, World } from './world.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string' },
    fault: { type: 'string', multiple: true },
    transfers: { type: 'string', default: '10000' },
    kills: { type: 'string', default: '50' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const HELP = `npm run test:faults -- [options]

  --seconds N     of load and faults for each fault (5)
  --seed N        of what is written and when a fault is done; printed, and random without it
  --fault NAME    only this one; may be given several times
  --transfers N   of the ledger (10000)
  --kills N       of the ledger (50)
  --json FILE     writes the figures
  --write         writes the figures into docs/faults.md

Faults: ${[...FAULTS.map(({ name }) => name), 'ledger'].join(', ')}
`;

const say = (text: string): void => console.log(text);

async function main(): Promise<void> {
  if (values.help) return say(HELP);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const seconds = Number(values.seconds);
  const wanted = values.fault ?? [...FAULTS.map(({ name }) => name), 'ledger'];
  const unknown = wanted.filter((name) => name !== 'ledger' && !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0) throw new Error(`No fault is called ${unknown.join(', ')}\n\n${HELP}`);
  // Ended by hand: what is to be removed at the exit is removed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const version = await World.version();
  say(`PostgreSQL ${version}, Node ${process.version}, seed ${seed}, ${seconds} s for each fault`);
  const results: FaultResult[] = [];
  let ledger: LedgerResult | null = null;
  let failed = 0;
  let passed = 0;
  for (const [index, fault] of FAULTS.entries()) {
    if (!wanted.includes(fault.name)) continue;
    if (fault.from !== undefined && Number.parseInt(version, 10) < fault.from) {
      say(`${fault.name}: left out, it needs PostgreSQL ${fault.from}`);
      continue;
    }
    const began = Date.now();
    try {
      const result = await runFault(fault, seed + index, seconds, OURS);
      const failures = failuresOf(result);
      if (failures.length > 0) say(result.outputs);
      results.push(result);
      say(`${lineOf(result)}  (${Math.round((Date.now() - began) / 1000)} s)`);
      for (const failure of failures) say(`  !!! ${failure}`);
      for (const example of failures.length > 0 ? result.verdict.examples : []) say(`      ${example}`);
      if (failures.length > 0) failed++;
      else passed++;
    } catch (error) {
      failed++;
      say(`${fault.name}: ${(error as Error).message}\n${inspect(error)}`);
    }
  }
  if (wanted.includes('ledger')) {
    ledger = await runLedger({ seed, transfers: Number(values.transfers), kills: Number(values.kills), say });
    if (ledger.isRight) passed++;
    else failed++;
  }
  say(`\n${tableOf(results)}`);
  const report = { version, seed, seconds, results, ledger };
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2));
  if (values.write) writeGuide(report);
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function lineOf({ name, hits, verdict }: FaultResult): string {
  const counts = (Object.keys(verdict) as (keyof Verdict)[])
    .filter((key) => key !== 'examples' && verdict[key] !== 0)
    .map((key) => `${key} ${String(verdict[key])}`);
  return `${name.padEnd(20)} hits ${hits}, ${counts.join(', ')}`;
}

await main();
