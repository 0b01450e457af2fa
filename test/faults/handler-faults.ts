import { sleep, waitFor } from '../support/wait.js';
import { every, only, type Fault } from './fault.js';
import { isChosen } from './handlers.js';

/** Of a thousand changes. */
const FAILING = 15;

/** What handlers do. */
export const HANDLER_FAULTS: readonly Fault[] = [
  {
    name: 'slow-handler',
    what: 'a handler takes 4 s, longer than wal_sender_timeout, once in 150 changes; at the end its process is killed',
    behaviour: { slow: { ms: 4_000, every: 150 } },
    settings: { wal_sender_timeout: '2s' },
    inject: async (run) => {
      run.hit();
      await every(run, 100, 200, async () => undefined);
    },
    heal: async (world) => {
      await world.kill(only(world));
      await world.start();
    },
  },
  ...(['block', 'park', 'skip'] as const).map((policy): Fault => ({
    name: `failing-${policy}`,
    what: `handlers fail on 1.5 % of the changes, ${policy === 'block' ? 'each once' : 'for ever'}; onExhausted: '${policy}'`,
    behaviour: { failing: { perMille: FAILING, policy, isForEver: policy !== 'block' } },
    isParking: policy === 'park',
    mayMiss: (handler, name) =>
      policy === 'skip' && handler !== 'arrays' && handler !== 'whole' && isChosen(name, FAILING),
    inject: async (run) => {
      run.hit();
      await every(run, 100, 200, async () => undefined);
    },
    // What is parked is tried again by a process whose handlers do not fail. Not before it has been given what its
    // predecessor did not confirm: what is tried again first may come again after that, in the same process.
    heal: async (world) => {
      if (policy !== 'park') return;
      await world.stop(only(world));
      const mended = await world.start();
      if (!(await world.confirmed())) throw new Error('the position was not confirmed with changes that are parked');
      world.tell(mended, 'retry');
      await waitFor(() => mended.messages.find((message) => message['done'] === 'retry'), 'the retry', 60_000);
    },
  })),
  {
    name: 'failing-halt',
    what: "a handler fails; onExhausted: 'halt'; the process is replaced by one that does not",
    behaviour: { failing: { perMille: FAILING, policy: 'halt', isForEver: true } },
    inject: async ({ world, isOver, hit }) => {
      while (!isOver()) {
        await sleep(50);
        const child = only(world);
        if (child.state !== 'halted') continue;
        hit();
        await world.stop(child);
        // This one gets past it.
        await world.start();
        await sleep(700);
        await world.stop(only(world));
        await world.start({ failing: { perMille: FAILING, policy: 'halt', isForEver: true } });
      }
    },
    heal: async (world) => {
      await world.stop(only(world));
      await world.start();
    },
  },
];
