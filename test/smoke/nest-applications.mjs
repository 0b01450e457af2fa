/** The README's modules in fresh applications, on a real server: compiled, started, heard, ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEADLINE_MS, FreshApplication, query } from './fresh-application.mjs';
import { NEST_11, NEST_12 } from './templates.mjs';

/** Everything that is checked in one application, in a database server of its own: slot names are the cluster's. */
async function checkApplication(checks, application, server) {
  const { title } = application.template;
  const urls = { DATABASE_URL: server.urlOf('shop'), BILLING_URL: server.urlOf('billing') };
  await query(server.url, 'CREATE DATABASE shop');
  await query(server.url, 'CREATE DATABASE billing');
  for (const url of Object.values(urls)) await query(url, 'CREATE TABLE orders (id int PRIMARY KEY, status text)');
  const compiled = await checks.check(`${title}: the README's blocks and the testing types compile`, () =>
    application.compile(),
  );
  if (!compiled) return;
  await checks.check(`${title}: the first handler hears an insert and an update, and ends with code 0`, () =>
    firstHandler(application, urls, 'dist/main.js', 1),
  );
  await checks.check(`${title}: two databases, options from ConfigService, observables`, () =>
    liveFeed(application, urls),
  );
  if (application.template === NEST_11) await checkCommonJs(checks, application, urls);
  await checks.check(`${title}: no connection and no active slot are left`, async () => {
    // The processes are gone; a backend of theirs may notice it, or finish its own end, a moment later.
    for (const deadline = Date.now() + DEADLINE_MS; ; await sleep(20)) {
      const left = await query(
        server.url,
        `SELECT application_name FROM pg_stat_activity WHERE datname IN ('shop', 'billing')
         UNION ALL SELECT slot_name FROM pg_replication_slots WHERE active`,
      );
      if (left.length === 0) return;
      if (Date.now() > deadline) throw new Error(JSON.stringify(left));
    }
  });
}

async function firstHandler(application, urls, file, id) {
  await application.with(file, urls, async (running) => {
    await query(urls.DATABASE_URL, `INSERT INTO orders VALUES (${id}, 'new')`);
    await running.says(`new order ${id}`);
    await query(urls.DATABASE_URL, `UPDATE orders SET status = 'shipped' WHERE id = ${id}`);
    await running.says(`order ${id} is now shipped`);
    await running.terminate(0);
  });
}

async function liveFeed(application, urls) {
  await application.with('dist/feed.main.js', urls, async (running) => {
    await running.says('default is streaming');
    await running.says('billing is streaming');
    await query(urls.DATABASE_URL, `INSERT INTO orders VALUES (2, 'new')`);
    await running.says('feed: insert orders 2');
    // Nest's shutdown hooks close the application and then send the signal again.
    await running.terminate('SIGTERM');
  });
}

async function checkCommonJs(checks, application, urls) {
  const { title, olderOptions } = application.template;
  await checks.check(`${title}: the same with module commonjs and resolution node10`, async () => {
    await application.compile(olderOptions);
    await firstHandler(application, urls, 'dist-commonjs/main.js', 3);
  });
  await checks.check(`${title}: require() from plain JavaScript boots and fires`, async () => {
    await application.with('src/plain.cjs', urls, async (running) => {
      await query(urls.DATABASE_URL, `INSERT INTO orders VALUES (4, 'new')`);
      await running.says('plain order 4');
      await running.terminate(0);
    });
  });
}

/** @param startPostgres of the package's own `testing` */
export async function checkNestApplications(checks, run, { tarball, modules, startPostgres }) {
  const applications = [new FreshApplication(run, NEST_12, 'nest-12'), new FreshApplication(run, NEST_11, 'nest-11')];
  await Promise.all(
    applications.map(async (application) => {
      const { title } = application.template;
      const installed = await checks.check(`${title}: the tarball installs as the README says`, () =>
        application.install(tarball, modules),
      );
      if (!installed) return;
      const server = await startPostgres();
      try {
        await checkApplication(checks, application, server);
      } finally {
        await server.stop('immediate');
      }
    }),
  );
  return applications;
}
