/**
 * Packs the package as npm would publish it, installs the tarball into fresh applications of both Nest majors, and runs
 * the README's code there on a real PostgreSQL. Ends with `N passed, N failed`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedRun } from '../support/supervised-run.mjs';
import { Checks } from './checks.mjs';
import { checkGuideInJest } from './commonjs-jest.mjs';
import { checkGuideInVitest } from './vitest.mjs';
import { checkNestApplications } from './nest-applications.mjs';
import { checkOptionalPeers } from './optional-peers.mjs';
import { checkWithOrms, checkWithoutOrms } from './orm-adapters.mjs';
import { modulesOf } from './readme.mjs';
import { checkContents, checkLoading, readManifest } from './tarball-checks.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function pack(run, name) {
  const text = await run.run('npm', ['pack', '--json', '--silent', '--pack-destination', run.folder], { cwd: root });
  const packed = JSON.parse(text);
  const { filename, files } = packed[0] ?? packed[name];
  return { tarball: join(run.folder, filename), paths: files.map((file) => file.path) };
}

async function main(checks, run) {
  const manifest = readManifest(root);
  const { tarball, paths } = await pack(run, manifest.name);
  await checkContents(checks, paths, manifest);
  // Packing has built it.
  const { startPostgres } = await import('../../dist/testing/index.js');
  const modules = modulesOf(readFileSync(join(root, 'README.md'), 'utf8'));
  const applications = await checkNestApplications(checks, run, { tarball, modules, startPostgres });
  const [application] = applications;
  await checkLoading(checks, application, manifest.name);
  await checkWithoutOrms(checks, application, manifest.name);
  await checkOptionalPeers(checks, applications, manifest.name);
  const orms = ['typeorm', 'drizzle-orm'].map((each) => `${each}@${manifest.devDependencies[each]}`);
  for (const each of applications) await checkWithOrms(checks, each, { orms, startPostgres });
  await checkGuideInJest(checks, run, { tarball, root });
  await checkGuideInVitest(checks, run, { tarball, root });
  await checks.check('no data of a server are left', () => {
    if (run.leftBehind().length > 0) throw new Error(run.leftBehind().join(', '));
  });
}

const checks = new Checks();
const run = new SupervisedRun('pg-listener-smoke');
// Servers that this process starts keep their data there too.
process.env['TMPDIR'] = run.folder;
try {
  await main(checks, run);
} catch (error) {
  checks.failed++;
  console.log(error.message);
} finally {
  await run.close();
}
process.exitCode = checks.summarise();
