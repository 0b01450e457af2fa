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

  /** The event loop has had its turn. */
  renew(): void {
    this.start = 0;
  }

  /** One more call is done. @returns whether the slice is used up */
  isOverAfterCall(): boolean {
    return ++this.calls >= this.checkAt && this.isOver();
  }

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
