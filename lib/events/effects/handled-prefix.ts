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
  private queue: Given[] = [];
  private head = 0;

  /** In the order of the stream. */
  give(position: WalPosition): Given {
    const { commitLsn, walHigh, walLow, ordinal } = position;
    // Not the change itself: behind one that fails for long, many may be done.
    const given = { position: { commitLsn, walHigh, walLow, ordinal }, isDone: false };
    this.queue.push(given);
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
    this.upTo = null;
  }
}
