import { readFileSync } from 'node:fs';

/** What a fresh application consists of: the options and majors that `nest new` writes (@nestjs/schematics 11.1, 12.0). */

const options = JSON.parse(readFileSync(new URL('../fixtures/nest-compiler-options.json', import.meta.url), 'utf8'));
const COMPILER_OPTIONS = { ...options, sourceMap: true, outDir: './dist', incremental: true };

const SHARED = { 'reflect-metadata': '^0.2.2', rxjs: '^7.8.1' };

export const NEST_12 = {
  title: 'Nest 12, ES modules, TypeScript 6',
  packageJson: {
    type: 'module',
    dependencies: { ...SHARED, '@nestjs/common': '12', '@nestjs/config': '12', '@nestjs/core': '12' },
    devDependencies: { '@types/node': '24', typescript: '6' },
  },
  // The template's own `types` also name its test runner, which is not installed here.
  compilerOptions: {
    ...COMPILER_OPTIONS,
    rootDir: './src',
    strict: true,
    strictPropertyInitialization: false,
    types: ['node'],
  },
};

export const NEST_11 = {
  title: 'Nest 11, CommonJS, TypeScript 5',
  packageJson: {
    dependencies: { ...SHARED, '@nestjs/common': '11', '@nestjs/config': '4', '@nestjs/core': '11' },
    devDependencies: { '@types/node': '24', typescript: '5' },
  },
  compilerOptions: {
    ...COMPILER_OPTIONS,
    baseUrl: './',
    strictNullChecks: true,
    forceConsistentCasingInFileNames: true,
    noImplicitAny: false,
    strictBindCallApply: false,
    noFallthroughCasesInSwitch: false,
  },
  /** Applications that older templates have written; there, types of subpaths are found through `typesVersions` only. */
  olderOptions: (
    '--module commonjs --moduleResolution node10 --resolvePackageJsonExports null ' +
    '--outDir dist-commonjs --incremental false'
  ).split(' '),
};
