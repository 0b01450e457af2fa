import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { blocksOf, BLOCKS, PAGES, type CodeBlock } from '../support/documentation.js';
import { packageRoot } from './package-root.js';

const PACKAGE_ROOT = packageRoot();
const MANIFEST = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));

/** What `nest new` of Nest 12 writes into tsconfig.json; `strict` is what it asks for. */
const NEST_FLAGS = {
  ...JSON.parse(readFileSync(join(PACKAGE_ROOT, 'test/fixtures/nest-compiler-options.json'), 'utf8')),
  strictPropertyInitialization: false,
};

const TYPESCRIPT = BLOCKS.filter(({ language }) => language === 'ts');
/** Folders of this run: one that was killed leaves its own behind, for ever. */
const made: string[] = [];

/** @returns what the compiler says, with the place of each block for its name */
function compile(blocks: readonly CodeBlock[], strict: boolean): string[] {
  mkdirSync(join(PACKAGE_ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(PACKAGE_ROOT, 'build/documentation-'));
  made.push(folder);
  try {
    // What one block declares for a package, no other may see.
    const declaring = blocks.filter(({ code }) => code.includes('declare module'));
    const rest = blocks.filter((block) => !declaring.includes(block));
    return [rest, ...declaring.map((block) => [block])].flatMap((group) => compileGroup(folder, group, strict));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compileGroup(folder: string, blocks: readonly CodeBlock[], strict: boolean): string[] {
  if (blocks.length === 0) return [];
  const files = blocks.map(({ page, line, code }) => {
    const file = `${page.replaceAll(/\W/g, '_')}_line_${line}.ts`;
    writeFileSync(join(folder, file), code);
    return file;
  });
  const options = { ...NEST_FLAGS, strict, types: ['node'], outDir: './out', rootDir: '.' };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files }));
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  return status === 0 ? [] : stdout.trim().split('\n');
}

/** What an entry point exports. Each has a list of names, written by hand. */
function namesOf(entry: string): string[] {
  const source = readFileSync(join(PACKAGE_ROOT, entry), 'utf8');
  return [...source.matchAll(/\{([^}]*)\}/g)]
    .flatMap(([, names]) => names!.split(','))
    .map((name) => name.replace(/^\s*(type )?/, '').trim())
    .filter((name) => name !== '');
}

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );
}

describe('the documentation', () => {
  it.each([true, false])(
    "has code blocks that compile with Nest 12's default flags, strict: %s",
    (strict) => {
      expect(TYPESCRIPT.length).toBeGreaterThan(8);
      expect(compile(TYPESCRIPT, strict)).toEqual([]);
    },
    120_000,
  );

  it('says of every code block which language it is in, but for what stands in a terminal or a drawing', () => {
    const known = new Set(['ts', 'js', 'json', 'sh', 'sql', 'text', '']);
    const fences = PAGES.flatMap(({ text }) => text.match(/^ *```/gm) ?? []);
    expect(fences).toHaveLength(2 * BLOCKS.length);
    expect(BLOCKS.filter(({ language }) => !known.has(language))).toEqual([]);
    // Vitest is not among our packages: test/smoke/vitest.mjs compiles what is said of it.
    const others = BLOCKS.filter(
      ({ language, code }) => language !== 'ts' && !code.includes("declare module 'vitest'"),
    );
    const suspicious = others.filter(({ code }) => /^(import|export) .*;$/m.test(code));
    expect(suspicious).toEqual([]);
  });

  it('has links that lead somewhere', () => {
    const broken = PAGES.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]!)
        .filter((target) => !/^https?:/.test(target))
        .filter((target) => {
          const [file, anchor] = target.split('#') as [string, string?];
          const led = file === '' ? join(PACKAGE_ROOT, path) : resolve(PACKAGE_ROOT, dirname(path), file);
          return !existsSync(led) || (anchor !== undefined && !anchorsOf(led).includes(anchor));
        })
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('names tests that exist where it says what is promised', () => {
    const { text } = PAGES.find(({ path }) => path === 'docs/delivery.md')!;
    const section = text.slice(text.indexOf('## What is promised'), text.indexOf('## Not guaranteed'));
    const named = [...section.matchAll(/`(test\/[^`]+)`: _([^_]+)_/g)].map(
      ([, file, title]) => [file!, title!] as const,
    );
    expect(named.length).toBeGreaterThan(30);
    expect(section.match(/^\| /gm)).toHaveLength(named.length + 2);
    const missing = named.filter(
      ([file, title]) =>
        !readFileSync(join(PACKAGE_ROOT, file), 'utf8').includes(title.replaceAll("'", "\\'")) &&
        !readFileSync(join(PACKAGE_ROOT, file), 'utf8').includes(title),
    );
    expect(missing).toEqual([]);
  });

  it('names everything that the package exports, and each error with its code', () => {
    const { text } = PAGES.find(({ path }) => path === 'docs/api.md')!;
    const missing = Object.values(MANIFEST.exports as Record<string, { types?: string }>)
      .flatMap(({ types }) =>
        types === undefined ? [] : namesOf(types.replace('dist', 'lib').replace('.d.ts', '.ts')),
      )
      .filter((name) => !text.includes(`\`${name}\``) && !text.includes(`\`${name}(`) && !text.includes(`\`${name}<`));
    expect(missing).toEqual([]);
    const sources = readdirSync(join(PACKAGE_ROOT, 'lib/errors'))
      .map((name) => readFileSync(join(PACKAGE_ROOT, 'lib/errors', name), 'utf8'))
      .join('');
    const errors = [...sources.matchAll(/export class (\w+Error) extends[^}]*?code = '(\w+)'/g)]
      .filter(([, name]) => text.includes(`\`${name}\``))
      .filter(([, name, code]) => !new RegExp(`\\| \`${name}\` +\\| \`${code}\``).test(text));
    expect(errors.map(([, name]) => name)).toEqual([]);
    expect(namesOf('lib/index.ts').length).toBeGreaterThan(100);
  });

  it('has a README that is read in three minutes', () => {
    const prose = PAGES[0]!.text.replace(/^```[^]*?^```$/gm, '');
    expect(prose.split(/\s+/).length).toBeLessThan(720);
  });
});

describe('this spec', () => {
  it('sees what does not compile', () => {
    const missingType = `import { InsertChange, OnTableChange } from 'nestjs-pg-listener';
      export class A { @OnTableChange('orders', 'insert') a(change: InsertChange) {} }`;
    const block = { page: 'x.md', line: 1, language: 'ts', code: missingType };
    expect(compile([block], true)).toEqual([expect.stringContaining('TS1272')]);
    expect(blocksOf({ path: 'x.md', text: 'a\n\n```ts\nb;\n```\n' })).toEqual([
      { page: 'x.md', line: 3, language: 'ts', code: 'b;\n' },
    ]);
  });
});

afterAll(() => {
  expect(made.filter((folder) => existsSync(folder))).toEqual([]);
});
