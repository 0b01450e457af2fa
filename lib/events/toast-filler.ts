// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { setTimeout } from 'node:timers/promises';
import { Update } from '../changes/change.js';
import { asError } from '../errors/as-error.js';
import type { Change } from '../interfaces/change.interface.js';
import type { ListenerLogger } from '../interfaces/listener-logger.interface.js';
import { ToastRefusal, type ToastOutcome, type ToastSource } from '../interfaces/toast-source.interface.js';
import type { Transaction } from '../interfaces/transaction.interface.js';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Of the changes of a whole transaction, so many are asked for at once. */
const AT_ONCE = 100;

/**
 * Fills unchanged TOAST values in before handlers are called (`toast: 'reread'`). A change is filled once, for all of its
 * handlers and tries, as long as its object lasts: one that was kept on disk, or parked, is a new object each time, and is
 * read anew. A server that does not answer is asked again; what it refuses stays marked as unchanged.
 */
export class ToastFiller {
  private readonly filled = new WeakMap<Update, Promise<Update>>();
  private readonly warned = new Set<string>();

  constructor(
    private readonly source: ToastSource,
    private readonly logger: ListenerLogger,
  ) {}

  /** What a handler is to get. @returns the payload itself where nothing is missing in it, else a promise */
  complete(payload: unknown, signal: AbortSignal): unknown {
    if (payload instanceof Update) return lacks(payload) ? this.one(payload, signal) : payload;
    if (Array.isArray(payload)) return payload.some(lacks) ? this.all(payload, signal) : payload;
    return payload;
  }

  /** Of a whole transaction, as its changes are taken. */
  async *changesOf({ changes }: Transaction, signal: AbortSignal): AsyncGenerator<Change> {
    let waiting: Change[] = [];
    for await (const change of changes) {
      waiting.push(change);
      if (!waiting.some(lacks) || waiting.length === AT_ONCE) {
        yield* await this.all(waiting, signal);
        waiting = [];
      }
    }
    yield* await this.all(waiting, signal);
  }

  private async all<T>(items: readonly T[], signal: AbortSignal): Promise<T[]> {
    const updates = (items as readonly unknown[]).filter(lacks).filter((update) => !this.filled.has(update));
    if (updates.length > 0) {
      const filled = this.read(updates, signal);
      for (const [index, update] of updates.entries())
        this.keep(
          update,
          filled.then((each) => each[index]!),
        );
    }
    return Promise.all(items.map((item) => (lacks(item) ? (this.filled.get(item) as Promise<T>) : item)));
  }

  private one(update: Update, signal: AbortSignal): Promise<Update> {
    const known = this.filled.get(update);
    if (known !== undefined) return known;
    const filled = this.read([update], signal).then(([each]) => each!);
    this.keep(update, filled);
    return filled;
  }

  /** What failed is tried anew by whoever comes next. */
  private keep(update: Update, filled: Promise<Update>): void {
    this.filled.set(update, filled);
    filled.catch(() => this.filled.delete(update));
  }

  private async read(updates: readonly Update[], signal: AbortSignal): Promise<readonly Update[]> {
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      try {
        const found = await this.source.read(updates);
        return updates.map((update, index) => this.settled(update, found[index] ?? null));
      } catch (error) {
        this.warnOnce('', `Unchanged TOAST values cannot be read now, and are tried again: ${asError(error).message}`);
        await setTimeout(waitMs, undefined, { signal });
      }
    }
  }

  private settled(update: Update, outcome: ToastOutcome): Update {
    if (outcome === null) return update;
    if (!(outcome instanceof ToastRefusal)) return update.filledWith(outcome);
    const table = `${update.schema}.${update.table}`;
    const text = `${table}: unchanged TOAST values stay unread, \`unchangedToast\` names them: ${outcome.reason}`;
    this.warnOnce(`${table} ${outcome.code}`, text);
    return update;
  }

  private warnOnce(key: string, text: string): void {
    if (this.warned.has(key)) return;
    this.warned.add(key);
    this.logger.warn(text);
  }
}

function lacks(change: unknown): change is Update {
  return change instanceof Update && change.unchangedToast.length > 0 && change.rowKey !== null;
}
