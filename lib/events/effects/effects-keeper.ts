// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearInterval, setInterval } from 'node:timers';
import { asError } from '../../errors/as-error.js';
import type { SlotInUseError } from '../../errors/replication.error.js';
import type { EffectsStore, StreamHistory, StreamStart } from '../../interfaces/effects-store.interface.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';
import type { HandlerRunner } from '../handler-runner.js';
import { TransactionalCalls } from './transactional-calls.js';

/** How often what is claimed one by one becomes one position. */
const FOLD_MS = 1_000;

/** The transactional handlers of an app, and how their progress is kept short. */
export class EffectsKeeper {
  private readonly calls = new Map<string, TransactionalCalls>();
  /** What the server has been told last. */
  private readonly folded = new Map<string, WalPosition>();
  private history: StreamHistory | null = null;
  private timer: NodeJS.Timeout | undefined;
  private folding: Promise<void> | undefined;

  constructor(
    private readonly store: EffectsStore,
    runners: readonly HandlerRunner[],
    private readonly logger: ListenerLogger,
    onSuperseded: (error: SlotInUseError) => void,
  ) {
    for (const runner of runners) {
      const { id, definition } = runner;
      if (!definition.transactional) continue;
      runner.effects = new TransactionalCalls(id, store, definition.batch !== undefined, onSuperseded);
      this.calls.set(id, runner.effects);
    }
  }

  get isEmpty(): boolean {
    return this.calls.size === 0;
  }

  /** What is settled now may be confirmed when the stream has passed this. */
  get writtenUpTo(): bigint {
    return this.store.writtenUpTo;
  }

  /** Changes that came and were done already. */
  get repeats(): number {
    let sum = 0;
    for (const { repeats } of this.calls.values()) sum += repeats;
    return sum;
  }

  /** The stream runs. */
  async open(stream: StreamStart): Promise<void> {
    if (this.isEmpty) return;
    await this.store.open(stream);
    this.history = stream.history;
    for (const { prefix } of this.calls.values()) prefix.enter(stream.history);
    this.timer ??= setInterval(() => void this.fold(), FOLD_MS).unref();
  }

  /** What is not done comes again. */
  giveUp(): void {
    for (const { prefix } of this.calls.values()) prefix.giveUp();
  }

  /** Positions mean nothing any more. */
  forget(): void {
    this.history = null;
    this.store.forget();
    this.folded.clear();
    for (const { prefix } of this.calls.values()) prefix.forget();
  }

  /** One at a time. What cannot be told the server now is told the next time, with what has come since. */
  fold(): Promise<void> {
    this.folding ??= this.foldAll().finally(() => (this.folding = undefined));
    return this.folding;
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.store.close();
  }

  private async foldAll(): Promise<void> {
    for (const [handler, { prefix }] of this.calls) {
      const { upTo } = prefix;
      const { history } = this;
      if (history === null || upTo === null || this.folded.get(handler) === upTo) continue;
      try {
        await this.store.fold(handler, history, upTo);
        // Positions may have lost their meaning meanwhile.
        if (history === this.history) this.folded.set(handler, upTo);
      } catch (error) {
        this.logger.warn(`The progress of ${handler} could not be recorded as one position: ${asError(error).message}`);
        return;
      }
    }
  }
}
