import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { packageRoot } from './package-root.js';

const PACKAGE_ROOT = packageRoot();

/** What `nest new` of Nest 12 writes into tsconfig.json; `strict` is what it asks for. */
const NEST_FLAGS = {
  ...JSON.parse(readFileSync(join(PACKAGE_ROOT, 'test/fixtures/nest-compiler-options.json'), 'utf8')),
  strictPropertyInitialization: false,
};

interface Page {
  /** From the root of the package. */
  readonly path: string;
  readonly text: string;
}

interface CodeBlock {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

const PAGES = pagesIn('.', ['README.md', 'CHANGELOG.md']).concat(
  pagesIn('docs'),
  pagesIn('docs/decisions'),
  samplePages(),
);
const BLOCKS = PAGES.flatMap(blocksOf);
const TYPESCRIPT = BLOCKS.filter(({ language }) => language === 'ts');
/** Folders of this run: one that was killed leaves its own behind, for ever. */
const made: string[] = [];

function pagesIn(folder: string, names?: readonly string[]): Page[] {
  const files = names ?? readdirSync(join(PACKAGE_ROOT, folder)).filter((name) => name.endsWith('.md'));
  return files.map((name) => {
    const path = join(folder, name);
    return { path, text: readFileSync(join(PACKAGE_ROOT, path), 'utf8') };
  });
}

function samplePages(): Page[] {
  const folders = readdirSync(join(PACKAGE_ROOT, 'sample'), { withFileTypes: true }).filter((each) =>
    each.isDirectory(),
  );
  return ['sample', ...folders.map(({ name }) => `sample/${name}`)].flatMap((folder) => pagesIn(folder));
}

function blocksOf({ path, text }: Page): CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map((match) => ({
    page: path,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1]!,
    code: match[2]!,
  }));
}

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
    const known = new Set(['ts', 'js', 'sh', 'sql', 'text', '']);
    expect(BLOCKS.filter(({ language }) => !known.has(language))).toEqual([]);
    const suspicious = BLOCKS.filter(({ language, code }) => language !== 'ts' && /^(import|export) .*;$/m.test(code));
    expect(suspicious).toEqual([]);
  });

  it('has links that lead somewhere', () => {
    const broken = PAGES.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]!)
        .filter((target) => !/^(https?:|#)/.test(target))
        .filter((target) => !existsSync(resolve(PACKAGE_ROOT, dirname(path), target.split('#')[0]!)))
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
