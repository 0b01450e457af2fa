import { parseLsn } from '#lib/protocol/lsn.js';
import { isDoneWithin } from '../support/wait.js';
import type { Fault } from './fault.js';
import type { FaultResult } from './report.js';
import type { WrittenTransaction } from './truth.js';
import type { Subject } from './subjects.js';
import { World } from './world.js';

const WRITERS = 3;
const LONGEST_HEAL_MS = 180_000;
/** Beyond its time: the last one may have to wait for processes and servers. */
const LONGEST_FAULT_MS = 180_000;
/** For a fault to be done once, when its time is over. */
const LONGEST_WAIT_MS = 30_000;

/** One world, the fault done to it for some seconds, and what has become of every change. */
export async function runFault(
  fault: Fault,
  seed: number,
  seconds: number,
  subject: Subject,
): Promise<FaultResult & { readonly outputs: string }> {
  const world = await World.open(seed, fault.settings, subject);
  let hits = 0;
  try {
    await fault.prepare?.(world);
    await world.start(fault.behaviour);
    world.workload.start(WRITERS);
    const end = Date.now() + seconds * 1_000;
    const isTimeUp = (): boolean => Date.now() >= end;
    // Once in any case: a process that was to be frozen may not have been there in time.
    const isDone = (): boolean => hits > 0 || fault.name === 'none' || Date.now() >= end + LONGEST_WAIT_MS;
    const run = { world, isOver: () => isTimeUp() && isDone(), isTimeUp, hit: () => void hits++ };
    await within(fault.inject(run), 'the fault', seconds * 1_000 + LONGEST_FAULT_MS);
    await within(world.workload.stop(), 'the writers');
    await within(fault.heal?.(world) ?? Promise.resolve(), 'healing');
    const mayMiss = fault.mayMiss ?? (() => false);
    const isInGap = await gapsOf(world, fault);
    await world.settle({ mayMiss, isInGap });
    const isConfirmed = subject.isOurs !== true || (await world.confirmed());
    const verdict = await world.verdict({
      mayMiss,
      isInGap,
      isParking: fault.isParking === true,
      mayHaveLost: fault.mayHaveLost === true,
    });
    const crashes = [...world.crashes];
    return { name: fault.name, what: fault.what, hits, verdict, isConfirmed, crashes, outputs: world.outputs };
  } catch (error) {
    throw new Error(`It could not be done; children said:\n${world.outputs}`, { cause: error });
  } finally {
    await world.close();
  }
}

async function within(promise: Promise<unknown>, what: string, ms = LONGEST_HEAL_MS): Promise<void> {
  if (!(await isDoneWithin(promise, ms))) throw new Error(`${what}: not done after ${ms} ms`);
}

/**
 * Whether a commit may be missing: it lies where the fault took something away, and the application has reported a gap
 * there. Neither is enough: a report could cover anything.
 */
async function gapsOf(world: World, fault: Fault): Promise<(transaction: WrittenTransaction) => boolean> {
  if (fault.hasGaps !== true) return () => false;
  const rows = await world.sql<{ from: string | null; to: string | null }>(
    'SELECT from_lsn::text AS "from", to_lsn::text AS "to" FROM nestjs_pg_listener.gaps',
  );
  const gaps = rows.map(({ from, to }) => ({
    from: from === null ? 0n : parseLsn(from),
    to: to === null ? 2n ** 64n : parseLsn(to),
  }));
  const isReported = ({ after, before }: WrittenTransaction): boolean =>
    gaps.some(({ from, to }) => after <= to && (before === null || before >= from));
  return (transaction) => isReported(transaction) && world.excused.some((isExcused) => isExcused(transaction));
}
