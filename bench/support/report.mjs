import { readFileSync, writeFileSync } from 'node:fs';
import { barChart } from './chart.mjs';
import { SHAPES } from './shapes.mjs';
import { pairedRatio } from './statistics.mjs';

const README = new URL('../README.md', import.meta.url);
const CHART = new URL('../drain.svg', import.meta.url);

/** The targets that the run could check, on the console. */
export function printReport({ targets }) {
  for (const { title, bound, limit, reached, isMet } of targets) {
    console.log(`${isMet ? 'reached' : 'MISSED '}  ${title}: ${reached.toFixed(2)} (${bound} ${limit.toFixed(2)})`);
  }
}

/** Puts the figures into bench/README.md, between its marks, and draws the chart. */
export function writeReport(results) {
  const { narrow, effects } = results.sections;
  let text = readFileSync(README, 'utf8');
  if (effects !== undefined) text = between(text, 'effects', [machineOf(results), effectsTable(effects)]);
  if (narrow !== undefined) {
    const tables = Object.keys(TEXTS).flatMap((name) => section(name, results));
    text = between(text, 'figures', [machine(results), ...tables, targetTable(results)]);
    writeFileSync(
      CHART,
      barChart('Changes a second: narrow rows, 1,000 in a transaction', rows(narrow, 'changesPerSecond')),
    );
  }
  writeFileSync(README, text);
}

function between(text, name, paragraphs) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [before, after] = [text.indexOf(begin), text.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`bench/README.md has lost the marks ${begin} and ${end}`);
  return `${text.slice(0, before)}${begin}\n\n${paragraphs.join('\n\n')}\n\n${text.slice(after)}`;
}

const TEXTS = {
  narrow: (figures) => drainTable(SHAPES.narrow.title, figures),
  single: (figures) => drainTable(SHAPES.single.title, figures),
  wide: (figures) => drainTable(SHAPES.wide.title, figures),
  mixed: (figures) => drainTable(SHAPES.mixed.title, figures),
  transports: ({ tls, unix }) =>
    `${drainTable('narrow rows over TLS', tls)}\n\n${drainTable('narrow rows over a Unix socket', unix)}`,
  latency: ({ paced, saturated }) =>
    [latencyTable('at 500 commits a second', paced), latencyTable('two writers, as fast as they can', saturated)].join(
      '\n\n',
    ),
  decode: (figures) =>
    table(
      'Decoding and delivering without a server',
      ['', 'µs of CPU a row', 'rows a second', 'bytes allocated a row'],
      Object.entries(figures).map(([name, { microseconds, rowsPerSecond, bytes }]) => [
        name,
        microseconds.toFixed(2),
        whole(rowsPerSecond),
        whole(bytes),
      ]),
    ),
  memory: ({ drain, transaction }) =>
    table(
      'Growth of resident memory from the first row on, MB; one run each',
      ['', 'drain', 'one large transaction', 'resident at most in it', 'heap at most in it'],
      Object.keys(drain).map((name) => [
        name,
        megabytes(drain[name].memoryGrowth),
        megabytes(transaction[name].memoryGrowth),
        megabytes(transaction[name].memoryPeak),
        megabytes(transaction[name].heapPeak),
      ]),
    ),
};

function section(name, { sections }) {
  return sections[name] === undefined ? [] : [TEXTS[name](sections[name])];
}

function machine(results) {
  const { sizes } = results;
  return `${machineOf(results)} ${whole(sizes.changes)} changes in a drain, ${whole(sizes.large)} rows in the large transaction.`;
}

function machineOf({ machine: m, sizes }) {
  return (
    `Measured on ${m.date}: ${m.cores} cores (${m.processor}), ${m.memoryGiB} GiB, Node ${m.node}, PostgreSQL ${m.postgres}; ` +
    `medians of ${sizes.rounds} rounds.`
  );
}

function effectsTable(figures) {
  return table(
    'A row written for each change: changes a second',
    ['', 'changes', 'changes a second', 'of a pool of its own', 'least and most'],
    Object.entries(figures).map(([name, { changes, changesPerSecond, runs }]) => [
      name,
      whole(changes),
      whole(changesPerSecond),
      pairedRatio(runs, figures[`${name.split(',')[0]}, a pool of its own`].runs).toFixed(2),
      `${whole(Math.min(...runs))} to ${whole(Math.max(...runs))}`,
    ]),
  );
}

function drainTable(title, figures) {
  const rates = (name) => figures[name].runs.map((run) => run.changesPerSecond);
  return table(
    `Drain: ${title}`,
    ['', 'changes a second', 'of the wire limit', 'least and most', 'µs of CPU a change'],
    rows(figures, 'changesPerSecond').map(([name, rate]) => [
      name,
      whole(rate),
      pairedRatio(rates(name), rates('wire limit')).toFixed(2),
      `${whole(Math.min(...rates(name)))} to ${whole(Math.max(...rates(name)))}`,
      figures[name].cpuMicroseconds?.toFixed(2) ?? '',
    ]),
  );
}

function latencyTable(title, figures) {
  return table(
    `Latency, ${title}: milliseconds`,
    ['', 'commits a second', 'p50', 'p99', 'p99.9'],
    Object.entries(figures).map(([name, { commitsPerSecond, p50, p99, p999 }]) => [
      name,
      whole(commitsPerSecond),
      p50.toFixed(2),
      p99.toFixed(2),
      p999.toFixed(2),
    ]),
  );
}

function targetTable({ targets }) {
  return table(
    'What must be reached',
    ['', 'bound', 'reached', ''],
    targets.map(({ title, bound, limit, reached, isMet }) => [
      title,
      `${bound} ${limit.toFixed(2)}`,
      reached.toFixed(2),
      isMet ? 'yes' : '**no**',
    ]),
  );
}

function rows(figures, key) {
  return Object.entries(figures).map(([name, values]) => [name, values[key]]);
}

/** As Prettier would have it. */
function table(title, head, body) {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...body].map((cells) => cells[column].length)));
  const pad = (text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  const line = (cells) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [`### ${title}`, '', line(head), `| ${rule.join(' | ')} |`, ...body.map(line)].join('\n');
}

const whole = (value) => Math.round(value).toLocaleString('en-US');
const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
