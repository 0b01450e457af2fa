import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/** Waits until `condition` gives something truthy, and hands it back. Fails with `what` after `timeoutMs`. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  what: string | (() => string) = 'the condition',
  timeoutMs = 15_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value as NonNullable<T>;
    if (Date.now() > deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(10);
  }
}

/** Whether it is done in time. It goes on if not, and nobody hears of its error then. */
export async function isDoneWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  return Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer));
}

/**
 * Waits until `count` gives `total` or more, for as long as it grows: a loaded machine is slow, and only what stands
 * still is stuck. Fails after `stallMs` without growth, with `what` and how many of how many came.
 */
export async function waitForCount(
  count: () => number | Promise<number>,
  total: number,
  what: () => string,
  stallMs = 30_000,
): Promise<void> {
  let reached = -1;
  let deadline = 0;
  for (;;) {
    const counted = await count();
    if (counted >= total) return;
    if (counted > reached) {
      reached = counted;
      deadline = Date.now() + stallMs;
    } else if (Date.now() > deadline) {
      throw new Error(`${reached} of ${total} came, and none in the last ${stallMs} ms: ${what()}`);
    }
    // Counting is work for the server that is counted on.
    await sleep(100);
  }
}
