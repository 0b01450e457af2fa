/** One run of a dispatcher, from `begin()` until it is stopped: how much haste there is. */
export class RunSignals {
  private readonly giving = new AbortController();
  private readonly finishing = new AbortController();
  /** Aborted when running handlers are given up. */
  readonly signal: AbortSignal = this.giving.signal;
  /**
   * Aborted when the app drains. The user's own resources may be closed already: no failure is an attempt, and what cannot
   * be parked at once comes again.
   */
  readonly draining: AbortSignal = this.finishing.signal;

  get isDraining(): boolean {
    return this.draining.aborted;
  }

  drain(): void {
    this.finishing.abort();
  }

  giveUp(): void {
    this.giving.abort();
  }
}
