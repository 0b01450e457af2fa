import { sleep } from '../support/wait.js';
import type { Child } from './child-process.js';
import type { Behaviour } from './subjects.js';
import type { World } from './world.js';

/** One run of a fault: the world that it is done to, and for how long. */
export interface Run {
  readonly world: World;
  /** The time is up, and the fault has been done. */
  readonly isOver: () => boolean;
  readonly isTimeUp: () => boolean;
  /** The fault has been done once more. */
  readonly hit: () => void;
}

export interface Fault {
  readonly name: string;
  /** What is done, for people. */
  readonly what: string;
  /** Server version from which on it can be done. */
  readonly from?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Before the first process is started. */
  readonly prepare?: (world: World) => Promise<void>;
  readonly behaviour?: Behaviour;
  /** Does it, again and again, until the time is over. The workload runs, and one process streams. */
  readonly inject: (run: Run) => Promise<void>;
  /** After the workload has stopped: nothing hinders any more, and a process streams. */
  readonly heal?: (world: World) => Promise<void>;
  readonly mayMiss?: (handler: string, name: string) => boolean;
  readonly isParking?: boolean;
  readonly mayHaveLost?: boolean;
  /** Gaps that the application has reported: what lies in them need not be seen. */
  readonly hasGaps?: boolean;
}

/** Whatever its slot is called: not everybody who is put through this can be given one. */
export const WALSENDER = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_type = 'logical' AND active`;

export async function every(
  { isOver, world }: Run,
  least: number,
  most: number,
  act: () => Promise<unknown>,
): Promise<void> {
  // Once in any case, however short the time is.
  for (let times = 0; times === 0 || !isOver(); times++) {
    await sleep(world.random.between(least, most));
    if (times === 0 || !isOver()) await act();
  }
}

export const only = (world: World): Child => world.children[0]!;

/** A server that is started again takes connections when it is ready. */
export async function restart(world: World, mode: 'fast' | 'immediate'): Promise<void> {
  await world.server.pause(mode);
  await sleep(world.random.below(300));
  await world.server.start();
}

export async function replace(world: World, child: Child, behaviour: Behaviour = {}): Promise<void> {
  await child.exited;
  world.forget(child);
  await world.launch(behaviour);
}
