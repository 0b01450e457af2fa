import type { HandlerStats } from '../interfaces/handler-stats.interface.js';
import type { EventsDispatcher } from './events.dispatcher.js';

/** The counts of each handler of an app. @param isElsewhere another process streams, and knows what is parked */
export function handlerStats({ options, calls }: EventsDispatcher, isElsewhere = false): HandlerStats[] {
  const { calling } = calls;
  return options.registry.runners.map((runner) => {
    const { id, definition, tally, times, parked, lanes } = runner;
    return {
      handler: id,
      kind: definition.kind,
      handled: tally.handled,
      failures: tally.failures,
      skipped: tally.skipped,
      parkings: tally.parkings,
      parked: isElsewhere ? 0 : (parked?.size ?? 0),
      inFlight: (lanes?.running ?? 0) + (calling === runner ? 1 : 0),
      durations: times?.durations ?? null,
    };
  });
}

/** From now on, calls of every handler are timed. @param bounds in seconds, growing */
export function timeHandlers({ options }: EventsDispatcher, bounds: readonly number[]): void {
  for (const runner of options.registry.runners) runner.time(bounds);
}
