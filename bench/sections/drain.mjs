import { Backlog } from '../support/backlog.mjs';
import { findRecvlogical } from '../support/consumers.mjs';
import { drain } from '../support/run-consumer.mjs';
import { SHAPES } from '../support/shapes.mjs';
import { median, rotated } from '../support/statistics.mjs';

const OURS = ['ours, sync', 'ours, async', 'ours, observable', 'ours, concurrency 8'];
const PEERS = ['pg-logical-replication', 'pg-logical-replication, fastest', 'postgres', 'pgwire'];
const WHO = {
  narrow: [...OURS, 'wire limit', 'bare socket, not paced', 'pg_recvlogical', ...PEERS],
  single: ['ours, sync', 'ours, async', 'wire limit', 'pg_recvlogical', ...PEERS],
  wide: ['ours, sync', 'ours, async', 'wire limit', 'pg_recvlogical', ...PEERS],
  mixed: ['ours, sync', 'ours, async', 'wire limit', 'pg_recvlogical', ...PEERS],
};

/** Drains one shape: each round has every consumer once, so that all see the same machine. */
export async function measureDrain(cluster, shape, { changes, rounds, log }) {
  log(`${SHAPES[shape].title}: writing ${changes} changes`);
  const backlog = await Backlog.create(cluster, shape, changes);
  try {
    return await inTurn(backlog, present(WHO[shape], log), { rounds, log });
  } finally {
    await backlog.drop();
  }
}

/** Narrow rows over TLS and over a Unix socket. */
export async function measureTransports(cluster, { changes, rounds, log }) {
  const backlog = await Backlog.create(cluster, 'narrow', changes);
  const who = ['ours, sync', 'wire limit', 'bare socket, not paced', 'pg-logical-replication, fastest', 'pgwire'];
  try {
    const figures = {};
    for (const transport of ['tls', 'unix']) {
      figures[transport] = await inTurn(backlog, who, { rounds, log, transport });
    }
    return figures;
  } finally {
    await backlog.drop();
  }
}

async function inTurn(backlog, who, { rounds, log, transport = 'tcp' }) {
  const figures = Object.fromEntries(who.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const name of rotated(who, round)) {
      const run = await drain(backlog, name, transport);
      figures[name].push(run);
      const cpu = run.cpuMicroseconds === undefined ? '' : `, ${run.cpuMicroseconds.toFixed(2)} µs of CPU a change`;
      log(`${round}/${rounds} ${transport} ${name}: ${Math.round(run.changesPerSecond)} changes/s${cpu}`);
    }
  }
  return Object.fromEntries(who.map((name) => [name, summary(figures[name])]));
}

function summary(runs) {
  const of = (key) => median(runs.map((run) => run[key]));
  return {
    changesPerSecond: of('changesPerSecond'),
    // Not known of a program that is not ours to ask.
    ...(runs[0].cpuMicroseconds !== undefined && { cpuMicroseconds: of('cpuMicroseconds') }),
    runs: runs.map(({ changesPerSecond, cpuMicroseconds }) => ({ changesPerSecond, cpuMicroseconds })),
  };
}

function present(who, log) {
  if (findRecvlogical() !== undefined) return who;
  log('pg_recvlogical is not on this machine, and left out');
  return who.filter((name) => name !== 'pg_recvlogical');
}
