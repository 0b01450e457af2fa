/**
 * Runs the specs that are about Nest itself (enhancers, scopes, the life of an application) on NestJS 11: the compiled
 * package and the compiled tests, in a folder where 11 is what `@nestjs/core` means.
 *
 *     npm run test:nest11                  these specs
 *     npm run test:nest11 -- lifecycle     the specs whose path matches
 *
 * The last line is `N passed, N failed`.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedRun } from '../support/supervised-run.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');
const modules = join(here, 'node_modules');

const SPECS = ['unit/enhancers', 'unit/events/row-schema', 'unit/testing', 'e2e/(lifecycle|boot-validation|enhancers)'];

/** Does nothing where what the lock says is installed already. */
async function install(run) {
  const installed = join(modules, '.package-lock.json');
  if (existsSync(installed) && versionsOf(installed) === versionsOf(join(here, 'package-lock.json'))) return;
  console.log('Installing what test/nest11/package.json names');
  await run.run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here });
}

/** Packages of other platforms stand in the lock only. */
function versionsOf(lock) {
  const { packages } = JSON.parse(readFileSync(lock, 'utf8'));
  return Object.entries(packages)
    .filter(([path, { optional }]) => path !== '' && !optional)
    .map(([path, { version }]) => `${path} ${version}`)
    .sort()
    .join('\n');
}

/** The package as its users have it, with its tests, and what they import. */
function layOut(folder) {
  for (const each of ['dist', 'build/test', 'test/fixtures', 'jest.config.js']) {
    mkdirSync(join(folder, each, '..'), { recursive: true });
    cpSync(join(root, each), join(folder, each), { recursive: true });
  }
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(modules, join(folder, 'node_modules'));
}

/** What the run is worth nothing without. */
function nestVersion(folder) {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/@nestjs/core/package.json'), 'utf8'));
  if (!version.startsWith('11.')) throw new Error(`@nestjs/core ${version} is not what is to be tested`);
  return version;
}

async function test(run, folder, patterns) {
  const report = join(folder, 'report.json');
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
  const ended = await run.start('node', [...jest, '--ci', '--json', '--outputFile', report, ...patterns], {
    cwd: folder,
  }).exit;
  const counts = existsSync(report)
    ? JSON.parse(readFileSync(report, 'utf8'))
    : { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 1 };
  const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites;
  const isSound = ended.code === 0 && counts.numPassedTests > 0;
  const result = { passed: counts.numPassedTests, failed: isSound ? failed : Math.max(failed, 1) };
  if (result.failed > 0) console.log(ended.output);
  return result;
}

async function main() {
  const patterns = process.argv.slice(2);
  const run = new SupervisedRun('pg-listener-nest11');
  try {
    await install(run);
    await run.run('npm', ['run', '--silent', 'build:test'], { cwd: root });
    const folder = join(run.folder, 'package');
    mkdirSync(folder);
    layOut(folder);
    const version = nestVersion(folder);
    const { passed, failed } = await test(run, folder, patterns.length > 0 ? patterns : SPECS);
    console.log(`NestJS ${version}`);
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    await run.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
