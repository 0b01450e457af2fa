/** The subpaths for ORMs: what they say without their peer, and both of them at work in one application. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { query } from './fresh-application.mjs';

const SOURCE = fileURLToPath(new URL('./orm/orm-handlers.ts', import.meta.url));

/** In an application in which neither of the ORMs is installed. */
export async function checkWithoutOrms(checks, application, name) {
  await checks.check('the drizzle subpath says what is missing, and nothing of typeorm is loaded', () => {
    writeFileSync(
      join(application.folder, 'orm.mjs'),
      `import { typeorm } from '${name}/typeorm';
       if (typeof typeorm().bind !== 'function') throw new Error('no adapter');
       const error = await import('${name}/drizzle').catch((e) => e);
       if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !error.message.includes('drizzle-orm')) throw error;`,
    );
    return application.run('node', ['orm.mjs'], 30_000);
  });
}

/** @param orms packages with versions, as ours are tested with */
export async function checkWithOrms(checks, application, { orms, startPostgres }) {
  const { title } = application.template;
  const server = await startPostgres();
  try {
    await checks.check(`${title}: typed tables and transactions of both ORMs compile, and write once`, async () => {
      await query(
        server.url,
        'CREATE TABLE orm_orders (order_id int PRIMARY KEY); CREATE TABLE orm_booked (note text PRIMARY KEY)',
      );
      await application.run('npm', ['install', '--no-audit', '--no-fund', ...orms]);
      cpSync(SOURCE, join(application.folder, 'src/orm-handlers.ts'));
      await application.compile();
      await application.with('dist/orm-handlers.js', { DATABASE_URL: server.url }, async (running) => {
        await query(server.url, 'INSERT INTO orm_orders VALUES (1)');
        await running.says('typeorm 1');
        await running.says('drizzle 1');
        await running.terminate('SIGTERM');
      });
      const rows = await query(server.url, 'SELECT note FROM orm_booked ORDER BY note');
      if (rows.map(({ note }) => note).join() !== 'drizzle 1,typeorm 1') throw new Error(JSON.stringify(rows));
    });
  } finally {
    await server.stop();
  }
}
