import type { HandlerDurations } from '../interfaces/handler-stats.interface.js';

/** What one handler has got, and what has become of it. Numbers only: each change counts here. */
export class HandlerTally {
  /** Left it for good, in whatever way. */
  done = 0;
  failures = 0;
  skipped = 0;
  parkings = 0;

  get handled(): number {
    return this.done - this.skipped - this.parkings;
  }
}

/** How long calls took, sorted into stretches. */
export class CallTimes {
  private readonly counts: number[];
  private sumSeconds = 0;
  private count = 0;

  /** @param bounds in seconds, growing */
  constructor(private readonly bounds: readonly number[]) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  add(seconds: number): void {
    let at = 0;
    while (at < this.bounds.length && seconds > this.bounds[at]!) at++;
    this.counts[at]!++;
    this.count++;
    this.sumSeconds += seconds;
  }

  get durations(): HandlerDurations {
    const { bounds, counts, count, sumSeconds } = this;
    return { bounds, counts: [...counts], count, sumSeconds };
  }
}
