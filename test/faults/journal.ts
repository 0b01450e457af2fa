import { openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ANEW } from './handlers.js';

/** What one handler has done: one change, or those of a whole transaction. */
export interface Entry {
  readonly handler: string;
  readonly lsn: string;
  readonly names: readonly string[];
}

export interface Journal {
  /** Of the process: files are read in the order in which processes were started. */
  readonly name: string;
  readonly entries: readonly Entry[];
}

/** A process writes down what its handlers have done: a line is written before the handler returns, and outlives the process. */
export class JournalWriter {
  private readonly file: number;

  constructor(directory: string, name: string) {
    this.file = openSync(join(directory, name), 'a');
  }

  write(handler: string, lsn: string, names: readonly string[]): void {
    writeSync(this.file, `${handler}\t${lsn}\t${names.join(',')}\n`);
  }
}

/** Of all together. */
export function journalBytes(directory: string): number {
  return names(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

export function readJournals(directory: string): Journal[] {
  return names(directory).flatMap((name) => {
    const parts: Entry[][] = [[]];
    for (const entry of readEntries(join(directory, name))) {
      if (entry.handler === ANEW) parts.push([]);
      else parts[parts.length - 1]!.push(entry);
    }
    return parts.map((entries, part) => ({ name: part === 0 ? name : `${name}.${part}`, entries }));
  });
}

function names(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('journal-'))
    .sort();
}

function readEntries(path: string): Entry[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // The last one is empty, or was not finished: then its handler had not returned.
  return lines.slice(0, -1).map((line) => {
    const [handler, lsn, names] = line.split('\t') as [string, string, string];
    return { handler, lsn, names: names === '' ? [] : names.split(',') };
  });
}
