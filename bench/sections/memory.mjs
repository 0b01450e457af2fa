import { Backlog } from '../support/backlog.mjs';
import { query } from '../support/cluster.mjs';
import { drain } from '../support/run-consumer.mjs';

const WHO = ['ours, sync', 'ours, async', 'pg-logical-replication, fastest', 'postgres', 'pgwire'];

/** Resident memory that a consumer grows by, from its first row on: over a drain, and over one transaction. */
export async function measureMemory(cluster, { changes, large, log }) {
  return {
    drain: await growth(cluster, 'narrow', changes, log),
    transaction: await growth(cluster, 'large', large, log),
  };
}

async function growth(cluster, shape, changes, log) {
  log(`memory: writing ${changes} changes (${shape})`);
  const backlog = await Backlog.create(cluster, shape, changes);
  try {
    const figures = {};
    for (const name of WHO) {
      const { memoryGrowth, memoryPeak, heapPeak } = await drain(backlog, name);
      figures[name] = { memoryGrowth, memoryPeak, heapPeak };
      log(
        `memory ${shape} ${name}: grew by ${(memoryGrowth / 1e6).toFixed(0)} MB, heap at most ${(heapPeak / 1e6).toFixed(0)} MB`,
      );
    }
    return figures;
  } finally {
    await backlog.drop();
    await query(cluster.server.url, 'CHECKPOINT');
  }
}
