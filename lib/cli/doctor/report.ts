import { describeTarget } from '../../connection/connection-target.js';
import { commandText, isSecret } from '../address.js';
import type { CommandCall } from '../command.js';
import { printable, printableLines } from '../printable.js';
import type { Terminal } from '../terminal.js';
import { countText, type Finding, type Level, type Mend } from './finding.js';

const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const;
const INDENT = ' '.repeat(11);
/** Of a line, where a terminal is wider or there is none. */
const MOST_COLUMNS = 110;
/** Of the doctor, without `--json`: this report is no JSON. */
const OWN_OPTIONS = ['slot', 'publication', 'table', 'when-changed', 'old-record', 'with', 'parsers'];
/** Those that `tail` knows too. */
const TAIL_OPTIONS = ['publication', 'table'];
const BY = { superuser: 'as a superuser', owner: 'as the owner, or as a superuser' } as const;

/** What was found, in words that presume nothing, and what to type next. */
export function printReport(findings: readonly Finding[], call: CommandCall): void {
  const { terminal, target } = call;
  terminal.print(`${terminal.style('bold', printable(describeTarget(target)))}\n`);
  for (const finding of findings) printFinding(finding, terminal);
  const errors = countOf(findings, 'error');
  const warnings = countOf(findings, 'warning');
  terminal.print(`\n${countText(errors, 'error')}, ${countText(warnings, 'warning')}.`);
  terminal.print(errors > 0 ? whatNow(call, findings) : whatNext(call, findings));
}

function printFinding({ level, what, why, mend }: Finding, terminal: Terminal): void {
  const width = Math.min(terminal.columns ?? MOST_COLUMNS, MOST_COLUMNS) - INDENT.length;
  const wrapped = (text: string): string => indented(wrap(text, width));
  terminal.print(`  ${terminal.style(COLOURS[level], level.padEnd(7))}  ${wrapped(what)}`);
  if (why !== null) terminal.print(`${INDENT}${terminal.style('dim', wrapped(`Why: ${why}`))}`);
  let by: keyof typeof BY | undefined;
  for (const each of mend) {
    if ('step' in each) {
      by = undefined;
      terminal.print(`${INDENT}${wrapped(`Mend: ${each.step}`)}`);
    } else {
      if (by !== each.by) terminal.print(`${INDENT}Mend, ${BY[each.by]}:`);
      by = each.by;
      terminal.print(`${INDENT}  ${terminal.style('cyan', indented(each.sql))}`);
    }
  }
}

/** Texts of several lines stay below each other. */
function indented(text: string): string {
  return printableLines(text).replaceAll('\n', `\n${INDENT}`);
}

/** Between words; one that is longer than a line stays whole. */
export function wrap(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => wrapLine(line, width))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current].join('\n');
}

function countOf(findings: readonly Finding[], level: Level): number {
  return findings.filter((each) => each.level === level).length;
}

function whatNow(call: CommandCall, findings: readonly Finding[]): string {
  const hasSql = findings.some(({ level, mend }) => level === 'error' && mend.some(isSql));
  const shell = hasSql ? ' The statements are for psql, or any other SQL client of this database.' : '';
  return (
    `No listener can start before the errors are mended.${shell}\nThen look again${secretNote(call)}:\n\n  ` +
    commandText('doctor', call, OWN_OPTIONS)
  );
}

function whatNext(call: CommandCall, findings: readonly Finding[]): string {
  const hasTables = findings.every(({ check }) => check !== 'no-tables');
  const table = hasTables
    ? ''
    : ' First make a table:\n\n  CREATE TABLE orders (id int PRIMARY KEY, status text);\n\nThen';
  return (
    `A listener can start here.${table || ' To'} see changes as they happen${secretNote(call)}:\n\n  ` +
    `${commandText('tail', call, TAIL_OPTIONS)}\n\n` +
    'and change a row in another terminal. What an application needs: docs/getting-started.md of the package.'
  );
}

function secretNote({ url }: CommandCall): string {
  return isSecret(url) ? ' (with your password in place of PASSWORD)' : '';
}

function isSql(mend: Mend): boolean {
  return 'sql' in mend;
}
