// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearImmediate, setImmediate } from 'node:timers';

/** How long handlers may keep the event loop before timers and sockets get a turn. */
const SLICE_MS = 20;
const MOST_CALLS_UNCHECKED = 64;

/**
 * Tells when handlers that are quick each have been long together. The clock is asked now and then only: the slower the
 * handlers, the more often.
 */
export class TimeSlice {
  private calls = 0;
  private checkAt = 1;
  private checkedAt = 0;
  private checkedCalls = 0;
  private start = 0;
  private turn: NodeJS.Immediate | undefined;
  /** Gone when the event loop has turned since the last `renew`. */
  private mark: NodeJS.Immediate | undefined;

  /** The event loop is having its turn; what `nextTurn` was given comes then. */
  get isWaiting(): boolean {
    return this.turn !== undefined;
  }

  /**
   * Something new has come from outside. That the event loop has turned for it is not said: chunks that a paused socket
   * has read ahead follow each other without.
   */
  renew(): void {
    if (this.mark !== undefined) return;
    this.start = 0;
    this.mark = setImmediate(this.turned);
  }

  /** One more call is done. @returns whether the slice is used up */
  isOverAfterCall(): boolean {
    return ++this.calls >= this.checkAt && this.isOver();
  }

  /** Gives the event loop a turn: timers keep the connection alive and must run. */
  nextTurn(then: () => void): void {
    this.turn = setImmediate(() => {
      this.turn = undefined;
      this.start = 0;
      then();
    });
  }

  stopWaiting(): void {
    clearImmediate(this.turn);
    clearImmediate(this.mark);
    this.turn = this.mark = undefined;
  }

  private readonly turned = (): void => void (this.mark = undefined);

  private isOver(): boolean {
    const now = performance.now();
    // Asked again at a quarter of a slice, if they go on like this. It may be asked half as often each time at most: a
    // commit costs nothing, and says nothing of the next handler.
    const calls = Math.max(1, this.calls - this.checkedCalls);
    const wanted = Math.floor((SLICE_MS / 4) * (calls / (now - this.checkedAt)));
    this.checkAt = this.calls + Math.max(1, Math.min(MOST_CALLS_UNCHECKED, calls * 2, wanted));
    this.checkedAt = now;
    this.checkedCalls = this.calls;
    if (this.start === 0) this.start = now;
    return now - this.start >= SLICE_MS;
  }
}

/** A slice for whoever is called by timers and promises: it ends with the event loop's next turn, and a new one begins. */
export class LoopTurns {
  /** Used up: nothing more is to be called before `goOn`. */
  isOver = false;
  private readonly slice = new TimeSlice();

  /** @param goOn called in the next slice, where one was used up */
  constructor(private readonly goOn: () => void) {}

  /** One more call has returned. */
  called(): void {
    if (this.slice.isOverAfterCall()) this.isOver = true;
    if (!this.slice.isWaiting) this.slice.nextTurn(() => this.next());
  }

  close(): void {
    this.slice.stopWaiting();
  }

  private next(): void {
    if (!this.isOver) return;
    this.isOver = false;
    this.goOn();
  }
}
