import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { LedgerResult } from './ledger.js';
import type { Verdict } from './evidence.js';

export interface FaultResult {
  readonly name: string;
  readonly what: string;
  /** How often the fault was done. */
  readonly hits: number;
  readonly verdict: Verdict;
  /** The slot has passed everything in the end. */
  readonly isConfirmed: boolean;
  /** Processes that ended by themselves. */
  readonly crashes: readonly string[];
}

export interface Report {
  readonly version: string;
  readonly seed: number;
  readonly seconds: number;
  readonly results: readonly FaultResult[];
  readonly ledger: LedgerResult | null;
  /** Of these there is no result: they broke off, or could not be done. */
  readonly broken: readonly string[];
}

const GUIDE = 'docs/faults.md';
const BEGIN = '<!-- figures: npm run test:faults -- --write -->';
const END = '<!-- end of figures -->';

const MUST_BE_NONE = [
  'lost',
  'outOfOrder',
  'torn',
  'effectsTwice',
  'confirmedAgain',
  'phantoms',
  'altered',
] as const satisfies readonly (keyof Verdict)[];

/** What must not be. */
export function failuresOf({ name, hits, verdict, isConfirmed, crashes }: FaultResult): string[] {
  const wrong = MUST_BE_NONE.filter((key) => verdict[key] !== 0).map((key) => `${key}: ${verdict[key]}`);
  if (name !== 'none' && hits === 0) wrong.push('the fault was never done');
  wrong.push(...crashes);
  if (!isConfirmed) wrong.push('the position was not confirmed to the end');
  if (verdict.commits === 0) wrong.push('nothing was committed');
  return wrong;
}

/** In Markdown. */
export function tableOf(results: readonly FaultResult[]): string {
  const head = [
    'fault',
    'times',
    'commits',
    'changes',
    'lost',
    'out of order',
    'torn',
    'effects twice',
    'came again',
    'in a reported gap',
  ];
  const rows = results.map(({ name, hits, verdict }) => [
    name,
    hits,
    verdict.commits,
    verdict.changes,
    verdict.lost,
    verdict.outOfOrder,
    verdict.torn,
    verdict.effectsTwice,
    verdict.duplicates,
    verdict.missedInGap,
  ]);
  return markdownTable(head, rows, 1);
}

/** @param words columns that are no numbers, from the left */
export function markdownTable(head: readonly string[], rows: readonly unknown[][], words: number): string {
  return [head, head.map((_, index) => (index < words ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** Puts the figures where the guide has its place for them. */
export function writeGuide(report: Report): void {
  writeIntoGuide(BEGIN, END, figures(report));
}

/** Between two marks of the guide. */
export function writeIntoGuide(begin: string, end: string, text: string): void {
  const guide = readFileSync(GUIDE, 'utf8');
  const [before, rest] = guide.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${GUIDE} has no place for the figures`);
  writeFileSync(GUIDE, `${before}${begin}\n\n${text}\n\n${end}${after}`);
}

export function figures({ version, seed, seconds, results, ledger, broken }: Report): string {
  const date = new Date().toISOString().slice(0, 10);
  const where = `PostgreSQL ${version}, Node ${process.version}, ${cpus().length} cores, ${date}`;
  const command = `\`npm run test:faults -- --seconds ${seconds} --seed ${seed}\``;
  const what = results.map((each) => `- \`${each.name}\`: ${each.what}`);
  const lines = [`${command}; ${where}.`, '', ...what, '', tableOf(results)];
  if (ledger !== null) {
    lines.push(
      '',
      `Ledger: ${ledger.transfers} transfers, the process killed ${ledger.kills} times: ${ledger.notOnce} transfers not ` +
        `applied exactly once, ${ledger.wrongBalances} wrong balances.`,
    );
  }
  // Who reads figures must not take what is not there for what is right.
  if (broken.length > 0) lines.push('', `Could not be done: ${broken.join(', ')}.`);
  return lines.join('\n');
}
