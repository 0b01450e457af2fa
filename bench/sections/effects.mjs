import { Backlog } from '../support/backlog.mjs';
import { query } from '../support/cluster.mjs';
import { drain } from '../support/run-consumer.mjs';
import { median, rotated } from '../support/statistics.mjs';

/** One write for each change is far slower than reading: the backlogs are smaller. Arrays get more, to last as long. */
const SHARES = { single: 0.02, lanes: 0.02, batched: 0.2 };

/** Handlers that write a row for each change: what `transactional` costs beside a pool of the handler's own. */
export async function measureEffects(cluster, { changes, rounds, log }) {
  const figures = {};
  for (const [kind, share] of Object.entries(SHARES)) {
    Object.assign(figures, await inTurn(cluster, kind, Math.ceil(changes * share), { rounds, log }));
  }
  return figures;
}

async function inTurn(cluster, kind, changes, { rounds, log }) {
  log(`effects, ${kind}: writing ${changes} changes`);
  const backlog = await Backlog.create(cluster, 'narrow', changes);
  const who = [`${kind}, a pool of its own`, `${kind}, transactional`];
  const rates = Object.fromEntries(who.map((name) => [name, []]));
  try {
    await query(backlog.url, 'CREATE TABLE booked (id int)');
    for (let round = 1; round <= rounds; round++) {
      for (const name of rotated(who, round)) {
        const { changesPerSecond } = await drain(backlog, name);
        await checkBooked(backlog, name);
        rates[name].push(changesPerSecond);
        log(`${round}/${rounds} ${name}: ${Math.round(changesPerSecond)} changes/s`);
      }
    }
  } finally {
    await backlog.drop();
  }
  return Object.fromEntries(
    who.map((name) => [name, { changesPerSecond: median(rates[name]), changes, runs: rates[name] }]),
  );
}

async function checkBooked({ url, changes }, name) {
  const [{ all, different }] = await query(
    url,
    'SELECT count(*)::int AS all, count(DISTINCT id)::int AS different FROM booked',
  );
  if (all !== changes || different !== changes)
    throw new Error(`${name} booked ${all} rows, ${different} different ones, of ${changes}`);
  await query(url, 'TRUNCATE booked');
}
