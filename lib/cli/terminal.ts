import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextRound } from 'node:timers/promises';
import { styleText } from 'node:util';
import { printableJson, printableLines } from './printable.js';

type Style = Parameters<typeof styleText>[0];

/** Where text is shown: a terminal, a pipe or a file. */
export type Output = Writable & {
  readonly isTTY?: boolean;
  /** Of a terminal. */
  readonly columns?: number;
};

/** Ctrl-C, the end that a supervisor asks for, a terminal that is closed. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];

/** What a process has to do with the world. */
export interface World {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  once(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

/** Whoever reads the pipe has seen enough (`| head`), or a terminal is closed: that is no error. */
const SEEN_ENOUGH: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'EIO']);

/** Results go to stdout, all that is said about them to stderr: a pipe gets the results only. */
export class Terminal {
  private readonly isColoured: boolean;
  private isBroken = false;
  private fault: Error | null = null;

  constructor(readonly world: World) {
    const { stdout, env } = world;
    this.isColoured = wantsColours(stdout, env);
    stdout.on('error', (error) => {
      this.isBroken = true;
      if (!SEEN_ENOUGH.has((error as NodeJS.ErrnoException).code ?? '')) this.fault ??= error;
    });
    // That nobody hears what is said about the results takes nothing away from them.
    world.stderr.on('error', () => undefined);
  }

  /** Why results could not be written, such as a disk that is full; null: they were, or their reader has seen enough. */
  async failure(): Promise<Error | null> {
    // The error of a write comes behind it.
    await nextRound();
    return this.fault;
  }

  /** Nobody reads stdout any more. */
  get isClosed(): boolean {
    return this.isBroken || this.world.stdout.destroyed;
  }

  /** The width of a terminal; a pipe has none. */
  get columns(): number | undefined {
    return this.world.stdout.isTTY === true ? this.world.stdout.columns : undefined;
  }

  style(style: Style, text: string): string {
    // Whether the stream takes colours has been decided, and not by stdout alone.
    return this.isColoured ? styleText(style, text, { validateStream: false }) : text;
  }

  /** @returns false where the reader is behind: go on at `drained` */
  print(line: string): boolean {
    return this.isClosed || this.world.stdout.write(`${line}\n`);
  }

  /** @returns as `print` */
  printJson(value: unknown): boolean {
    return this.print(printableJson(value));
  }

  /** About the results, not one of them. */
  say(text: string): void {
    this.world.stderr.write(`${printableLines(text)}\n`);
  }

  /** Resolves when the reader of stdout has caught up, or is gone. */
  async drained(): Promise<void> {
    const { stdout } = this.world;
    if (this.isClosed || !stdout.writableNeedDrain) return;
    const done = new AbortController();
    const { signal } = done;
    await Promise.race(['drain', 'close', 'error'].map((event) => once(stdout, event, { signal }))).catch(() => null);
    done.abort();
  }
}

/** https://no-color.org and what Node itself goes by. */
function wantsColours(stream: Output, { NO_COLOR, FORCE_COLOR, TERM }: World['env']): boolean {
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && TERM !== 'dumb';
}
