import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';

/** Where the application is: its script, and the folder that it was started in. */
export interface ProcessPlace {
  /** `process.argv[1]`; undefined: none, as with `node -e`. */
  readonly script: string | undefined;
  readonly cwd: string;
}

/**
 * Name of the service: that of the nearest package.json, from the folder of the script upwards, unless that is a tool
 * (lies in node_modules); then from the current folder upwards. Null where none is found. Never throws.
 */
export function serviceName(place: ProcessPlace = { script: process.argv[1], cwd: currentFolder() }): string | null {
  const script = place.script === undefined ? null : realPath(resolve(place.cwd, place.script));
  const isTool = script === null || script.split(sep).includes('node_modules');
  return (isTool ? null : nearestName(dirname(script))) ?? nearestName(place.cwd);
}

function nearestName(from: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const name = nameIn(join(folder, 'package.json'));
    if (name !== null) return name;
    if (folder === dirname(folder)) return null;
  }
}

/** A package.json without a name only says how a folder is to be read. */
function nameIn(file: string): string | null {
  try {
    const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown };
    return typeof name === 'string' && name !== '' ? name : null;
  } catch {
    return null;
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The folder may have been removed meanwhile. */
function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    return sep;
  }
}
