import { isPromise, settledResult } from '../events/settled-result.js';
import type { HandlerDefinition } from '../interfaces/handler-definition.interface.js';
import type { PgListenerContext } from '../interfaces/handler.interface.js';
import type { FaultSwitches } from './fault-switches.js';
import type { HandlerJournal } from './handler-journal.js';

/** The same handler, whose calls go through the faults that are switched on, and are written down. */
export function watchedHandler(
  definition: HandlerDefinition,
  journal: HandlerJournal<any>,
  faults: FaultSwitches<any>,
): HandlerDefinition {
  const { id, batch, callback } = definition;
  return {
    ...definition,
    callback(this: object, payload, context) {
      const { attempt, signal } = context as PgListenerContext;
      const subjects = batch === undefined ? [payload] : (payload as readonly unknown[]);
      const call = journal.begin(id, subjects, attempt);
      const invoke = (): unknown => callback.call(this as HandlerDefinition, payload, context);
      let result: unknown;
      try {
        const trouble = faults.strike(id, subjects, attempt, signal);
        result = settledResult(trouble === undefined ? invoke() : trouble.then(invoke));
      } catch (error) {
        call.failed(error);
        throw error;
      }
      // Before whoever gets it: what it means for the change is decided then.
      if (isPromise(result)) {
        result.then(
          (value) => call.ended(value),
          (error: unknown) => call.failed(error),
        );
      } else call.ended(result);
      return result;
    },
  };
}
