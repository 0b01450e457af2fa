import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { packageRoot } from './package-root.js';

export interface SourceImport {
  /** As it is written. */
  readonly specifier: string;
  /** `import type` or `export type`: gone after compilation. */
  readonly isType: boolean;
}

/** One file of `lib`. */
export interface SourceFile {
  /** From `lib` on, with forward slashes. */
  readonly path: string;
  /** The folder in `lib`; empty for a root file. */
  readonly folder: string;
  readonly text: string;
  /** Without comments: these may mention what code may not do. */
  readonly code: string;
  readonly imports: readonly SourceImport[];
}

export function sourceFiles(): SourceFile[] {
  const lib = join(packageRoot(), 'lib');
  return readdirSync(lib, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.c?ts$/.test(entry.name))
    .map((entry) => relative(lib, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(lib, path), 'utf8')));
}

export function sourceFile(path: string, text: string): SourceFile {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^(.*?[^:'"`])??\/\/ .*$/gm, '$1');
  return { path, folder: dirname(path) === '.' ? '' : path.split('/')[0]!, text, code, imports: importsOf(code) };
}

function importsOf(code: string): SourceImport[] {
  const statement = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^;'"]*?\sfrom\s+)?'([^']+)'/gm;
  const dynamic = /\b(?:import|require|require\.resolve)\(\s*'([^']+)'/g;
  return [
    ...[...code.matchAll(statement)].map(([, type, specifier]) => ({
      specifier: specifier!,
      isType: type !== undefined,
    })),
    ...[...code.matchAll(dynamic)].map(([, specifier]) => ({ specifier: specifier!, isType: false })),
  ];
}

/** The file of `lib` that an import means; undefined where it means another package. */
export function targetOf(file: SourceFile, { specifier }: SourceImport): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(file.path), specifier)).replace(/\.(c?)js$/, '.$1ts');
}

/** `await` outside of every async function. A top-level statement begins at the start of a line, as prettier has it. */
export function topLevelAwaits(code: string): string[] {
  const statements = code.split(/^(?=[A-Za-z@{[(])/m);
  return statements.filter((statement) => {
    const at = statement.search(/\bawait\b/);
    return at >= 0 && !/\basync\b/.test(statement.slice(0, at));
  });
}

/** The first cycle in a graph, as the path around it. */
export function findCycle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return [];
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle.length > 0) return cycle;
    }
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
