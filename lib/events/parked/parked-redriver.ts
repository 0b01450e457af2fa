// Not the global ones: a user's test that has put fake timers in must not stop the stream.
import { clearInterval, setInterval } from 'node:timers';
import { LifecycleError } from '../../errors/app.error.js';
import { asError } from '../../errors/as-error.js';
import type { ListenerLogger } from '../../interfaces/listener-logger.interface.js';
import type { ParkedChange, ParkedChanges, ParkedFilter, ParkedOutcome } from '../../interfaces/parked.interface.js';
import type { ParkedStore, ParkedWork } from '../../interfaces/parked-store.interface.js';
import type { Parking } from './parking.js';

/** How often the process that streams looks for what others have asked of it, while anything is parked. */
const REQUESTS_MS = 1_000;
/** Read from the table at a time. */
const BUNCH = 100;

export interface RedriverOptions {
  readonly store: ParkedStore;
  readonly parking: Parking;
  /** One more try. @returns why it failed; undefined: handled. Rejects where it was not tried. */
  readonly redrive: (parked: ParkedWork) => Promise<Error | undefined>;
  /** Whether this process is the one that streams, and knows what is parked. */
  readonly isStreaming: () => boolean;
  readonly retryEveryMs: number | undefined;
  readonly logger: ListenerLogger;
}

/** What a person does with parked changes, and what is done in the background. */
export class ParkedRedriver implements ParkedChanges {
  private requestTimer: NodeJS.Timeout | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  /** One at a time: two of them would hand one change to its handler twice. */
  private tail: Promise<unknown> = Promise.resolve();
  private isBusy = false;

  constructor(private readonly options: RedriverOptions) {}

  /** Looks for requests, and retries in the background where that is wanted. */
  start(): void {
    const { retryEveryMs } = this.options;
    this.requestTimer ??= setInterval(() => this.inBackground(() => this.takeRequests()), REQUESTS_MS);
    this.requestTimer.unref();
    if (retryEveryMs === undefined) return;
    this.retryTimer ??= setInterval(() => this.inBackground(() => this.retryNow({})), retryEveryMs);
    this.retryTimer.unref();
  }

  /** Resolves when nothing is under way that tries again or discards: after `stop()`, when the table is as it will be. */
  settled(): Promise<unknown> {
    return this.tail;
  }

  /** Waits for nothing: what is in hand ends with the dispatcher. */
  stop(): void {
    clearInterval(this.requestTimer);
    clearInterval(this.retryTimer);
    this.requestTimer = this.retryTimer = undefined;
  }

  list(filter: ParkedFilter = {}): Promise<ParkedChange[]> {
    return this.options.store.list(filter);
  }

  count(filter: ParkedFilter = {}): Promise<number> {
    return this.options.store.count(filter);
  }

  async retry(filter: ParkedFilter = {}): Promise<ParkedOutcome> {
    if (this.options.isStreaming()) return this.inTurn(() => this.retryNow(filter));
    return { handled: 0, failed: 0, requested: await this.options.store.request(filter, 'retry') };
  }

  async discard(filter: ParkedFilter): Promise<number> {
    const { store, isStreaming } = this.options;
    return isStreaming() ? this.inTurn(() => this.discardNow(filter)) : store.request(filter, 'discard');
  }

  private async retryNow(filter: ParkedFilter): Promise<ParkedOutcome> {
    const { store, parking, redrive, isStreaming } = this.options;
    const failed: string[] = [];
    let handled = 0;
    for (;;) {
      const due = await store.due(filter, failed, BUNCH);
      if (due.length === 0) {
        if (!parking.isParking) {
          await parking.reconcile();
          return { handled, failed: failed.length, requested: 0 };
        }
        // It may wait behind what has just been handled, and would wait on, with everything that comes for its key.
        await parking.arrived();
        continue;
      }
      for (const work of due) {
        // The next process to stream may have handled, or discarded, what was read here.
        if (!isStreaming()) throw streamLost();
        const error = await redrive(work);
        if (error === undefined) {
          // First in the table, then here: what comes for the key meanwhile waits, and is handled by the next round.
          await store.handled(work.id);
          parking.release(work.id);
          handled++;
        } else {
          await store.failed(work.id, error);
          failed.push(work.id);
        }
      }
    }
  }

  private async discardNow(filter: ParkedFilter): Promise<number> {
    const { store, parking } = this.options;
    const discarded = await store.discard(filter);
    for (const { id } of discarded) parking.release(id);
    return discarded.length;
  }

  private async takeRequests(): Promise<void> {
    const requests = await this.options.store.takeRequests();
    const idsOf = (what: string): string[] => requests.filter((each) => each.what === what).map(({ id }) => id);
    const [discards, retries] = [idsOf('discard'), idsOf('retry')];
    if (discards.length > 0) await this.discardNow({ ids: discards });
    if (retries.length > 0) await this.retryNow({ ids: retries });
  }

  private inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.tail.then(action);
    this.tail = done.catch(() => undefined);
    return done;
  }

  private inBackground(action: () => Promise<unknown>): void {
    const { isStreaming, parking, logger } = this.options;
    if (this.isBusy || parking.size === 0 || !isStreaming()) return;
    this.isBusy = true;
    this.inTurn(action)
      .catch((error: unknown) => logger.warn(`Parked changes could not be tried again: ${asError(error).message}`))
      .finally(() => (this.isBusy = false));
  }
}

function streamLost(): LifecycleError {
  return new LifecycleError('The stream was lost while parked changes were tried again', {
    hint: 'those that were not handled stay parked: retry them when the app streams.',
  });
}
