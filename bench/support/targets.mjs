import { pairedRatio } from './statistics.mjs';

const MEGABYTE = 1e6;

/** What must be reached, in one run. `value` gives undefined where the run has not measured it. */
const TARGETS = [
  ...rates('narrow', [
    ['ours, sync', 'wire limit', 0.95],
    ['ours, sync', 'pg_recvlogical', 1.7],
    ['ours, sync', 'pg-logical-replication', 2.3],
    ['ours, sync', 'pg-logical-replication, fastest', 1.0],
    ['ours, sync', 'postgres', 1.8],
    ['ours, sync', 'pgwire', 1.2],
    ['ours, async', 'ours, sync', 0.85],
  ]),
  ...rates('single', [['ours, sync', 'wire limit', 0.9]]),
  ...rates('wide', [['ours, sync', 'wire limit', 0.92]]),
  {
    title: 'mixed: ours, sync to the best peer',
    atLeast: 1.5,
    value: ({ mixed }) => mixed && toBest(mixed, 'changesPerSecond', Math.max),
  },
  {
    title: 'narrow: µs of CPU a row',
    atMost: 2.3,
    value: ({ narrow }) => narrow?.['ours, sync'].cpuMicroseconds,
  },
  {
    title: "narrow: CPU to the best peer's",
    atMost: 0.6,
    value: ({ narrow }) => narrow && toBest(narrow, 'cpuMicroseconds', Math.min),
  },
  latency('p50', 1.1, 0),
  latency('p99', 1.25, 0.3),
  ...['tls', 'unix'].map((transport) => ({
    title: `${transport}: ours, sync to pg-logical-replication, fastest`,
    atLeast: 1.1,
    value: ({ transports }) =>
      transports && ratio(transports[transport], 'ours, sync', 'pg-logical-replication, fastest'),
  })),
  ...['drain', 'transaction'].flatMap((what) =>
    ['ours, sync', 'ours, async'].map((name) => ({
      title: `memory growth in MB, ${what}: ${name}`,
      atMost: 100,
      value: ({ memory }) => memory && memory[what][name].memoryGrowth / MEGABYTE,
    })),
  ),
];

const PEERS = ['pg-logical-replication', 'pg-logical-replication, fastest', 'postgres', 'pgwire'];

/** @returns each target that the run has measured, with what was reached */
export function checkTargets(sections) {
  return TARGETS.map(({ title, atLeast, atMost, value }) => {
    const reached = value(sections);
    const limit = typeof atMost === 'function' ? atMost(sections) : (atMost ?? atLeast);
    return {
      title,
      bound: atLeast === undefined ? 'at most' : 'at least',
      limit,
      reached,
      isMet: atLeast === undefined ? reached <= limit : reached >= limit,
    };
  }).filter(({ reached }) => reached !== undefined);
}

function rates(section, pairs) {
  return pairs.map(([ours, theirs, atLeast]) => ({
    title: `${section}: ${ours} to ${theirs}`,
    atLeast,
    value: (sections) => sections[section] && ratio(sections[section], ours, theirs),
  }));
}

function ratio(figures, ours, theirs) {
  if (figures[theirs] === undefined) return undefined;
  return pairedRatio(each(figures[ours], 'changesPerSecond'), each(figures[theirs], 'changesPerSecond'));
}

/** To the best of each round. */
function toBest(figures, key, pick) {
  const ours = each(figures['ours, sync'], key);
  const best = ours.map((_, round) => pick(...PEERS.map((name) => figures[name].runs[round][key])));
  return pairedRatio(ours, best);
}

function each({ runs }, key) {
  return runs.map((run) => run[key]);
}

/** To the best of all, at the paced load. */
function latency(key, factor, more) {
  const best = (paced) => Math.min(...Object.values(paced).map((figures) => figures[key]));
  return {
    title: `latency at 500 commits/s, ${key} in ms`,
    atMost: ({ latency }) => latency && Math.max(best(latency.paced) * factor, best(latency.paced) + more),
    value: ({ latency }) => latency?.paced['ours, sync'][key],
  };
}
