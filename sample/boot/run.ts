import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs a sample until SIGINT or SIGTERM, then ends the process: with 0 after a signal, at whatever point it came, and
 * with 1 and one sentence after a failure. A signal only aborts `interrupted`: the sample closes in its own order.
 */
export function run(title: string, sample: (interrupted: AbortSignal) => Promise<void>): void {
  // A second signal changes nothing: npm passes on what the terminal has sent already.
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort());
  // The log is held back until the sample is up, and a server of its own takes some seconds.
  console.log(`${title} starts, in a few seconds …`);
  void outcomeOf(sample, interruption.signal).then((failure) => {
    if (failure !== undefined) console.error(`\n${title} did not start: ${reasonOf(failure)}\n`);
    process.exit(failure === undefined ? 0 : 1);
  });
}

/** A port that is taken is the one failure of Node that a person can mend at once. */
function reasonOf(failure: Error): string {
  const { code, port } = failure as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return failure.message;
  return `port ${port} is taken. Stop what uses it, or choose another: the README of the sample names the variable.`;
}

async function outcomeOf(
  sample: (interrupted: AbortSignal) => Promise<void>,
  interrupted: AbortSignal,
): Promise<Error | undefined> {
  try {
    await sample(interrupted);
    return undefined;
  } catch (error) {
    // Ctrl-C reaches the programs that we wait for as well, and they may be the first to say so. That is no failure.
    await sleep(50);
    return interrupted.aborted ? undefined : (error as Error);
  }
}
