import fc from 'fast-check';

/** Of this run. `PG_LISTENER_SEED` repeats one. */
export const SEED = Number(process.env['PG_LISTENER_SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff));

/** How often each property is tried. `PG_LISTENER_RUNS` asks for more. */
export const RUNS = Number(process.env['PG_LISTENER_RUNS'] ?? 3);

/** Long enough for the runs that were asked for. */
export const PROPERTY_TIMEOUT_MS = 30_000 + RUNS * 2_000;

/** To be said once by each spec. */
export function printSeed(spec: string): void {
  process.stderr.write(`${spec}: PG_LISTENER_SEED=${SEED} PG_LISTENER_RUNS=${RUNS}\n`);
}

/** Fails with the seed and the smallest case that was found in a few seconds. */
export async function holds<T>(
  arbitrary: fc.Arbitrary<T>,
  predicate: (value: T) => Promise<void>,
  runs = RUNS,
): Promise<void> {
  await fc.assert(fc.asyncProperty(arbitrary, predicate), {
    seed: SEED,
    numRuns: runs,
    interruptAfterTimeLimit: PROPERTY_TIMEOUT_MS - 10_000,
    markInterruptAsFailure: false,
  });
}
