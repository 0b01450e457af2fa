import { isDoneWithin, sleep, waitFor } from '../support/wait.js';
import { every, only, replace, type Fault } from './fault.js';

const LONGEST_SHUTDOWN_MS = 30_000;

const killed: Fault['inject'] = (run) =>
  every(run, 700, 2_000, async () => {
    await run.world.kill(only(run.world));
    run.hit();
    await run.world.start();
  });

/** What happens to processes of the application. */
export const PROCESS_FAULTS: readonly Fault[] = [
  {
    name: 'client-killed',
    what: 'the process is killed (SIGKILL), and another one started',
    inject: killed,
  },
  {
    name: 'busy-client-killed',
    what: 'the same, while a handler is behind: it waits for 10 ms once in 20 changes',
    behaviour: { slow: { ms: 10, every: 20 } },
    inject: killed,
  },
  {
    name: 'commit-unconfirmed',
    what: 'the process dies right after a handler’s COMMIT, before anything is confirmed',
    behaviour: { dieAfterCommits: 40 },
    inject: async ({ world, isOver, hit }) => {
      while (!isOver()) {
        const child = only(world);
        await Promise.race([child.exited, sleep(1_000)]);
        if (child.process.exitCode === null && child.process.signalCode === null) continue;
        hit();
        await replace(world, child, { dieAfterCommits: world.random.between(1, 80) });
      }
    },
    heal: async (world) => {
      await world.kill(only(world));
      await world.start();
    },
  },
  {
    name: 'two-processes',
    what: 'of two processes, the one that streams is killed (SIGKILL), and another one started',
    inject: async (run) => {
      await run.world.start();
      await every(run, 1_000, 2_000, async () => {
        const { streaming } = run.world;
        if (streaming === undefined) return;
        await run.world.kill(streaming);
        run.hit();
        await run.world.start();
      });
    },
  },
  {
    name: 'rolling-restart',
    what: 'as a deploy does it: a new process stands by, the old one is stopped',
    inject: (run) =>
      every(run, 500, 1_500, async () => {
        const old = only(run.world);
        await run.world.start();
        await run.world.stop(old);
        run.hit();
      }),
  },
  {
    name: 'frozen-holder',
    what: 'the process that streams is frozen (SIGSTOP), another one takes over, and the first one wakes',
    inject: async ({ world, isOver, hit }) => {
      await world.start();
      while (!isOver()) {
        await sleep(world.random.between(300, 900));
        const holder = world.streaming;
        if (holder === undefined) continue;
        holder.process.kill('SIGSTOP');
        try {
          await waitFor(
            () => world.children.some((child) => child !== holder && child.state === 'streaming'),
            'the other one',
            60_000,
          );
          hit();
          await sleep(world.random.between(100, 600));
        } finally {
          holder.process.kill('SIGCONT');
        }
        await waitFor(() => holder.state !== 'streaming', 'the one that woke to stand by', 60_000);
      }
    },
  },
  {
    name: 'blocked-shutdown',
    what: 'a handler blocks for ever, and the server is stopped fast: it must stop',
    behaviour: { blockAt: 60 },
    inject: async ({ world, isOver, hit }) => {
      while (!isOver()) {
        const child = only(world);
        await waitFor(
          () => child.messages.some(({ blocked }) => blocked === true) || isOver(),
          'the handler to block',
          30_000,
        );
        if (!child.messages.some(({ blocked }) => blocked === true)) continue;
        const isDown = world.server.pause('fast');
        if (!(await isDoneWithin(isDown, LONGEST_SHUTDOWN_MS))) {
          await world.kill(child);
          await isDown;
          await world.server.start();
          throw new Error(`The server was not down after ${LONGEST_SHUTDOWN_MS} ms`);
        }
        hit();
        await world.server.start();
        await world.kill(child);
        await world.start({ blockAt: world.random.between(20, 100) });
      }
    },
    heal: async (world) => {
      await world.kill(only(world));
      await world.start();
    },
  },
];
