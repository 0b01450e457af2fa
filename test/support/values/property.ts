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

/** Fails with the seed and a small case; not the smallest, for each try goes to the server and back. */
export async function holds<T>(
  arbitrary: fc.Arbitrary<T>,
  predicate: (value: T) => Promise<void>,
  runs = RUNS,
): Promise<void> {
  const property = fc.asyncProperty(fc.limitShrink(arbitrary, 60), predicate);
  await fc.assert(property, { seed: SEED, numRuns: runs });
}
