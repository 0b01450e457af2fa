import type { EffectPlace, StreamHistory } from '../../interfaces/effects-store.interface.js';
import type { WalPosition } from '../../interfaces/wal-position.interface.js';

/** One thing that a handler has been given. */
export interface Given {
  readonly position: WalPosition;
  isDone: boolean;
}

/**
 * How far everything is done that one handler was given, in whatever order it was done: the part of its progress that
 * can be told by one position.
 */
export class HandledPrefix {
  /** Null: nothing yet. */
  upTo: WalPosition | null = null;
  /** Positions of any other log are not counted; null: none are. */
  private history: StreamHistory | null = null;
  private queue: Given[] = [];
  private head = 0;

  /** A stream has begun. */
  enter(history: StreamHistory): void {
    if (history !== this.history) this.forget();
    this.history = history;
  }

  /** In the order of the stream. */
  give({ commitLsn, walHigh, walLow, ordinal, history }: EffectPlace): Given {
    // Not the change itself: behind one that fails for long, many may be done.
    const given = { position: { commitLsn, walHigh, walLow, ordinal }, isDone: false };
    // A change that was in hand when the server left its history may come to its next handlers now.
    if (history !== null && history === this.history) this.queue.push(given);
    return given;
  }

  done(given: Given): void {
    given.isDone = true;
    while (this.head < this.queue.length && this.queue[this.head]!.isDone) {
      this.upTo = this.queue[this.head++]!.position;
    }
    if (this.head === this.queue.length) this.queue.length = this.head = 0;
    else if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
  }

  /** What is not done was given up, and comes again. */
  giveUp(): void {
    this.queue = [];
    this.head = 0;
  }

  /** Positions mean nothing any more. */
  forget(): void {
    this.giveUp();
    this.upTo = this.history = null;
  }
}
