import { sleep } from '../support/wait.js';
import { every, restart, WALSENDER, type Fault } from './fault.js';

/** What happens to the server, and to the path to it. */
export const SERVER_FAULTS: readonly Fault[] = [
  {
    name: 'none',
    what: 'nothing: writers and handlers only',
    inject: async (run) => every(run, 50, 100, async () => undefined),
  },
  {
    name: 'walsender-killed',
    what: 'the walsender is ended with pg_terminate_backend',
    inject: (run) =>
      every(run, 200, 900, async () => {
        if ((await run.world.sql(WALSENDER)).length > 0) run.hit();
      }),
  },
  {
    name: 'server-fast',
    what: 'the server is stopped fast, and started again',
    inject: (run) => every(run, 800, 1_800, () => restart(run.world, 'fast').then(run.hit)),
  },
  {
    name: 'server-immediate',
    what: 'the server is stopped as in a crash, and started again',
    inject: (run) => every(run, 800, 1_800, () => restart(run.world, 'immediate').then(run.hit)),
  },
  {
    name: 'path-cut',
    what: 'every connection is cut at once',
    inject: (run) =>
      every(run, 200, 900, async () => {
        run.world.proxy.cut();
        run.hit();
      }),
  },
  {
    name: 'path-frozen',
    what: 'the path goes dark for half a second to four and a half, of which the server waits for three; then it is cut',
    inject: (run) =>
      every(run, 500, 1_000, async () => {
        run.world.proxy.freeze();
        run.hit();
        await sleep(run.world.random.between(500, 4_500));
        run.world.proxy.cut();
      }),
    heal: async ({ proxy }) => proxy.cut(),
  },
  {
    name: 'path-slow',
    what: '60 kB a second from the server on each connection',
    inject: async (run) => {
      run.world.proxy.slow(60_000);
      run.hit();
      await every(run, 100, 200, async () => undefined);
    },
    heal: async ({ proxy }) => proxy.slow(null),
  },
];
