import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../unit/package-root.js';

export interface Page {
  /** From the root of the package. */
  readonly path: string;
  readonly text: string;
}

export interface CodeBlock {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

/** Everything that a user reads. */
export const PAGES: readonly Page[] = [
  ...pagesIn('.', ['README.md', 'CHANGELOG.md']),
  ...pagesIn('docs'),
  ...pagesIn('docs/decisions'),
  ...samplePages(),
];
export const BLOCKS: readonly CodeBlock[] = PAGES.flatMap(blocksOf);

function pagesIn(folder: string, names?: readonly string[]): Page[] {
  const files = names ?? readdirSync(join(packageRoot(), folder)).filter((name) => name.endsWith('.md'));
  return files.map((name) => {
    const path = join(folder, name);
    return { path, text: readFileSync(join(packageRoot(), path), 'utf8') };
  });
}

function samplePages(): Page[] {
  const folders = readdirSync(join(packageRoot(), 'sample'), { withFileTypes: true }).filter((each) =>
    each.isDirectory(),
  );
  return ['sample', ...folders.map(({ name }) => `sample/${name}`)].flatMap((folder) => pagesIn(folder));
}

/** Those of lists are indented. */
export function blocksOf({ path, text }: Page): CodeBlock[] {
  return [...text.matchAll(/^ *```(\w*)\n([^]*?)^ *```$/gm)].map((match) => ({
    page: path,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1]!,
    code: match[2]!,
  }));
}
