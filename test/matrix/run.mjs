/**
 * Runs the tests that talk to a server on every major version of PostgreSQL, one after another.
 *
 *     npm run test:matrix                       all versions
 *     npm run test:matrix -- 14 17              these versions
 *     npm run test:matrix -- 14 row-changes     this version, the specs whose path matches
 *
 * One line for each version; the last line is `N passed, N failed`, over all of them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedRun } from '../support/supervised-run.mjs';
import { installServers, serverOf, VERSIONS } from './servers.mjs';

const root = resolve(fileURLToPath(new URL('.', import.meta.url)), '../..');

/** Where versions differ: what the server says, sends and refuses. */
const SPECS = [
  'integration/(?!parked-store.volume|oracles/wal2json)',
  'e2e/(cli/|documentation|metrics|testing-rec|delivery|faults|streams-and-messages|tls-and-scram|failure-catalogue|gaps|slot-owner|slot-record|take-over|parking\\.|policies|batches|effects|columns|row-images|binary|streaming\\.|two-phase|types-|schema|postgres-cases)',
];

function readArguments(parameters) {
  const majors = parameters.filter((parameter) => /^\d+$/.test(parameter));
  const unknown = majors.filter((major) => !VERSIONS.includes(major));
  if (unknown.length > 0) throw new Error(`There is no PostgreSQL ${unknown} here, only ${VERSIONS.join(', ')}`);
  const patterns = parameters.filter((parameter) => !majors.includes(parameter));
  return {
    majors: majors.length > 0 ? VERSIONS.filter((major) => majors.includes(major)) : VERSIONS,
    patterns: patterns.length > 0 ? patterns : SPECS,
  };
}

async function testVersion(run, major, patterns) {
  const begin = Date.now();
  const { native, version } = serverOf(major);
  const report = join(run.folder, `${major}.json`);
  const options = ['--config', 'test/matrix/jest.config.js', '--ci', '--json', '--outputFile', report];
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
  const env = { PG_LISTENER_TEST_NATIVE: native, PG_LISTENER_TEST_VERSION: version };
  const ended = await run.start('node', [...jest, ...options, ...patterns], { cwd: root, env }).exit;
  const { passed, failed, skipped } = countsOf(report);
  const left = run.leftBehind();
  const sound = ended.code === 0 && passed > 0 && left.length === 0;
  const result = { passed, failed: sound ? failed : Math.max(failed, 1) };
  if (result.failed > 0) console.log(ended.output);
  if (left.length > 0) console.log(`left behind: ${left.join(', ')}`);
  const seconds = ((Date.now() - begin) / 1_000).toFixed(1);
  const note = skipped > 0 ? `, ${skipped} skipped` : '';
  console.log(`PostgreSQL ${version}: ${result.passed} passed, ${result.failed} failed${note}, ${seconds} s`);
  return result;
}

/** From Jest's own report. It writes none when the server of the run did not start. */
function countsOf(report) {
  if (!existsSync(report)) return { passed: 0, failed: 0, skipped: 0 };
  const counts = JSON.parse(readFileSync(report, 'utf8'));
  return {
    passed: counts.numPassedTests,
    failed: counts.numFailedTests + counts.numRuntimeErrorTestSuites,
    skipped: counts.numPendingTests + counts.numTodoTests,
  };
}

async function main() {
  const { majors, patterns } = readArguments(process.argv.slice(2));
  if (`${process.platform}-${process.arch}` !== 'linux-x64') {
    throw new Error(`The matrix has servers for linux-x64 only, this is ${process.platform}-${process.arch}`);
  }
  const run = new SupervisedRun('pg-listener-matrix');
  const total = { passed: 0, failed: 0 };
  try {
    await installServers(run, majors);
    await run.run('npm', ['run', '--silent', 'build:test'], { cwd: root });
    for (const major of majors) {
      const { passed, failed } = await testVersion(run, major, patterns);
      total.passed += passed;
      total.failed += failed;
    }
  } finally {
    await run.close();
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
