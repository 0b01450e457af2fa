/**
 * Writes test/fixtures/pgoutput anew: what the servers of all versions send for one workload, and what SQL says of it.
 *
 *     npm run fixtures:pgoutput             all versions
 *     npm run fixtures:pgoutput -- 14 17    these versions
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedRun } from '../support/supervised-run.mjs';
import { installServers, serverOf, VERSIONS } from './servers.mjs';

const root = resolve(fileURLToPath(new URL('.', import.meta.url)), '../..');
const named = process.argv.slice(2);
const majors = VERSIONS.filter((major) => named.length === 0 || named.includes(major));
const run = new SupervisedRun('pg-listener-fixtures');
try {
  await installServers(run, majors);
  await run.run('npm', ['run', '--silent', 'build:test'], { cwd: root });
  for (const major of majors) {
    const { native, version } = serverOf(major);
    const env = { PG_LISTENER_TEST_NATIVE: native };
    await run.run('node', ['build/test/support/oracles/capture-messages.js', 'test/fixtures/pgoutput'], {
      cwd: root,
      env,
    });
    console.log(`PostgreSQL ${version}: captured`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await run.close();
}
