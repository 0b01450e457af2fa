import { openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What one handler has done: one change, or those of a whole transaction. */
export interface Entry {
  readonly handler: string;
  readonly lsn: string;
  readonly names: readonly string[];
  /** Of the rows, one for each name; none where whoever writes does not tell them. */
  readonly contents: readonly string[];
}

/** One turn of one process at the stream. */
export interface Journal {
  /** Of the process; of its later turns, with their number. */
  readonly name: string;
  readonly entries: readonly Entry[];
}

/** A process writes down what its handlers have done: a line is written before the handler returns, and outlives the process. */
export class JournalWriter {
  /** Taken when a handler begins: one that was frozen may end in the next turn. */
  turn = 0;
  private readonly file: number;

  constructor(directory: string, name: string) {
    this.file = openSync(join(directory, name), 'a');
  }

  /** Somebody else may stream from here on, and come further: it is as if another process wrote what comes now. */
  anew(): void {
    this.turn++;
  }

  write(handler: string, lsn: string, names: readonly string[], turn: number, contents: readonly string[] = []): void {
    const line = [handler, lsn, names.join(','), turn, Date.now(), contents.join(',')].join('\t');
    writeSync(this.file, `${line}\n`);
  }
}

/** Of all together. */
export function journalBytes(directory: string): number {
  return names(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

/** In the order in which the turns began. */
export function readJournals(directory: string): Journal[] {
  const turns = names(directory).flatMap((name) => turnsOf(name, readLines(join(directory, name))));
  return turns.sort((one, other) => one.since - other.since);
}

function turnsOf(name: string, lines: readonly Line[]): (Journal & { readonly since: number })[] {
  const turns = new Map<number, Line[]>();
  for (const line of lines) {
    const turn = turns.get(line.turn);
    if (turn === undefined) turns.set(line.turn, [line]);
    else turn.push(line);
  }
  return [...turns].map(([turn, entries]) => ({
    name: turn === 0 ? name : `${name}.${turn}`,
    entries,
    since: entries[0]!.time,
  }));
}

function names(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('journal-'))
    .sort();
}

interface Line extends Entry {
  readonly turn: number;
  readonly time: number;
}

function readLines(path: string): Line[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // The last one is empty, or was not finished: then its handler had not returned.
  return lines.slice(0, -1).map((line) => {
    const [handler, lsn, names, turn, time, contents] = line.split('\t') as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    return { handler, lsn, names: list(names), turn: Number(turn), time: Number(time), contents: list(contents) };
  });
}

function list(text: string): string[] {
  return text === '' ? [] : text.split(',');
}
