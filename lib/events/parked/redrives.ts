import { LifecycleError } from '../../errors/app.error.js';
import type { ParkedWork } from '../../interfaces/parked-store.interface.js';
import type { HandlerRunner } from '../handler-runner.js';
import type { RedriveWork } from '../work.js';

/** Parked changes that wait for their turn between those of the stream. */
export class Redrives {
  private waiting: RedriveWork[] = [];
  private readonly unfinished = new Set<RedriveWork>();

  constructor(
    private readonly app: string,
    private readonly runners: readonly HandlerRunner[],
  ) {}

  /** @returns a promise of the failure; undefined: handled. It rejects with LifecycleError where it was not tried. */
  add(parked: ParkedWork): Promise<Error | undefined> {
    const runner = this.runners.find(({ id }) => id === parked.handler);
    if (runner === undefined) return Promise.resolve(goneHandler(parked.handler, this.app));
    return new Promise((resolve, reject) => {
      const work: RedriveWork = {
        kind: 'redrive',
        parked,
        runner,
        done: (error) => {
          this.unfinished.delete(work);
          resolve(error);
        },
        abandoned: () => {
          this.unfinished.delete(work);
          reject(notTried(parked.handler));
        },
      };
      this.unfinished.add(work);
      this.waiting.push(work);
    });
  }

  take(): RedriveWork | undefined {
    return this.waiting.shift();
  }

  /** Begins none of those that wait. */
  close(): void {
    for (const work of this.waiting.splice(0)) work.abandoned();
  }

  /** Gives up what is in hand, too. */
  abandon(): void {
    this.waiting = [];
    for (const work of this.unfinished) work.abandoned();
  }
}

function notTried(handler: string): LifecycleError {
  return new LifecycleError(`The app stopped before ${handler} was given its parked change`, {
    hint: 'it stays parked: retry it when the app streams.',
  });
}

/** Why a change cannot be tried that is parked for a handler of an earlier deploy. */
function goneHandler(handler: string, app: string): Error {
  return new LifecycleError(`There is no handler ${handler} now`, {
    app,
    hint: 'was it renamed? Give it its earlier name as `id`, or discard what is parked for it.',
  });
}
