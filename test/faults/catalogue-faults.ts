import { withClient } from '../support/database.js';
import { startStandby, type StandbyServer } from '../support/standby.js';
import { sleep, waitFor } from '../support/wait.js';
import type { Child } from './child-process.js';
import { every, only, WALSENDER, type Fault, type Run } from './fault.js';
import { SLOT, type World } from './world.js';

/** Handlers may be behind. */
const LONGEST_GAP_MS = 120_000;

/** Each does something, whatever was done before. Old names and types come back: what handlers read is always there. */
const DDL: readonly string[] = [
  `ALTER TABLE x DROP COLUMN IF EXISTS extra; ALTER TABLE x ADD COLUMN extra text DEFAULT 'x'`,
  'ALTER TABLE x DROP COLUMN IF EXISTS extra; ALTER TABLE x ADD COLUMN extra int DEFAULT 7',
  'ALTER TABLE x ADD COLUMN IF NOT EXISTS extra int; ALTER TABLE x DROP COLUMN extra',
  'ALTER TABLE x ADD COLUMN IF NOT EXISTS extra int; ALTER TABLE x RENAME COLUMN extra TO other; ALTER TABLE x DROP COLUMN other',
  'ALTER TABLE x ALTER COLUMN version TYPE bigint USING version + 0; ALTER TABLE x ALTER COLUMN version TYPE int',
  'ALTER TABLE x ALTER COLUMN version TYPE bigint',
  WALSENDER,
];

/** What happens to tables and publications, and to the database as a whole. */
export const CATALOGUE_FAULTS: readonly Fault[] = [
  {
    name: 'publication-dropped',
    what: 'the publication is dropped and created again; the gap is acknowledged',
    from: 17,
    hasGaps: true,
    behaviour: { publications: ['mine'] },
    prepare: async (world) => void (await world.sql('CREATE PUBLICATION mine FOR TABLE items, docs, bulk')),
    inject: (run) =>
      every(run, 800, 1_500, async () => {
        const { world } = run;
        // Whoever acknowledges gives up what was not confirmed by then, too: the slot is moved past all of it.
        const from = await world.slotPosition();
        let to: bigint | null = null;
        world.excused.push(({ after, before }) => (to === null || after <= to) && (before === null || before >= from));
        await world.sql('DROP PUBLICATION mine');
        await sleep(world.random.between(100, 500));
        await world.sql('CREATE PUBLICATION mine FOR TABLE items, docs, bulk');
        run.hit();
        await passes(world, await world.logEnd());
        // It has gone on from the end of the log, at the latest.
        to = await world.logEnd();
      }),
  },
  {
    name: 'options-changed',
    what: 'each process asks for other publications, of which all have the same tables in another cut',
    behaviour: { publications: ['whole'] },
    prepare: async (world) =>
      void (await world.sql(`CREATE PUBLICATION whole FOR TABLE items, docs, bulk;
        CREATE PUBLICATION left_half FOR TABLE items, tokens; CREATE PUBLICATION right_half FOR TABLE docs, bulk`)),
    inject: (run) => {
      let isWhole = true;
      return every(run, 700, 1_500, async () => {
        await run.world.kill(only(run.world));
        isWhole = !isWhole;
        await run.world.start({ publications: isWhole ? ['whole'] : ['left_half', 'right_half'] });
        run.hit();
      });
    },
  },
  {
    name: 'ddl',
    what: 'columns are added, dropped and retyped meanwhile, one is renamed, and the walsender is killed',
    inject: (run) =>
      every(run, 100, 400, async () => {
        const { world } = run;
        const table = world.random.pick(['items', 'docs', 'bulk']);
        await world.sql(world.random.pick(DDL).replaceAll('TABLE x', `TABLE ${table}`));
        run.hit();
      }),
  },
  {
    name: 'promotion',
    what: 'the primary dies, a standby that was behind is promoted, and the address is moved to it',
    from: 17,
    hasGaps: true,
    mayHaveLost: true,
    behaviour: { isFailover: true },
    inject: promoteOnce,
    heal: acknowledge,
  },
];

/** Until the application has confirmed a position of the log; acknowledges what it says of what is missing before. */
async function passes(world: World, position: bigint): Promise<void> {
  await waitFor(
    async () => {
      const child = only(world);
      if (child.state === 'halted') await acknowledgeNow(world, child);
      return world.hasConfirmed(position);
    },
    'the application to pass the gap',
    LONGEST_GAP_MS,
  );
}

/** Waits until the application says that something is missing, or goes on; acknowledges what it says. */
async function acknowledge(world: World): Promise<void> {
  const deadline = Date.now() + 15_000;
  let quietSince = Date.now();
  while (Date.now() < deadline && Date.now() - quietSince < 1_500) {
    const child = only(world);
    if (child.state === 'halted') {
      await acknowledgeNow(world, child);
      quietSince = Date.now();
    } else if (child.state !== 'streaming') quietSince = Date.now();
    await sleep(50);
  }
}

async function acknowledgeNow(world: World, child: Child): Promise<void> {
  const { length } = child.messages;
  world.tell(child, 'acknowledge');
  await waitFor(
    () => child.messages.slice(length).some(({ done }) => done === 'acknowledge'),
    'the acknowledgement',
    60_000,
  );
}

/** Writers go on for so long after a promotion. */
const PROMOTED_MS = 3_000;

async function promoteOnce({ world, isTimeUp, hit }: Run): Promise<void> {
  const standby = await startStandby(world.server, { wal_sender_timeout: '3s' });
  try {
    await synchronised(world, standby);
    await sleep(500);
    // From here on it is behind: what the database keeps, it has by now.
    const from = await world.logEnd();
    world.excused.push(({ losses, before }) => losses === 0 && (before === null || before >= from));
    await standby.server.pause('fast');
    while (!isTimeUp()) await sleep(50);
    world.workload.databaseLoses();
    await world.server.pause('immediate');
    // What was in hand has had its time.
    await sleep(1_000);
    world.tell(only(world), 'anew');
    await standby.server.start();
    await standby.promote();
    const primary = world.server;
    world.server = standby.server;
    world.address.port = String(standby.server.port);
    world.proxy.cut();
    hit();
    world.atClose(async () => {
      await primary.stop('immediate');
      await standby.stop();
    });
    await acknowledge(world);
    // The new history has to be delivered as the old one was.
    await sleep(PROMOTED_MS);
  } catch (error) {
    await standby.stop();
    throw error;
  }
}

async function synchronised(world: World, standby: StandbyServer): Promise<void> {
  await waitFor(
    async () => {
      await world.sql('SELECT pg_log_standby_snapshot()');
      await sleep(100);
      const slot = `SELECT FROM pg_replication_slots WHERE slot_name = '${SLOT}' AND synced AND NOT temporary`;
      return withClient(standby.server.url, async (client) => (await client.query(slot)).rowCount === 1);
    },
    'the standby to have the slot',
    60_000,
  );
}
