import { callChannel, type CallMessage } from '../diagnostics/channels.js';
import type { CallTimes } from './handler-tally.js';
import { isPromise } from './settled-result.js';

/**
 * A call that somebody looks on at: timed, traced, or both. What it returns or throws stays what it was, and a
 * synchronous call stays synchronous, which `tracePromise` would not leave it.
 *
 * @param times null: nobody wants to know how long calls take
 */
export function watchedCall(times: CallTimes | null, message: CallMessage, call: () => unknown): unknown {
  if (!callChannel.hasSubscribers) return timedCall(times, call);
  // In what subscribers have bound to `start` (`AsyncLocalStorage`), such as the span of a trace.
  return callChannel.start.runStores(message, () => tracedCall(times, message, call));
}

function tracedCall(times: CallTimes | null, message: CallMessage, call: () => unknown): unknown {
  const { end, asyncStart, asyncEnd, error } = callChannel;
  const begunAt = performance.now();
  const over = (): void => void (message.durationMs = performance.now() - begunAt);
  const failed = (reason: unknown): void => {
    message.error = reason;
    over();
    error.publish(message);
  };
  const settled = (): void => {
    over();
    asyncStart.publish(message);
    asyncEnd.publish(message);
  };
  try {
    const result = timedCall(times, call);
    if (isPromise(result)) {
      result.then(settled, (reason: unknown) => {
        failed(reason);
        settled();
      });
    } else over();
    return result;
  } catch (reason) {
    failed(reason);
    throw reason;
  } finally {
    end.publish(message);
  }
}

function timedCall(times: CallTimes | null, call: () => unknown): unknown {
  if (times === null) return call();
  const begunAt = performance.now();
  const add = (): void => times.add((performance.now() - begunAt) / 1000);
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    add();
    throw error;
  }
  // Beside the caller's own reactions, not before them: the promise stays the handler's.
  if (isPromise(result)) result.then(add, add);
  else add();
  return result;
}
