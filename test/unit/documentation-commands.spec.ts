import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, Script } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { BLOCKS, type CodeBlock } from '../support/documentation.js';
import { runCommand } from '../support/command-line.js';
import { commandsOf } from '../support/shell-words.js';
import { packageRoot } from './package-root.js';

const ROOT = packageRoot();
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** Nobody listens there. */
const NOWHERE = 'postgresql://app@127.0.0.1:1/shop';
const NOT_DONE = 1;

const of = (language: string): CodeBlock[] => BLOCKS.filter((block) => block.language === language);
const COMMANDS = of('sh').flatMap(({ page, line, code }) =>
  commandsOf(code).map((words) => ({ place: `${page}:${line}`, words })),
);

/** What stands in the way of a command, in words; undefined: nothing. */
async function faultOf(words: readonly string[]): Promise<string | undefined> {
  const [program, ...rest] = words.filter((word) => !/^[A-Z_]+=/.test(word));
  switch (program) {
    case 'npm':
      return faultOfNpm(rest);
    case 'npx':
      return faultOfNpx(rest);
    case 'node':
      return existsSync(join(ROOT, rest[0]!.replace(/^build\//, '').replace(/js$/, 'ts')))
        ? undefined
        : 'no such sample';
    case 'psql':
      return URL.canParse(rest[0]!) ? undefined : 'no address';
    case 'curl':
      return faultOfCurl(rest);
    default:
      return 'nobody knows how to try it';
  }
}

/** The program itself reads the words: it gets as far as the server, which is not there. */
async function faultOfNpx([program, ...words]: readonly string[]): Promise<string | undefined> {
  if (program !== MANIFEST.name) return `there is no ${program}`;
  const named = words.map((word) => word.replace('$DATABASE_URL', NOWHERE).replace(/^postgresql:.*/, NOWHERE));
  if (!named.includes(NOWHERE)) return 'no address';
  const { code, output } = await runCommand(named);
  return code === NOT_DONE && output.includes('127.0.0.1:1') ? undefined : `exit code ${code}: ${output}`;
}

function faultOfNpm([command, ...words]: readonly string[]): string | undefined {
  if (command === 'ci') return undefined;
  if (command === 'install') return faultOfPackages(words.filter((word) => !word.startsWith('-')));
  const [name, separator, ...parameters] = command === 'run' ? words : [command!];
  const script: string | undefined = MANIFEST.scripts[name!];
  if (script === undefined) return `there is no script ${name}`;
  if (separator === undefined) return undefined;
  if (separator !== '--') return 'npm keeps these words to itself';
  return faultOfParameters(script, parameters);
}

function faultOfPackages(names: readonly string[]): string | undefined {
  const known = new Set([MANIFEST.name, ...Object.keys({ ...MANIFEST.devDependencies, ...MANIFEST.peerDependencies })]);
  const unknown = names.filter((name) => !known.has(name));
  return unknown.length === 0 ? undefined : `nothing here is tested with ${unknown.join(', ')}`;
}

/** Patterns must find a spec; options must be among those that the program asks `parseArgs` for. */
function faultOfParameters(script: string, parameters: readonly string[]): string | undefined {
  if (/jest|matrix/.test(script)) {
    const specs = filesIn('test').filter((path) => path.endsWith('spec.ts'));
    const patterns = parameters.filter((word) => !/^\d+$/.test(word));
    const lost = patterns.filter((pattern) => !specs.some((path) => path.includes(pattern)));
    return lost.length === 0 ? undefined : `no spec matches ${lost.join(', ')}`;
  }
  const source = readFileSync(join(ROOT, /build\/(\S+)\.js/.exec(script)![1]! + '.ts'), 'utf8');
  const unknown = parameters
    .filter((word) => word.startsWith('--'))
    .map((word) => word.slice(2))
    .filter((option) => !new RegExp(`[ {]'?${option}'?: \\{ type:`).test(source));
  return unknown.length === 0 ? undefined : `it has no ${unknown.join(', ')}`;
}

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
}

/** The samples' tests send those of each README; here are those that no sample answers. */
function faultOfCurl(words: readonly string[]): string | undefined {
  const url = words.find((word) => word.startsWith('http'));
  if (url === undefined) return 'no address';
  const { hostname, port } = new URL(url);
  const isOfSample = filesIn('sample')
    .filter((path) => path.endsWith('.ts'))
    .some((path) => new RegExp(`\\b${port}\\b`).test(readFileSync(join(ROOT, 'sample', path), 'utf8')));
  return hostname === '127.0.0.1' && isOfSample ? undefined : 'no sample listens there';
}

describe('what the documentation says to type', () => {
  it.each(COMMANDS.map(({ place, words }) => [place, words.join(' '), words] as const))(
    'exists: %s: %s',
    async (_place, _text, words) => {
      expect(await faultOf(words)).toBeUndefined();
    },
  );

  it('is told from what does not', async () => {
    expect(COMMANDS.length).toBeGreaterThan(40);
    const faults = [
      'npm run tset',
      'npm install left-pad',
      'npm run test:faults -- --sceonds 5',
      'npm run test:faults --seconds 5',
      'npm run test:compiled -- no-such-spec',
      'npx nestjs-pg-listener tail "$DATABASE_URL" --tabel orders',
      'npx nestjs-pg-listener doctor "$DATABASE_URL" --with magic',
      'npx pg-listener doctor "$DATABASE_URL"',
      'node build/sample/nothing/main.js',
      'curl http://127.0.0.1:9999/',
      'psql shop orders',
      'make',
    ];
    const told = await Promise.all(faults.map((text) => faultOf(commandsOf(text)[0]!)));
    expect(faults.filter((_, index) => told[index] === undefined)).toEqual([]);
    expect(commandsOf(`a 'b c' && d "e f" # g\n\n# h\ni \\\n  j`)).toEqual([
      ['a', 'b c'],
      ['d', 'e f'],
      ['i', 'j'],
    ]);
  });
});

describe('what the documentation says to write', () => {
  it('of JavaScript runs, and of JSON is some', () => {
    expect(of('js').length).toBeGreaterThan(0);
    for (const { code } of of('js')) {
      const module = { exports: {} };
      new Script(code).runInContext(createContext({ module }));
      expect(module.exports).not.toEqual({});
    }
    for (const { code } of of('json')) JSON.parse(code);
  });

  /** Each page, with the spec that holds its text against what a program says. */
  const TEXTS: Record<string, string> = {
    'docs/troubleshooting.md': 'e2e/failure-catalogue.e2e-spec.ts',
    'docs/command-line.md': 'e2e/documentation.e2e-spec.ts',
    'docs/testing.md': 'smoke/vitest.mjs',
  };

  it('of what programs say is held against it by a spec that names the page', () => {
    const pages = [...new Set(of('text').map(({ page }) => page))];
    const unproven = pages.filter((page) => {
      const spec = join(ROOT, 'test', TEXTS[page] ?? 'none');
      return !existsSync(spec) || !readFileSync(spec, 'utf8').includes(page.split('/')[1]!);
    });
    expect(unproven).toEqual([]);
  });
});
