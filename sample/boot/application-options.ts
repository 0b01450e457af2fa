import type { NestApplicationOptions } from '@nestjs/common';

/** What every sample is made with. */
export const APPLICATION_OPTIONS = {
  // A failed boot is told in one sentence, rather than by process.abort().
  abortOnError: false,
  // The log is held until the application listens: where it does not get there, the sentence is all one reads.
  bufferLogs: true,
  autoFlushLogs: false,
  // A page that is left open holds its event stream open.
  forceCloseConnections: true,
} satisfies NestApplicationOptions;
