import type { StreamPace } from '#lib/replication/in-progress/streamed-transactions.js';

/** For what does not stream transactions in progress. */
export const NO_PACE: StreamPace = {
  hold: () => undefined,
  release: () => undefined,
  wantWhole: () => undefined,
  fail: (error) => {
    throw error;
  },
};
